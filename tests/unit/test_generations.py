"""Generations: what one series hands on to the next, and which ones stay."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stsfusion.cube import generations
from stsfusion.cube.factors import Factors
from stsfusion.cube.generations import Generations, carry, date_marks, glance, harmed_dates
from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.errors import StoreError

DAY = 86_400_000
SPEC = CubeSpec(
    Grid((20, 30), 10.0, (398000.0, 4420000.0), "EPSG:32650"), (0, 2 * DAY, 4 * DAY), ("blue", "red"),
    (490.0, 660.0), shard=12, inner=12,
)  # fmt: skip


def fill(store, spec, dates, levels):
    for window in spec.shards():
        if window.dates[0] in dates:
            values = np.full((1, 2, *window.shape[1:]), levels[window.dates[0]], np.float32)
            store.write("", window, values, np.ones((1, 1, 1, 1), bool))


@pytest.fixture
def old(tmp_path):
    store = CubeStore(tmp_path / "fused.zarr")
    store.create("", SPEC)
    fill(store, SPEC, {0, 1, 2}, [0.1, 0.2, 0.3])
    store.publish()
    return store


@pytest.fixture
def new(tmp_path, old):
    """The next one: a date came between, and the second was made anew."""
    store = CubeStore(tmp_path / ".fused-new.zarr")
    spec = replace(SPEC, times=(0, DAY, 2 * DAY, 4 * DAY))
    store.create("", spec)
    carry(old.path, store.path, {0: 0, 2: 3})
    fill(store, spec, {1, 2}, [0, 0.15, 0.25, 0])
    store.publish()
    return store


def levels(store):
    return [round(float(v), 4) for v in store.cube("").mean(("band", "y", "x"))]


def test_dates_are_handed_on_without_being_written_again(old, new):
    assert levels(new) == [0.1, 0.15, 0.25, 0.3]
    for before, after in ((0, 0), (2, 3)):
        one, other = (s.path / f"reflectance/c/{at}/0/0/0" for s, at in ((old, before), (new, after)))
        assert one.stat().st_ino == other.stat().st_ino
    assert not verify(new.path).damages
    assert levels(old) == [0.1, 0.2, 0.3]


def test_what_was_known_of_their_files_is_not_read_again(old, tmp_path):
    """A byte that changed at rest is still told after it was handed on."""
    file = old.path / "reflectance/c/0/0/0/0"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    store = CubeStore(tmp_path / ".fused-new.zarr")
    store.create("", SPEC)
    carry(old.path, store.path, {0: 0, 1: 1, 2: 2})
    store.publish()
    assert [damage.file for damage in verify(store.path).damages] == ["reflectance/c/0/0/0/0"]


def test_a_disk_without_links_gets_copies(old, tmp_path, monkeypatch):
    def refuse(*words):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    store = CubeStore(tmp_path / "copy.zarr")
    store.create("", SPEC)
    carry(old.path, store.path, {0: 0, 1: 1, 2: 2})
    store.publish()
    assert levels(store) == [0.1, 0.2, 0.3]


def test_another_frame_is_refused(old, tmp_path):
    store = CubeStore(tmp_path / "other.zarr")
    store.create("", replace(SPEC, shard=24))
    with pytest.raises(StoreError, match="got shards of 24, not 12"):
        carry(old.path, store.path, {0: 0})
    compact = CubeStore(tmp_path / "compact.zarr")
    compact.create("", replace(SPEC, factors=Factors.of(np.eye(2), np.zeros(2))))
    with pytest.raises(StoreError, match=r"got maps expanded by [0-9a-f]{12}, not none"):
        carry(old.path, compact.path, {0: 0})


def test_marks_tell_equal_dates_from_others(old, new):
    one, other = date_marks(old.path, ""), date_marks(new.path, "")
    assert one[0] == other[0]
    assert one[2] == other[3]
    assert one[1] != other[2]
    assert all(one)


@pytest.mark.parametrize("atomic", [True, False])
def test_two_generations_stay(old, new, tmp_path, monkeypatch, atomic):
    if not atomic:
        monkeypatch.setattr(generations.ctypes, "CDLL", lambda *words, **more: object())
    house = Generations(old.path, tmp_path / "shelf")
    house.succeed(new.path)
    assert levels(CubeStore(house.series)) == [0.1, 0.15, 0.25, 0.3]
    assert [levels(CubeStore(path)) for path in house.older()] == [[0.1, 0.2, 0.3]]
    third = tmp_path / "third.zarr"
    shutil.copytree(house.series, third)
    house.succeed(third)
    assert [levels(CubeStore(path)) for path in house.older()] == [[0.1, 0.15, 0.25, 0.3]]
    assert house.older()[0].name == "0002.zarr"
    assert house.surplus(1) == house.older()
    assert not list(tmp_path.glob(".*.old"))


def test_what_is_worth_nothing_is_not_kept(old, new, tmp_path):
    house = Generations(old.path, tmp_path / "shelf")
    house.succeed(new.path, keep=False)
    assert house.older() == []
    assert not new.path.exists()


@pytest.mark.parametrize("renames", [1, 2])
def test_a_kill_between_renames_loses_neither_series(old, new, tmp_path, monkeypatch, renames):
    """Where two folders cannot be exchanged at once, the old one lies aside for a moment."""
    house, rename, done = Generations(old.path, tmp_path / "shelf"), Path.rename, []

    def deadly(path, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(generations.ctypes, "CDLL", lambda *words, **more: object())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", deadly)
        with pytest.raises(KeyboardInterrupt):
            house.succeed(new.path)
    house.recover()
    if renames == 1:
        assert levels(CubeStore(house.series)) == [0.1, 0.2, 0.3]
        house.succeed(new.path)
    assert levels(CubeStore(house.series)) == [0.1, 0.15, 0.25, 0.3]
    assert [levels(CubeStore(path)) for path in house.older()] == [[0.1, 0.2, 0.3]]
    house.recover()
    assert not list(tmp_path.glob(".*.old"))


def test_what_nobody_can_open_is_kept_and_no_generation_goes_for_it(old, new, tmp_path):
    house = Generations(old.path, tmp_path / "shelf")
    house.succeed(new.path)
    third = tmp_path / "third.zarr"
    shutil.copytree(house.series, third)
    (house.series / "zarr.json").write_text("{")
    house.succeed(third, keep=False, damaged=True)
    assert [path.name for path in house.damaged()] == ["damaged-0001.zarr"]
    assert [levels(CubeStore(path)) for path in house.older()] == [[0.1, 0.2, 0.3]]


def test_a_copy_of_links_stays_what_it_was_whatever_comes_after(old, new, tmp_path):
    """What readers are told to take who work for longer than a night."""
    mine, whole = tmp_path / "mine.zarr", levels(old)
    subprocess.run(["cp", "-al", str(old.path), str(mine)], check=True)
    opened = CubeStore(mine).cube("")
    longer = replace(SPEC, times=(*SPEC.times, 6 * DAY))
    old.extend("", longer.times[3:], {"title": "longer"})
    fill(old, longer, {3}, [0, 0, 0, 0.4])
    old.publish()
    assert levels(CubeStore(mine)) == whole
    Generations(old.path, tmp_path / "shelf").succeed(new.path)
    assert [round(float(v), 4) for v in opened.mean(("band", "y", "x"))] == whole
    assert not verify(mine).damages


def test_a_lost_file_stays_lost_and_one_that_nobody_published_stays_behind(old, tmp_path):
    """Marks are handed on whether their files are there or not: the next series does not look whole."""
    (old.path / "reflectance/c/0/0/0/0").unlink()
    (old.path / "reflectance/c/2/0/7").mkdir(parents=True)
    (old.path / "reflectance/c/2/0/7/7").write_bytes(b"?")
    store = CubeStore(tmp_path / ".fused-new.zarr")
    store.create("", SPEC)
    carry(old.path, store.path, {0: 0, 1: 1, 2: 2})
    store.publish()
    assert [(d.file, d.what) for d in verify(store.path).damages] == [("reflectance/c/0/0/0/0", "missing")]


def test_dates_that_lost_a_file_are_told_without_reading_any(old, monkeypatch):
    assert glance(old.path) == []
    (old.path / "reflectance/c/0/0/0/0").unlink()
    short, same = (old.path / f"reflectance/c/{date}/0/0/0" for date in (1, 2))
    short.write_bytes(short.read_bytes()[:-1])
    same.write_bytes(same.read_bytes()[:-1] + b"?")
    (old.path / "band/c/0").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("stsfusion.cube.manifest._mark", lambda path: pytest.fail("a file was read"))
        damages = glance(old.path)
    assert {damage.what for damage in damages} == {"missing", "cut short"}
    harmed = harmed_dates(old.path, damages)
    assert {date: [damage.what for damage in those] for date, those in harmed.items()} == {
        0: ["missing"],
        1: ["cut short"],
    }


def test_without_checksums_nothing_is_handed_on(old, tmp_path):
    (old.path / ".checksums.json").unlink()
    store = CubeStore(tmp_path / ".fused-new.zarr")
    store.create("", SPEC)
    for look in (lambda: glance(old.path), lambda: carry(old.path, store.path, {0: 0})):
        with pytest.raises(StoreError, match="checksums"):
            look()
