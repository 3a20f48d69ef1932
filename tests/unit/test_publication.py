"""What a publication does at the disk: what is staged and cannot be read, and what is flushed when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stsfusion.cube import publication
from stsfusion.cube.filling import fill
from stsfusion.cube.schema import check
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.errors import StoreError

HARMS = ["", '{"attributes": {"stsf', "[]", '{"consolidated_metadata": {"metadata": {"time": 5}}}']


@pytest.fixture
def cube(make_cube):
    return check(make_cube())


@pytest.fixture
def spec(cube):
    return CubeSpec.like(cube, shard=24, inner=12)


@pytest.fixture
def store(tmp_path, cube, spec):
    """Two dates are published."""
    made = CubeStore(tmp_path / "cube.zarr")
    made.create("", replace(spec, times=spec.times[:2]))
    fill(made, "", cube[:2])
    made.publish()
    return made


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grow(store, cube, spec):
    """Write the third date, and publish nothing."""
    for window in store.extend("", spec.times[2:]).shards((2, 3)):
        values = cube.values[window.slices]
        store.write("", window, values, values == values)


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_staged_and_unreadable_is_let_go_of(store, cube, spec, harm):
    before = tree(store.path)
    grow(store, cube, spec)
    (store.path / ".staged.json").write_text(harm)
    assert verify(store.path).damages == (), "what is published is whole meanwhile"
    assert store.owner() is None
    store.recover()
    assert tree(store.path) == before
    grow(store, cube, spec)
    store.publish()
    assert len(store.spec().times) == 3
    assert verify(store.path).damages == ()


def test_who_extends_needs_no_other_mend(store, cube, spec):
    grow(store, cube, spec)
    (store.path / ".staged.json").write_text("")
    grow(store, cube, spec)
    store.publish()
    assert len(store.spec().times) == 3


@pytest.mark.parametrize("step", [1, 2, 4, 9, 12, 13, 99])
def test_a_publication_that_died_is_finished_without_it(store, cube, spec, monkeypatch, step):
    """Once the root document was swapped, what is staged tells nothing that the root does not."""
    before = tree(store.path)
    grow(store, cube, spec)
    whole, calls = publication._replace, []

    def dying(path, document):
        calls.append(path)
        if len(calls) > step:
            raise KeyboardInterrupt
        whole(path, document)

    with monkeypatch.context() as patch:
        patch.setattr(publication, "_replace", dying)
        try:
            store.publish()
        except KeyboardInterrupt:
            (store.path / ".staged.json").write_text("{")
    store.recover()
    assert len(store.spec().times) == 3, "the swap was the first step"
    assert verify(store.path).damages == ()
    assert {name: tree(store.path)[name] for name in before if name.startswith("reflectance/c/")} == {
        name: old for name, old in before.items() if name.startswith("reflectance/c/")
    }


def test_what_was_never_published_is_told_of_in_words(tmp_path, spec):
    store = CubeStore(tmp_path / "new.zarr")
    store.create("", spec)
    (store.path / ".staged.json").write_text("")
    (store.path / "thesis").mkdir()
    with pytest.raises(StoreError, match="remove that folder"):
        store.create("", spec)
    assert (store.path / "thesis").is_dir(), "a folder may be someone else's"


def flushed(store, monkeypatch):
    """Places that are flushed by a publication."""
    seen, whole = [], publication.flush

    def noted(path):
        seen.append(path.relative_to(store.path).as_posix())
        whole(path)

    monkeypatch.setattr(publication, "flush", noted)
    store.publish()
    return seen


def test_new_shards_are_flushed_and_published_ones_are_not_again(store, cube, spec, monkeypatch):
    old = {name for name in tree(store.path) if name.startswith(("reflectance/c/", "valid/c/", "qa/c/"))}
    grow(store, cube, spec)
    (store.path / "reflectance/c/2/0/0/.7.partial").write_text("")
    seen = flushed(store, monkeypatch)
    assert not old & set(seen)
    assert not any(place.startswith(("reflectance/c/0", "reflectance/c/1")) for place in seen)
    now = {name for name in tree(store.path) if name.startswith("reflectance/c/2/")}
    assert now <= set(seen)
    assert {"reflectance/c", "reflectance/c/2", "time/c/0", ""} <= {place.removeprefix(".") for place in seen}
    assert not list(store.path.rglob("*.partial"))


def test_a_new_dataset_is_flushed_whole(tmp_path, cube, spec, monkeypatch):
    store = CubeStore(tmp_path / "new.zarr")
    store.create("", spec)
    fill(store, "", cube)
    shards = {name for name in tree(store.path) if "/c/" in name}
    assert shards <= set(flushed(store, monkeypatch))


def test_a_published_shard_that_is_gone_stays_missing_when_dates_are_added(store, cube, spec):
    lost = next(path for path in (store.path / "reflectance/c/0").rglob("*") if path.is_file())
    lost.unlink()
    grow(store, cube, spec)
    store.publish()
    found = [(damage.file, damage.what) for damage in verify(store.path).damages]
    assert found == [(lost.relative_to(store.path).as_posix(), "missing")]
