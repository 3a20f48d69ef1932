"""Sampled windows: inside, on every grid, spread over the area, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engines import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from stsfusion.engine.plan import Source, make_plan
from stsfusion.engine.samples import Samples, sample_windows
from stsfusion.fusion.problem import Target
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


def plan_of(rows, cols, ratios=(3, 2)):
    rich, dense = (
        Source(role, role, (0, 1), ratio, gaussian_kernel(ratio, ratio).numpy())
        for role, ratio in zip(("rich", "dense"), ratios, strict=True)
    )
    target = Target((2, 4, rows, cols), torch.arange(4.0), torch.arange(2.0))
    return make_plan(
        inputs=Path("i"),
        output=Path("o"),
        sources=(rich, dense),
        target=target,
        method=Bicubic(),
        tile=384,
        shard=384,
    )


@settings(max_examples=60)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 20), st.integers(6, 100), st.integers(0, 99))
def test_windows_lie_inside_on_multiples(rows, cols, count, size, seed):
    plan = plan_of(6 * rows, 6 * cols)
    found = sample_windows(plan, count=count, size=size, seed=seed)
    whole = Window.whole(2, 6 * rows, 6 * cols)
    side = -(-size // 6) * 6
    assert 1 <= len(found) <= count
    for window in found:
        assert whole.contains(window)
        assert window.dates == (0, 2)
        assert not any(edge % 6 for edge in (*window.rows, *window.cols))
    if found != (whole,):
        assert {window.shape for window in found} == {(2, min(side, 6 * rows), min(side, 6 * cols))}


def test_a_small_scene_is_taken_whole():
    plan = plan_of(120, 120)
    assert sample_windows(plan, count=4, size=60, seed=0) == (Window.whole(2, 120, 120),)
    assert sample_windows(plan, count=4, size=48, seed=0) != (Window.whole(2, 120, 120),)


def test_they_are_spread_over_the_area():
    found = sample_windows(plan_of(1200, 1200), count=16, size=96, seed=5)
    cells = {((w.rows[0] + 48) // 300, (w.cols[0] + 48) // 300) for w in found}
    assert len(found) == len(cells) == 16


@pytest.mark.parametrize(("rows", "cols", "lattice"), [(1200, 300, (8, 2)), (300, 1200, (2, 8))])
def test_the_lattice_follows_the_areas_shape(rows, cols, lattice):
    found = sample_windows(plan_of(rows, cols), count=16, size=60, seed=0)
    assert (len({w.rows[0] // (rows // lattice[0]) for w in found}), len(found)) == (lattice[0], 16)


def test_the_seed_decides():
    plan = plan_of(1200, 1200)
    one, again, other = (sample_windows(plan, count=9, size=96, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    bench = Bench.of(tiny_problem(size=48, bands=5, dates=3), folder)
    plan = bench.plan(GSA(), folder / "fused.zarr", 24)
    return bench, Samples(plan, sample_windows(plan, count=4, size=18, seed=0))


def test_samples_are_the_problem_cropped_and_never_hold_the_truth(samples):
    bench, found = samples
    assert len(found) == 4
    for window, problem in zip(found.windows, found, strict=True):
        assert problem.truth is None
        assert torch.equal(problem.rich.data, bench.problem.crop(window).rich.data)


def test_samples_are_walked_twice_alike(samples):
    _, found = samples
    first, second = ([p.rich.data for p in found] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_samples_are_a_sequence(samples):
    _, found = samples
    assert torch.equal(found[-1].rich.data, list(found)[3].rich.data)
    assert isinstance(found[1:], Samples)
    assert len(found[1:]) == 3
    with pytest.raises(IndexError):
        found[4]


def test_a_method_learns_from_them_as_from_problems(samples):
    bench, found = samples
    ours = GSA().fit(found).state
    theirs = GSA().fit([bench.problem.crop(window) for window in found.windows]).state
    assert "0.weights" in ours
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
