"""The engine's benchmark measures what it says: counts, ratios and their parts, on a scene made for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from engines import Bench
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.cube.store import CubeStore
from stsfusion.engine.exchange import checksum
from stsfusion.engine.plan import make_plan
from stsfusion.engine.planfile import save_plan
from stsfusion.engine.run import run_tile
from stsfusion.errors import PlanError
from stsfusion.fusion.answer import Quality
from stsfusion.methods import create
from stsfusion.pipeline import enginebench
from stsfusion.pipeline.enginebench import AIMS, FIGURES, EngineBench, bench_engine, missed, rows
from stsfusion.pipeline.engineread import counted, read_amplification
from stsfusion.pipeline.enginescene import EngineScene
from stsfusion.pipeline.enginestand import Bare, Run, Stand, bare_tile
from stsfusion.pipeline.ourcode import our_code
from stsfusion.testing import tiny_problem
from stsfusion.window import Window

SCENE = EngineScene(384, bands=12, dates=2)


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand")
    assert list(SCENE.write(folder / "cubes.zarr"))[-1] == 1.0
    return Stand(SCENE, folder)


def test_a_piece_of_the_scene_is_the_same_whoever_asks_but_for_its_noise():
    whole = SCENE.values("rich", 0, Window((0, 1), (0, 32), (0, 32)))
    piece = SCENE.values("rich", 0, Window((0, 1), (8, 20), (4, 30)))
    gap = piece - whole[:, 8:20, 4:30]
    assert abs(gap.std() - 5e-4 * np.sqrt(2)) < 1e-4
    assert np.ptp(whole, axis=(1, 2)).min() > 0.01
    assert not np.array_equal(whole, SCENE.values("rich", 1, Window((0, 1), (0, 32), (0, 32))))


def test_the_scene_lies_in_its_store_as_recipes_lay_cubes(stand):
    store = CubeStore(stand.folder / "cubes.zarr")
    shapes = {name: store.spec(name).shape for name in store.names()}
    assert shapes == {"rich": (1, 12, 128, 128), "sharp": (1, 8, 384, 384), "dense": (2, 8, 192, 192)}
    assert {name: store.spec(name).inner for name in store.names()} == {"rich": 32, "sharp": 96, "dense": 48}
    values, valid = store.read("dense", Window((1, 2), (0, 192), (0, 192)))
    expected = SCENE.values("dense", 1, Window((0, 1), (0, 192), (0, 192)))
    assert valid.all()
    np.testing.assert_allclose(values[0], expected, atol=5.1e-5)


def plan_of(stand, tile, name="lineartime"):
    place = {"inputs": stand.folder / "cubes.zarr", "output": stand.folder / "fused.zarr"}
    asked = {"sources": SCENE.sources, "target": SCENE.target, "method": create(name)}
    return make_plan(**place, **asked, tile=tile, shard=tile)


def by_hand(plan, role):
    """Chunks that the windows touch, in pixels, over the windows' own pixels."""
    ratio, inner = {"rich": (3, 32), "sharp": (1, 96), "dense": (2, 48)}[role]
    touched = own = 0
    for tile in plan.tiles:
        _, rows, cols = tile.padded.coarsen(ratio).__dict__.values()
        sides = [(-(-stop // inner) - start // inner) * inner for start, stop in (rows, cols)]
        touched += sides[0] * sides[1]
        own += (rows[1] - rows[0]) * (cols[1] - cols[0])
    return touched / own


@pytest.mark.parametrize("tile", [96, 192])
def test_read_amplification_is_counted_where_chunks_are_decoded(stand, tile):
    plan = plan_of(stand, tile)
    found = read_amplification(plan)
    assert set(found) == {"rich", "sharp", "dense"}
    for role, ratio in found.items():
        assert ratio == pytest.approx(by_hand(plan, role), rel=1e-6)
    assert found["rich"] > 1.2


def test_reading_more_than_is_needed_is_seen(stand):
    store = CubeStore(stand.folder / "cubes.zarr")
    sizes = []
    for window in (Window((0, 1), (0, 32), (0, 32)), Window((0, 1), (31, 33), (31, 33))):
        with counted() as decoded:
            store.read_counts("rich", window)
        sizes.append((decoded.chunks, decoded.size))
    assert sizes == [(1, 2 * 12 * 32**2), (4, 4 * 2 * 12 * 32**2)]
    with counted() as decoded:
        pass
    store.read_counts("rich", Window((0, 1), (0, 32), (0, 32)))
    assert decoded.chunks == 0, "it counts on after its end"


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_a_ratio_is_the_middle_one_of_runs_that_lie_between_their_own_bare_tiles(repeats):
    class Tiring(Rehearsed):
        """A machine that becomes slower with everything it does, and is busy with something else once."""

        def __init__(self):
            super().__init__(SCENE, None)
            object.__setattr__(self, "done", 0)

        def pace(self):
            object.__setattr__(self, "done", self.done + 1)
            return 1.0 + 0.5 * self.done

        def bare(self, plan, count=4):
            pace = self.pace()
            return Bare(80.0 * pace, 20.0 * pace)

        def run(self, plan, workers):
            own, busy = super().run(plan, workers), 3.0 if self.done == 5 else 1.0
            return replace(own, wall_s=own.wall_s * self.pace() * busy)

    ratios, behind = EngineBench(size=768, repeats=repeats).end_to_end_ratio(Tiring())
    assert ratios == pytest.approx({"network": 1.2, "closed_form": 1.2})
    assert len(behind["network"]["ratios"]) == repeats


class Rehearsed(Stand):
    """Runs nothing; says what a machine with these figures would."""

    def plan(self, method, side, tile):
        return side, tile

    def bare(self, plan, count=4):
        return Bare(80.0, 20.0)

    def run(self, plan, workers):
        side, _ = plan
        return Run(60.0 if workers == 2 else 90.0, 5.0, 40.0, (900 + (side > 384) * 45) * 2**20, 16)


def test_every_ratio_follows_from_its_figures(monkeypatch):
    monkeypatch.setattr(enginebench, "seconds_to_carry", lambda: 0.5)
    how, stand = EngineBench(size=768), Rehearsed(SCENE, None)
    ratios, behind = how.end_to_end_ratio(stand)
    assert ratios == {"network": 1.2, "closed_form": 1.2}
    assert behind["network"]["with_startup"] == 1.3
    assert how.memory_growth(stand)[0] == pytest.approx(945 / 900)
    assert how.scheduler_share(stand)[0] == 0.005
    assert how.two_worker_speedup(stand)[0] == 1.5
    assert how.gpu_busy(stand)[0] is None
    monkeypatch.setattr(enginebench, "Stand", Rehearsed)
    busy, told = replace(how, device="cuda:0").gpu_busy(stand)
    assert busy == pytest.approx(40 / 90)
    assert told["end_to_end_ratio"] == pytest.approx(90 / 80)


def test_what_misses_its_aim_is_named_and_what_was_not_measured_is_not():
    good = {
        "end_to_end_ratio": {"network": 1.1, "closed_form": 1.3},
        "memory_growth": 1.0,
        "scheduler_share": 0.0099,
        "two_worker_speedup": 1.5,
        "read_amplification": dict.fromkeys(("rich", "sharp", "dense"), 2.0),
        "gpu_busy": None,
    }
    assert missed(good) == []
    assert missed({}) == []
    bad = {**good, "scheduler_share": 0.01, "gpu_busy": 0.8, "two_worker_speedup": 1.49}
    assert missed(bad) == ["scheduler_share", "two_worker_speedup", "gpu_busy"]
    assert [row[0] for row in rows(good)] == list(AIMS)
    assert rows({"memory_growth": 1.0}) == [("memory_growth", "1", "≤ 1.1")]


@pytest.mark.parametrize("wrong", [{"size": 400}, {"size": 0}, {"figures": ("memory_grow",)}])
def test_what_cannot_be_measured_is_refused(wrong):
    with pytest.raises(PlanError, match="expected"):
        EngineBench(**wrong)


def test_the_command_writes_figures_and_what_is_behind_them(tmp_path, monkeypatch):
    def made(how, folder, tell, json_path):
        tell(0.5, "half")
        return bench_engine(replace(how, bands=12, dates=2), folder, tell, json_path)

    monkeypatch.setattr(enginebench, "bench_engine", made)
    file = tmp_path / "engine.json"
    words = ["bench", "engine", "--size", "384", "--only", "read_amplification,gpu_busy", "--json", str(file)]
    done = CliRunner().invoke(app, [*words, "--folder", str(tmp_path), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    told = json.loads(file.read_text())
    assert told["read_amplification"] == {"rich": 1.0, "sharp": 1.0, "dense": 1.0}
    assert told["gpu_busy"] is None
    assert told["figures"]["read_amplification"]["tile"] == 384
    assert told["missed"] == []
    assert "read_amplification.rich" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["engine.json"]


def test_a_bare_tile_writes_what_a_run_writes(tmp_path):
    """The same bytes, ground that no sensor saw and dead bands included."""
    problem = tiny_problem(size=24, bands=6, dates=3)
    blind = {role: seen.valid.expand_as(seen.data).clone() for role, seen in problem.observations.items()}
    for role, valid in blind.items():
        valid[:, :, : 12 // problem.observations[role].ratio] = False
    blind["rich"][:, 2] = False
    seen = {role: replace(o, valid=blind[role]) for role, o in problem.observations.items()}
    bench = Bench.of(problem.with_observations(seen), tmp_path)
    plan = bench.plan(create("bicubic"), tmp_path / "fused.zarr", 24)
    (tile,) = plan.tiles
    written = []
    for begin in (lambda: run_tile(plan, tile), lambda: bare_tile(str(tmp_path / "plan"), "x", tile.key)):
        shutil.rmtree(plan.output, ignore_errors=True)
        bench.begin(plan, 24)
        save_plan(plan, tmp_path / "plan", our_code(plan.method))
        begin()
        written.append(checksum(plan, tile))
    assert written[0] == written[1]
    flags = CubeStore(plan.output).read_qa("", Window.whole(3, 24, 24), staged=True)
    assert (flags[:, :12] == int(Quality.NO_DATA)).all()


@pytest.mark.slow
def test_the_engine_runs_and_every_figure_is_there(tmp_path):
    result = bench_engine(EngineBench(size=384, bands=12, dates=2, repeats=1), tmp_path)
    assert set(FIGURES) <= set(result)
    for part in ("network", "closed_form"):
        assert 0.9 < result["end_to_end_ratio"][part] < 10
        assert result["figures"]["end_to_end_ratio"][part]["tiles"] == 16
    assert 0.5 < result["memory_growth"] < 1.5
    assert 0 < result["scheduler_share"] < 1
    assert 0.4 < result["two_worker_speedup"] < 3
    assert list(tmp_path.iterdir()) == []
