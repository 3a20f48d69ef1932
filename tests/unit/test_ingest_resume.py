"""Cubes through executors and a ledger: killed, stopped or spoilt, they end as the very same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deliveries import WFV, deliver, pack

from stsfusion.cube.store import CubeStore
from stsfusion.errors import PlanError, StoreError
from stsfusion.ingest import build, tile
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.carrying import place_of
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.frame import Place
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import load_plan
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.tile import ingest_tile
from stsfusion.running.executor import Inline, Local
from stsfusion.sensing.catalog import open_catalog

SENSORS = {"dense": "gf6-wfv"}
PLACE = Place("EPSG:32650", (474400.0, 4149200.0, 476600.0, 4150800.0), 2.0)
"""Small pixels, so that a small scene takes several shards."""

TILES = 9


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume") / "deliveries"
    pack(deliver(WFV.but(lines=60, samples=40), folder.parent / "aside"), folder=folder)
    catalog = open_catalog(build_catalog(folder, folder.parent / "catalog").path, anywhere=True)
    return choose(catalog, SENSORS, PLACE)


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(chosen, tmp_path_factory):
    """The bytes of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    built = build_cubes(chosen, CubeStore(folder / "cubes.zarr"), owner="test")
    assert built.made == built.tiles == TILES
    assert [path.name for path in folder.iterdir()] == ["cubes.zarr"]
    return files_of(folder / "cubes.zarr")


class Few:
    """An executor that is stopped after some tiles."""

    def __init__(self, count):
        self.count = count

    def run(self, work, keys, on_done):
        outcome = Inline().run(work, keys[: self.count], on_done)
        left = tuple(keys[self.count :])
        return type(outcome)(outcome.done, outcome.failed, left, interrupted=True)


def test_a_stopped_run_goes_on_where_it_was(chosen, whole, tmp_path, monkeypatch):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, owner="test", work=work, stamp="a", executor=Few(2))
    assert store.names() == []
    measured = []
    monkeypatch.setattr(build, "prepare", lambda *words: measured.append(words))
    built = build_cubes(chosen, store, owner="test", work=work, stamp="a")
    assert (built.made, built.tiles) == (TILES - 2, TILES)
    assert not measured, "scenes are not measured again"
    assert files_of(store.path) == whole
    again = build_cubes(chosen, store, owner="test", work=work, stamp="a")
    assert again.made == 0
    assert files_of(store.path) == whole
    assert not (work / "scenes").exists(), "what was unpacked is gone"


def test_what_another_job_left_is_not_used(chosen, whole, tmp_path):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, owner="test", work=work, stamp="a", executor=Few(3))
    built = build_cubes(chosen, store, owner="test", work=work, stamp="b")
    assert built.made == TILES
    assert files_of(store.path) == whole


def test_a_tile_that_is_gone_is_made_again(chosen, whole, tmp_path):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, owner="test", work=work, stamp="a", executor=Few(3))
    begun = place_of(store.path, "a") / "dense/reflectance"
    shard = next(path for path in sorted(begun.rglob("*")) if path.is_file())
    shard.unlink()
    built = build_cubes(chosen, store, owner="test", work=work, stamp="a")
    assert built.made == TILES - 2
    assert files_of(store.path) == whole


def test_published_cubes_that_were_spoilt_are_made_anew(chosen, whole, tmp_path):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    build_cubes(chosen, store, owner="test", work=work, stamp="a")
    next(p for p in sorted((store.path / "dense/reflectance/c").rglob("*")) if p.is_file()).unlink()
    built = build_cubes(chosen, store, owner="test", work=work, stamp="a")
    assert built.made > 1  # tiles without a file are what they were
    assert files_of(store.path) == whole


def cut(path):
    path.write_bytes(path.read_bytes()[:-9] + b"?" * 9)


@pytest.mark.parametrize("harm", [Path.unlink, cut])
def test_a_tile_that_changes_before_it_is_published_is_made_again(chosen, whole, tmp_path, harm):
    store, rounds = CubeStore(tmp_path / "cubes.zarr"), []

    class Harmful:
        """Harms the first tile, once the last one is done."""

        def run(self, work, keys, on_done):
            outcome = Inline().run(work, keys, on_done)
            rounds.append(keys)
            if len(rounds) == 1:
                shards = sorted((place_of(store.path, "") / "dense/reflectance/c").rglob("*"))
                harm(next(path for path in shards if path.is_file()))
            return outcome

    built = build_cubes(chosen, store, owner="test", executor=Harmful())
    assert [len(keys) for keys in rounds] == [TILES, 1]
    assert built.made == TILES
    assert files_of(store.path) == whole


def test_a_worker_that_outlived_its_run_writes_into_no_other_cubes(chosen, tmp_path, monkeypatch):
    """What it wrote to is gone, and the cubes of the next run lie elsewhere."""
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, owner="test", work=work, stamp="a", executor=Few(2))
    old = tile._resident(str(work), "a")
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, Options(clouds=False), owner="test", work=work, stamp="b", executor=Few(2))
    before = files_of(tmp_path)
    monkeypatch.setattr(tile, "_resident", lambda *words: old)
    with pytest.raises(StoreError, match="another one, or none"):
        ingest_tile(str(work), "a", next(iter(old.tiles)))
    assert files_of(tmp_path) == before


def test_failed_tiles_publish_nothing_and_name_the_reason(chosen, whole, tmp_path, monkeypatch):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    made = tile.mosaic

    def torn(members, spec, rows, cols, test):
        if rows[0] == 0 and cols[0] == 0:
            raise DeliveryError("file x.tiff", expected="a readable GeoTIFF", got="nothing")
        return made(members, spec, rows, cols, test)

    with monkeypatch.context() as patch:
        patch.setattr(tile, "mosaic", torn)
        with pytest.raises(PlanError, match=r"dense 0 0 0: DeliveryError: file x\.tiff"):
            build_cubes(chosen, store, owner="test", work=work, stamp="a")
    assert store.names() == []
    assert build_cubes(chosen, store, owner="test", work=work, stamp="a").made == 1
    assert files_of(store.path) == whole


def test_a_damaged_plan_is_made_anew(chosen, whole, tmp_path):
    store, work = CubeStore(tmp_path / "cubes.zarr"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        build_cubes(chosen, store, owner="test", work=work, stamp="a", executor=Few(1))
    assert load_plan(work, "a") is not None
    assert load_plan(work, "b") is None
    (work / "plan.json").write_text('{"stamp": "a", "plan": {"store"')
    assert build_cubes(chosen, store, owner="test", work=work, stamp="a").made == TILES - 1
    assert files_of(store.path) == whole


def test_a_refusal_leaves_nothing(chosen, tmp_path, monkeypatch):
    def refuse(*words):
        raise DeliveryError("file x", expected="a file", got="none")

    monkeypatch.setattr(build, "prepare", refuse)
    with pytest.raises(DeliveryError):
        build_cubes(chosen, CubeStore(tmp_path / "cubes.zarr"), work=tmp_path / "work", stamp="a")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_leave_the_same_bytes(chosen, whole, tmp_path):
    store = CubeStore(tmp_path / "cubes.zarr")
    assert build_cubes(chosen, store, owner="test", executor=Local(workers=2)).made == TILES
    assert files_of(store.path) == whole


KILLED = """
import os, signal, sys
from pathlib import Path
from stsfusion.cube.store import CubeStore
from stsfusion.ingest import build
from stsfusion.ingest.choose import choose
from stsfusion.ingest.frame import Place
from stsfusion.running.executor import Inline
from stsfusion.running.ledger import Ledger
from stsfusion.sensing.catalog import open_catalog
catalog, out, kill = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
noted = Ledger.record
count = []
def record(self, key, end):
    count.append(key)
    if len(count) > kill:
        os.kill(os.getpid(), signal.SIGKILL)
    noted(self, key, end)
Ledger.record = record
place = Place("EPSG:32650", (474400.0, 4149200.0, 476600.0, 4150800.0), 2.0)
chosen = choose(open_catalog(catalog, anywhere=True), {"dense": "gf6-wfv"}, place)
store = CubeStore(out / "cubes.zarr")
print(build.build_cubes(chosen, store, owner="test", work=out / "work", stamp="a").made)
"""


def test_a_killed_run_does_no_tile_again_that_was_noted(chosen, whole, tmp_path):
    home = Path(chosen.days["dense"][0].scenes[0].delivery).parents[1] / "catalog"
    ends = []
    for kill in (3, 99):
        words = [sys.executable, "-c", KILLED, home, tmp_path, kill]
        ends.append(subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False))
    assert [end.returncode for end in ends] == [-signal.SIGKILL, 0], ends[-1].stderr
    assert ends[-1].stdout.split() == [str(TILES - 3)]
    assert files_of(tmp_path / "cubes.zarr") == whole
