"""A worker process loads its plan and its model once, however many tiles it fuses."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from engines import Bench

from stsfusion.cube.store import CubeStore
from stsfusion.engine import run
from stsfusion.engine.planfile import save_plan
from stsfusion.methods import create
from stsfusion.pipeline import onecode, ourcode, worker
from stsfusion.pipeline.onecode import OneCode
from stsfusion.pipeline.ourcode import our_code
from stsfusion.pipeline.worker import fuse_tile, resident
from stsfusion.running.executor import Inline, Local
from stsfusion.testing import tiny_problem


@pytest.fixture
def job(tmp_path):
    """A saved plan of sixteen tiles, and the folder that it is in."""
    bench = Bench.of(tiny_problem(size=48, bands=6, dates=3), tmp_path)
    method = create("gsa").fit([bench.problem])
    plan = replace(bench.plan(method, tmp_path / "fused.zarr", 12), overlap=True)
    bench.begin(plan, 12)
    save_plan(plan, tmp_path / "plan", our_code(plan.method))
    return plan, str(tmp_path / "plan")


@pytest.fixture
def loads(monkeypatch):
    """Every loading of a plan in this process."""
    found, load = [], worker.load_plan
    worker._loaded.cache_clear()
    monkeypatch.setattr(worker, "load_plan", lambda *given: found.append(given) or load(*given))
    yield found
    worker._loaded.cache_clear()


@pytest.mark.parametrize("overlap", [False, True])
def test_all_tiles_of_a_process_share_one_model(job, loads, overlap):
    plan, folder = job
    ends = {}
    keys = [tile.key for tile in plan.tiles]
    outcome = Inline(overlap).run(partial(fuse_tile, folder, "a"), keys, ends.__setitem__)
    assert outcome.done == 16
    assert len(loads) == 1
    assert resident(folder, "a").plan.method is resident(folder, "a").plan.method
    fuse_tile(folder, "b", keys[0])
    assert len(loads) == 2, "another plan of the same folder was taken for this one"


def test_tiles_that_begin_at_once_load_one_plan(job, loads):
    _, folder = job
    threads = [threading.Thread(target=resident, args=(folder, "a")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


@pytest.mark.parametrize("said", ["0123456789abcdef", ""])
def test_a_worker_of_other_code_fuses_nothing(job, loads, said):
    """It says both fingerprints; a tile that it is sent fails with them."""
    plan, folder = job
    save_plan(plan, Path(folder), said)
    ours, ends = our_code(plan.method)[:12], {}
    Inline().run(partial(fuse_tile, folder, "a"), [plan.tiles[0].key], ends.__setitem__)
    (end,) = ends.values()
    assert end.kind == "PlanError"
    for words in (said[:12] or "does not say which", ours, "use one installation", "same command"):
        assert words in end.text
    assert not CubeStore(plan.output).names()
    save_plan(plan, Path(folder), our_code(plan.method))
    assert fuse_tile(folder, "b", plan.tiles[0].key)["checksum"]


def test_code_is_looked_at_once_a_process(job, loads, monkeypatch):
    """Files that are replaced while a worker stands are not what it runs."""
    plan, _ = job
    before = our_code(plan.method)
    monkeypatch.setattr(ourcode, "fingerprint_of_code", lambda method: "replaced")
    assert our_code(plan.method) == before
    monkeypatch.setattr(ourcode, "_looked", {})
    assert our_code(plan.method) != before


def test_workers_of_other_code_make_no_tile_of_a_plan_that_does_not_say(monkeypatch):
    """Every key fails with both fingerprints; those of the same do it."""
    code = "import sys, stsfusion.pipeline.onecode; assert 'torch' not in sys.modules, 'workers grow'"
    subprocess.run([sys.executable, "-c", code], check=True)
    good, bad = {}, {}

    class Elsewhere:
        """Workers to whom work is sent, and who may have looked at other files."""

        def __init__(self, found):
            self.found = found

        def run(self, work, keys, on_done):
            with monkeypatch.context() as there:
                there.setattr(onecode, "_looked", self.found)
                return Inline().run(pickle.loads(pickle.dumps(work)), keys, on_done)

    assert OneCode(Elsewhere({}), ("cube",)).run(len, ["aa", "b"], good.__setitem__).done == 2
    assert [end.value for end in good.values()] == [2, 1]
    assert (
        OneCode(Elsewhere({"cube": "another"}), ("cube",)).run(len, ["aa", "b"], bad.__setitem__).failed == 2
    )
    assert {end.kind for end in bad.values()} == {"PlanError"}
    assert "use one installation" in bad["b"].text


def counted(key, folder, log):
    """Fuse a tile; note each model that this process has fused with."""
    real = run.climb

    def noted(plan, problem):
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {id(plan.method)}\n")
        return real(plan, problem)

    if real.__name__ != "noted":
        run.climb = noted
    return fuse_tile(folder, "a", key)["checksum"]


@pytest.mark.slow
def test_each_worker_has_one_model_and_the_bytes_are_those_of_one_process(job, tmp_path, loads):
    plan, folder = job
    keys = [tile.key for tile in plan.tiles]
    alone, shared = {}, {}
    Inline().run(partial(fuse_tile, folder, "a"), keys, alone.__setitem__)
    log = tmp_path / "models"
    work = partial(counted, folder=folder, log=str(log))
    outcome = Local(workers=2, memory="2 GB").run(work, keys, shared.__setitem__)
    assert outcome.done == 16, shared
    assert {key: end.value for key, end in shared.items()} == {
        key: end.value["checksum"] for key, end in alone.items()
    }
    models = {}
    for pid, model in map(str.split, log.read_text().splitlines()):
        models.setdefault(pid, set()).add(model)
    assert all(len(its) == 1 for its in models.values())
