"""A run on another device, from samples to shards: what is published is what a run on the CPU publishes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from engines import Bench
from pretended import DEVICE, pretended

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine import exchange
from stsfusion.engine.parts import in_parts
from stsfusion.engine.planfile import load_plan, save_plan
from stsfusion.engine.run import run_tile
from stsfusion.engine.samples import Samples, sample_windows
from stsfusion.fusion.method import Geometry
from stsfusion.pipeline.product import factors_for
from stsfusion.testing import tiny_problem

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU to ask")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    problem = tiny_problem(size=48, dates=3, gaps=True)
    dead = problem.rich.valid.expand(problem.rich.data.shape).clone()
    dead[:, 7] = False
    problem = replace(problem, rich=replace(problem.rich, valid=dead))
    return Bench.of(problem, tmp_path_factory.mktemp("bench"))


def learnt(bench, name, folder, device):
    """The plan as a worker has it that read it from a file; the method learned on the device."""
    maker = methods.kind(name).example()
    plan = bench.plan(maker, folder / "fused.zarr", 24, device=device)
    windows = sample_windows(plan, count=1, size=48, seed=0)
    save_plan(plan.with_method(maker.fit(Samples(plan, windows))), folder / "plan")
    return load_plan(folder / "plan", maker)


def published(plan, bench, product):
    """Values, mask, flags and deviations of all tiles."""
    factors = factors_for(plan, product, 24, [plan.output])
    spec = bench.begin(replace(plan, output=plan.output.with_name("frame.zarr")), 24)
    spec = replace(spec, sigma=plan.method.card.sigma, factors=factors)
    store = CubeStore(plan.output)
    store.create("", spec)
    for tile in plan.tiles:
        run_tile(plan, tile)
    store.publish()
    deviations = store.read_sigma("", spec.window) if spec.sigma else np.zeros(0)
    return (*store.read("", spec.window), store.read_qa("", spec.window), deviations)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("gsa", "full"),
        pytest.param("mixreg", "full", marks=pytest.mark.slow),
        pytest.param("jointlr", "compact", marks=pytest.mark.slow),
        pytest.param("stsnet", "compact", marks=pytest.mark.slow),
    ],
)
def test_a_run_there_publishes_what_a_run_here_does(bench, tmp_path, name, product):
    here = published(learnt(bench, name, tmp_path / "here", "cpu"), bench, product)
    with pretended():
        plan = learnt(bench, name, tmp_path / "there", str(DEVICE))
        assert {each.device.type for each in plan.method.state.values()} == {DEVICE.type}
        there = published(plan, bench, product)
    for one, other, step in zip(there, here, (1e-4, 0, 0, 1e-4), strict=True):
        np.testing.assert_allclose(one.astype(float), other, rtol=0, atol=1.01 * step)


def test_parts_are_put_together_on_the_cpu(bench, tmp_path):
    plan = learnt(bench, "gsa", tmp_path, "cpu")
    problem = exchange.read_window(plan, plan.tiles[0].padded)
    here = plan.method.fuse(problem)
    with pretended():
        there = in_parts(plan.method, problem.to(DEVICE), Geometry.of(problem), 24)
    assert there.full().device.type == there.quality.device.type == "cpu"
    assert torch.allclose(there.full(), here.full(), atol=plan.method.card.seam)
