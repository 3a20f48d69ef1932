"""A published store is what it was, or verify says which file is not, and how."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stsfusion.cube.filling import fill
from stsfusion.cube.generations import Generations
from stsfusion.cube.manifest import FILE, Manifest
from stsfusion.cube.schema import check
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.errors import LaterError, StoreError


@pytest.fixture
def cube(make_cube):
    return check(make_cube())


@pytest.fixture
def store(tmp_path, cube):
    store = CubeStore(tmp_path / "cube.zarr")
    for name in ("rich", "sharp"):
        store.create(name, CubeSpec.like(cube, shard=24, inner=12))
        fill(store, name, cube)
        store.publish()
    return store


def test_a_store_that_nobody_touched_is_whole(store, cube):
    said = []
    verdict = verify(store.path, lambda done, what: said.append(done))
    assert verdict.damages == ()
    on_disk = [p for p in store.path.rglob("*") if p.is_file() and p.name != FILE]
    assert verdict.files == len(on_disk)
    assert verdict.size == sum(p.stat().st_size for p in on_disk)
    assert said == sorted(said)
    assert len(said) == verdict.files
    assert set(verdict.shares) == {"rich", "sharp"}
    assert list(verdict.shares["rich"].values()) == [1.0] * cube.sizes["time"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def grow(path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("harm", "what"),
    [(flip, "changed"), (cut, "cut short"), (grow, "too long"), (lambda path: path.unlink(), "missing")],
)
def test_any_harm_to_any_kind_of_file_is_found(store, harm, what):
    shard = next((store.path / "rich/reflectance/c/1").rglob("0"))
    shard = shard if shard.is_file() else next(p for p in shard.rglob("*") if p.is_file())
    for path in (shard, store.path / "sharp/reflectance/zarr.json", store.path / "sharp/wavelength/c/0"):
        before = path.read_bytes()
        harm(path)
        (damage,) = verify(store.path).damages
        assert (damage.file, damage.what) == (path.relative_to(store.path).as_posix(), what)
        path.write_bytes(before)
    assert verify(store.path).damages == ()


def test_a_changed_root_document_is_found(store):
    root = store.path / "zarr.json"
    root.write_text(root.read_text().replace('"reflectance"', '"reflectancE"', 1))
    document = json.loads(root.read_text())
    assert document["node_type"] == "group"
    assert any(damage.file == "zarr.json" for damage in verify(store.path).damages)


def test_a_file_that_came_afterwards_is_found(store):
    stray = store.path / "rich/reflectance/c/0/0/9"
    stray.mkdir(parents=True)
    (stray / "9").write_bytes(b"?")
    assert [d.what for d in verify(store.path).damages] == ["unknown"]


@pytest.mark.parametrize(
    "stray",
    ["foreign.txt", ".DS_Store", "rich/notes", "rich/reflectance/c/.DS_Store", "rich/reflectance/c/99/0/0/0"],
)
def test_a_foreign_file_anywhere_is_told_of_and_disturbs_nobody(store, cube, stray):
    (store.path / stray).parent.mkdir(parents=True, exist_ok=True)
    (store.path / stray).write_bytes(b"?")
    assert [(d.file, d.what) for d in verify(store.path).damages] == [(stray, "unknown")]
    spec = store.spec("rich")
    store.extend("rich", [spec.times[-1] + 86_400_000])
    store.discard()
    store.extend("rich", [spec.times[-1] + 86_400_000])
    store.publish()
    assert {d.what for d in verify(store.path).damages} <= {"unknown"}
    assert stray not in Manifest.read(store.path).marks


def test_what_was_learned_is_published_with_the_data(tmp_path, cube):
    store = CubeStore(tmp_path / "cube.zarr")
    store.create("", CubeSpec.like(cube, shard=24, inner=12))
    learned = store.path / ".learned.safetensors"
    learned.write_bytes(b"what was learned")
    fill(store, "", cube)
    store.publish()
    assert verify(store.path).damages == ()
    cut(learned)
    assert [(d.file, d.what) for d in verify(store.path).damages] == [(learned.name, "cut short")]


def test_a_series_of_an_earlier_version_need_not_tell_of_what_was_learned(store):
    (store.path / ".learned.safetensors").write_bytes(b"what was learned")
    assert verify(store.path).damages == ()


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "rich.nc").write_bytes(b"?")
    with pytest.raises(StoreError, match="got a file"):
        verify(tmp_path / "rich.nc")


def test_shares_tell_how_much_of_a_date_holds_data(tmp_path, make_cube):
    cube = make_cube()
    mask = np.ones(cube.shape, dtype=bool)
    mask[1, :, : cube.sizes["y"] // 2] = False
    store = CubeStore(tmp_path / "cube.zarr")
    store.create("", CubeSpec.like(check(cube), shard=24, inner=12))
    fill(store, "", check(cube.assign_coords(valid=(cube.dims, mask))))
    store.publish()
    shares = list(verify(store.path).shares[""].values())
    assert shares[0] == 1.0
    assert shares[1] == 0.5
    flip(next(p for p in (store.path / "qa/c/1").rglob("*") if p.is_file()))
    assert len(verify(store.path).shares[""]) == len(shares) - 1


def test_dates_that_are_being_written_are_not_looked_at(store, cube):
    spec = store.spec("rich")
    store.extend("rich", [spec.times[-1] + 86_400_000])
    assert verify(store.path).damages == ()


def test_published_shards_are_not_read_again_when_dates_are_added(store, cube, monkeypatch):
    spec = store.spec("rich")
    old = Manifest.read(store.path)
    store.extend("rich", [spec.times[-1] + 86_400_000])
    from stsfusion.cube import manifest

    read = []
    mark = manifest._mark
    monkeypatch.setattr(manifest, "_mark", lambda path: read.append(path) or mark(path))
    store.publish()
    assert read
    assert not [p for p in read if "/reflectance/c/0/" in p.as_posix()]
    assert Manifest.read(store.path).marks.items() >= {
        (file, was) for file, was in old.marks.items() if "/reflectance/c/" in file
    }
    assert verify(store.path).damages == ()


def test_a_replaced_dataset_is_noted_anew(store, cube):
    other = CubeSpec.like(cube, shard=24, inner=12, attributes={"title": "another"})
    store.create("rich", other, replace=True)
    assert not any(file.startswith("rich/") for file in Manifest.read(store.path).marks)
    fill(store, "rich", cube * 0.5)
    store.publish()
    assert verify(store.path).damages == ()


def test_refusals_say_what_to_do(tmp_path, store):
    with pytest.raises(StoreError, match="nothing published"):
        verify(tmp_path / "nowhere.zarr")
    (store.path / FILE).write_text("{]")
    with pytest.raises(StoreError, match="damaged file"):
        verify(store.path)
    (store.path / FILE).unlink()
    with pytest.raises(StoreError, match="run its recipe again"):
        verify(store.path)


def series_of(path, cube):
    store = CubeStore(path)
    store.create("", CubeSpec.like(cube, shard=24, inner=12))
    fill(store, "", cube)
    store.publish()
    return store


def exchange(place, cube):
    """A series of other values takes the place of the one that is there."""
    made = series_of(place.with_name("next.zarr"), cube)
    Generations(place, place.with_name("generations")).succeed(made.path)


def grow_by_a_date(place, cube):
    store = CubeStore(place)
    store.extend("", [store.spec("").times[-1] + 86_400_000])
    store.publish()


def begin_a_date(place, cube):
    """Coordinates grow before anything is shown."""
    store = CubeStore(place)
    store.extend("", [store.spec("").times[-1] + 86_400_000])


def meanwhile(deed, times):
    """Watches a reading; when it has begun, and so many times in all, something happens."""
    left = [times]

    def tick(done, file):
        if done > 0.1 and left[0]:
            left[0] -= 1
            deed()

    return tick


@pytest.mark.parametrize("deed", [exchange, grow_by_a_date, begin_a_date])
def test_what_was_published_meanwhile_is_no_damage(tmp_path, cube, deed):
    place = series_of(tmp_path / "cube.zarr", cube).path
    verdict = verify(place, meanwhile(lambda: deed(place, cube * 0.5), 1))
    assert verdict.damages == ()
    assert verdict.files == verify(place).files
    harmed = next(p for p in (place / "qa/c/0").rglob("*") if p.is_file())
    flip(harmed)
    if deed is not begin_a_date:
        found = verify(place, meanwhile(lambda: deed(place, cube), 1)).damages
        assert [d.what for d in found] == ["changed"] * (deed is grow_by_a_date), "harm, or none, came along"


def test_who_is_disturbed_twice_is_told_to_try_later(tmp_path, cube):
    place = series_of(tmp_path / "cube.zarr", cube).path
    with pytest.raises(LaterError, match=r"(?s)published meanwhile.*when nobody publishes"):
        verify(place, meanwhile(lambda: exchange(place, cube), 2))
    assert verify(place).damages == ()


def test_what_fails_while_a_series_is_replaced_says_nothing_of_it(tmp_path, cube, monkeypatch):
    place = series_of(tmp_path / "cube.zarr", cube).path
    monkeypatch.setattr(Manifest, "damage", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        verify(place)
    tries = []

    def damage(manifest, store, file):
        if not tries:
            tries.append(file)
            exchange(place, cube)
            raise FileNotFoundError(file)

    monkeypatch.setattr(Manifest, "damage", damage)
    assert verify(place).damages == ()


def test_a_publication_that_is_not_finished_is_told_to_try_later(store, cube, monkeypatch):
    def die(*words):
        raise KeyboardInterrupt

    store.extend("rich", [store.spec("rich").times[-1] + 86_400_000])
    monkeypatch.setattr("stsfusion.cube.publication.Publication._note", die)
    with pytest.raises(KeyboardInterrupt):
        store.publish()
    with pytest.raises(LaterError, match="under way, or was cut off"):
        verify(store.path)
