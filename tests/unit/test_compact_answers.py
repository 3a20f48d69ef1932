"""Factored answers through the engine: a compact series errs by half a step at most, whatever the method."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engines import Bench

from stsfusion import methods
from stsfusion.cube.factors import BOUND
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.engine import exchange
from stsfusion.engine.factoring import anchors_of, factors_of
from stsfusion.engine.need import need_of, refuse_if_no_room
from stsfusion.engine.run import run_tile
from stsfusion.errors import PlanError
from stsfusion.fusion.answer import Answer, Factored, Quality
from stsfusion.fusion.method import Card, FusionMethod
from stsfusion.pipeline.product import factors_for, size_of
from stsfusion.testing import tiny_problem

PACKAGE = Path(methods.__file__).parents[1]


def factored():
    """Every method whose own file, or one of `learning` that it imports, makes factored answers."""
    for name in methods.names():
        text = (PACKAGE / "methods" / f"{name}.py").read_text()
        parts = re.findall(r"^from stsfusion\.learning\.(\w+) import", text, re.MULTILINE)
        if any(
            "Factored(" in t for t in (text, *((PACKAGE / f"learning/{p}.py").read_text() for p in parts))
        ):
            yield name


@dataclass
class Coarse(FusionMethod):
    """The sharp bands as coefficients, and a coarse image beside them."""

    turned: bool = False
    """Whether the basis depends on the tile."""

    @property
    def card(self):
        return Card(name="coarse", title="For tests", source="stsfusion", needs=("rich", "sharp"), fits="no")

    def halo(self, geometry):
        return 12

    def fuse(self, problem):
        rich, sharp = problem.require("rich", "sharp", by="coarse")
        time, band, y, x = problem.target.shape
        basis = torch.linspace(-1.0, 2.0, 4 * band).sin().reshape(4, band)
        if self.turned:
            basis = basis + sharp.data.mean()
        quality = torch.full((time, 1, y, x), int(Quality.FUSED), dtype=torch.uint8)
        quality[1, :, 2:5] = int(Quality.NO_DATA)
        residual = 0.1 * rich.data[:1].expand(time, -1, -1, -1)
        sigma = 0.01 + 0.1 * sharp.data[:1, :1].abs().expand(time, -1, -1, -1)
        maps = sharp.data[:1].expand(time, -1, -1, -1)
        return Answer(Factored(maps, basis, torch.full((band,), 0.1), residual), quality, sigma)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench.of(tiny_problem(size=48, dates=4, gaps=True), tmp_path_factory.mktemp("bench"))


def fitted(bench, method):
    return method.fit([bench.problem])


def begin(bench, plan, product="compact", **more):
    """Create the output of a plan as a compact series."""
    spec = bench.begin(replace(plan, output=plan.output.with_name("frame.zarr")), 24)
    factors = factors_for(plan, product, 24, [plan.output])
    assert factors is not None
    spec = replace(spec, inner=12, sigma=factors.anchors is not None, factors=replace(factors, **more))
    CubeStore(plan.output).create("", spec)
    return spec


def errors(plan, spec):
    """Of values and of their deviation: largest differences to what each tile answered, at known values."""
    values, known = CubeStore(plan.output).read("", spec.window)
    worst, relative = 0.0, 0.0
    for tile in plan.tiles:
        with torch.inference_mode():
            answer = plan.method.fuse(exchange.read_window(plan, tile.padded))
        inside, out = tile.interior.slices, tile.core.slices
        ours, here = values[out], np.broadcast_to(known, values.shape)[out]
        theirs = answer.full()[inside].clamp(-3.2767, 3.2767).numpy()
        worst = max(worst, np.abs(ours - theirs)[here].max())
        if spec.sigma:
            stated = answer.sigma.expand(answer.shape)[inside].numpy()
            found = CubeStore(plan.output).read_sigma("", tile.core)
            relative = max(relative, np.abs(found / stated - 1)[here].max())
    assert known.mean() > 0.5
    return worst, relative


@pytest.fixture(scope="module", params=[*factored(), "coarse"])
def plan(request, bench, tmp_path_factory):
    """A compact series by each method, published."""
    name = request.param
    method = Coarse() if name == "coarse" else fitted(bench, type(methods.create(name)).example())
    plan = bench.plan(method, tmp_path_factory.mktemp(name) / "fused.zarr", 24)
    begin(bench, plan)
    for tile in plan.tiles:
        run_tile(plan, tile)
    CubeStore(plan.output).publish()
    return plan


def test_the_methods_that_factor_are_found():
    assert {"stsnet", "jointlr"} <= set(factored())
    assert "gsa" not in factored()


def test_no_value_errs_by_more_than_half_a_step(plan):
    spec = CubeStore(plan.output).spec("")
    worst, relative = errors(plan, spec)
    assert 0.01 * BOUND < worst <= BOUND
    assert relative <= 0.05
    assert verify(plan.output).damages == ()


def test_a_run_that_goes_on_gives_the_same_bytes(bench, plan, tmp_path):
    again = replace(plan, output=tmp_path / "fused.zarr")
    begin(bench, again)
    for tile in again.tiles[:2]:
        run_tile(again, tile)
    begin(bench, again)
    for tile in reversed(again.tiles[1:]):
        run_tile(again, tile)
    CubeStore(again.output).publish()
    for tile in plan.tiles:
        assert exchange.checksum(plan, tile, staged=False) == exchange.checksum(again, tile, staged=False)


def test_steps_too_coarse_are_found_out(bench, tmp_path):
    plan = bench.plan(Coarse(), tmp_path / "fused.zarr", 24)
    honest = factors_for(plan, "compact", 24)
    spec = begin(bench, plan, step=6 * honest.step)
    for tile in plan.tiles:
        with pytest.raises(PlanError, match="another basis"):
            run_tile(plan, tile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stsfusion.engine.exchange.require_same", lambda *told: None)
        for tile in plan.tiles:
            run_tile(plan, tile)
    CubeStore(plan.output).publish()
    assert errors(plan, spec)[0] > BOUND


def test_a_basis_of_its_own_in_every_tile_is_refused(bench, tmp_path):
    plan = bench.plan(Coarse(turned=True), tmp_path / "fused.zarr", 24)
    begin(bench, plan)
    with pytest.raises(PlanError, match=r"product: full"):
        run_tile(plan, plan.tiles[-1])


def test_answers_in_full_are_kept_in_full(bench, tmp_path):
    plan = bench.plan(methods.create("bicubic"), tmp_path / "fused.zarr", 24)
    assert factors_for(plan, "auto", 24) is None
    with pytest.raises(PlanError, match="'bicubic', which answers in full"):
        factors_for(plan, "compact", 24)


def test_maps_are_kept_of_themselves_only_where_they_pay(bench, tmp_path):
    plan = bench.plan(Coarse(), tmp_path / "fused.zarr", 24)
    assert factors_for(plan, "full", 24) is None
    factors = factors_for(plan, "auto", 24)
    assert factors.gain == pytest.approx(20 / (4 + 20 / 9))
    assert factors_for(plan, "auto", 25) is None


def test_room_is_asked_for_what_maps_take(bench, tmp_path, monkeypatch):
    plan = bench.plan(Coarse(), tmp_path / "fused.zarr", 24)
    spec, need = begin(bench, plan), need_of(plan)
    maps, residual, sigma, planes, dead = 4 * 2, 20 * 2 / 9, 2, 3, 20 * 4 / 48**2
    assert size_of(spec) == pytest.approx(4 * 48**2 * (maps + residual + sigma + planes + dead))
    assert size_of(spec) < need.disk / 2
    few = SimpleNamespace(free=(size_of(spec) + need.disk) // 2)
    monkeypatch.setattr("stsfusion.engine.need.shutil.disk_usage", lambda path: few)
    with pytest.raises(PlanError, match="room for"):
        refuse_if_no_room(plan.output, need.disk)
    refuse_if_no_room(plan.output, need.disk, spare=need.disk - few.free)
    refuse_if_no_room(plan.output, size_of(spec))
    few.free = size_of(spec) - 1
    with pytest.raises(PlanError, match=r"room for .* \(by what is written already\)"):
        refuse_if_no_room(plan.output, size_of(spec), measured=True)


def test_gaps_are_those_of_the_full_series(bench, tmp_path):
    plans = [bench.plan(Coarse(), tmp_path / f"{kind}.zarr", 24) for kind in ("compact", "full")]
    spec = begin(bench, plans[0])
    CubeStore(plans[1].output).create("", replace(spec, factors=None))
    dead = torch.arange(20) == 7
    stores, shares = [], []
    for plan in plans:
        answers = [Coarse().fuse(exchange.read_window(plan, tile.padded)) for tile in plan.tiles]
        written = [exchange.write(plan, *pair, dead) for pair in zip(plan.tiles, answers, strict=True)]
        shares.append([round(each.valid, 6) for each in written])
        stores.append(CubeStore(plan.output))
        stores[-1].publish()
    (ours, known), (theirs, there) = (store.read("", spec.window) for store in stores)
    assert np.array_equal(np.broadcast_to(known, ours.shape), np.broadcast_to(there, ours.shape))
    assert not known[:, 7].any()
    assert shares[0] == shares[1]
    assert np.abs(ours - theirs).max() <= 2 * BOUND
    assert np.array_equal(*(store.read_qa("", spec.window) for store in stores))


def test_ground_that_no_sensor_saw_is_a_gap_of_the_maps(bench, tmp_path):
    plan = bench.plan(Coarse(), tmp_path / "compact.zarr", 24)
    spec = begin(bench, plan)
    for tile in plan.tiles:
        hidden = torch.zeros(tile.padded.shape[1:], dtype=torch.bool)
        if tile.core.rows[0] == 0:
            hidden[tile.interior.slices[2].start :][:6] = True
        exchange.write(plan, tile, Coarse().fuse(exchange.read_window(plan, tile.padded)), hidden=hidden)
    store = CubeStore(plan.output)
    store.publish()
    _, known = store.read("", spec.window)
    assert not known[..., :6, :].any()
    assert known[..., 6:, :].all()
    assert ((store.read_qa("", spec.window) == Quality.NO_DATA).any((0, 2)) == (np.arange(48) < 6)).all()


def test_what_an_answer_has_in_common_is_read_off_it():
    answer = Answer(torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.uint8))
    assert factors_of(answer) is None
    assert anchors_of(answer) is None
