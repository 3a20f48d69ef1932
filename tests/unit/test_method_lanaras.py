"""lanaras against the whole method written out in numpy, and its steps against what they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.learning.unmixing import abundances, enclosing, on_simplex, stride, vertices
from stsfusion.methods.lanaras import Lanaras, better_endmembers
from stsfusion.operators.degradation import Degradation
from stsfusion.testing import fuse_tiled, tiny_problem

SETTINGS = {"endmembers": 4, "most": 25, "coarse_steps": 60, "fine_steps": 30, "corner_steps": 50}


def projected(v):
    """Columns on the simplex, by halving the interval in which the threshold lies."""
    low, high = v.min(0) - 1.0, v.max(0)
    for _ in range(80):
        middle = (low + high) / 2
        over = np.maximum(v - middle, 0).sum(0) > 1
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.maximum(v - high, 0)


def longest(matrix):
    return 0.99 / np.linalg.svd(matrix, compute_uv=False)[0] ** 2


def unmixed(x, e, steps, start):
    """Accelerated projected gradients."""
    now = ahead = start
    t = 1.0
    for _ in range(steps):
        before, now = now, projected(ahead - longest(e) * e.T @ (e @ ahead - x))
        after = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead, t = now + (t - 1) / after * (now - before), after
    return now


def by_hand(problem, endmembers, most, coarse_steps, fine_steps, corner_steps, tolerance=1e-3):
    """(L, H, W) of the only date, the endmembers, and the alternations; edges teach nothing."""
    z, y = (seen.data[0].double().numpy() for seen in (problem.rich, problem.sharp))
    kernel, ratio = problem.rich.view.spatial.kernel.numpy(), problem.rich.ratio
    response = problem.sharp.view.spectral.matrix.double().numpy()
    level = max(z.max(), y.max())
    z, y = z / level, y / level
    fine, clear = y.reshape(len(y), -1), z[:, 1:-1, 1:-1].reshape(len(z), -1)

    def started(e):
        equal = np.full((endmembers, z[0].size), 1 / endmembers)
        a = unmixed(z.reshape(len(z), -1), e, coarse_steps, equal)
        wide = enlarged(a.reshape(endmembers, *z.shape[1:]), ratio)
        return projected(wide.reshape(endmembers, -1))

    def low(a):
        seen = blurred(a.reshape(endmembers, *y.shape[1:]), kernel, ratio)
        return seen[:, 1:-1, 1:-1].reshape(endmembers, -1)

    def cost(e, a):
        return ((clear - e @ low(a)) ** 2).sum() + ((fine - response @ e @ a) ** 2).sum()

    pixels = torch.from_numpy(clear).float()
    e = enclosing(pixels, vertices(pixels, endmembers, 0), corner_steps).clamp(0, 1).double().numpy()
    a = started(e)
    last = cost(e, a)
    for done in range(most):  # noqa: B007
        s = low(a)
        e = np.clip(e - longest(s) * (e @ s - clear) @ s.T, 0, 1)
        seen = response @ e
        a = projected(a - longest(seen) * seen.T @ (seen @ a - fine))
        now = cost(e, a)
        if abs(last - now) <= tolerance * last:
            break
        last = now
    a = unmixed(fine, response @ e, fine_steps, started(e))
    return (level * e @ a).reshape(len(z), *y.shape[1:]), e, done + 1


def single(ratio=3, **settings):
    return tiny_problem(size=24, bands=12, dates=1, ratios=(ratio, 2), roles=("rich", "sharp"), **settings)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.mark.parametrize("tolerance", [1e-3, 0.15])
def test_it_equals_the_whole_method_by_hand(tolerance):
    problem = single()
    fitted = Lanaras(psf="given", tolerance=tolerance, **SETTINGS).fit([problem.question()])
    found = fitted.fuse(problem.question()).full()[0].numpy()
    expected, endmembers, alternations = by_hand(problem, **SETTINGS, tolerance=tolerance)
    assert (alternations < SETTINGS["most"]) == (tolerance == 0.15), "both ends of fitting must be met"
    truth = problem.truth[0].numpy()
    assert rms(found - truth) == pytest.approx(rms(expected - truth), rel=0.02)
    assert rms(found - expected) < 0.02 * rms(expected - truth)
    np.testing.assert_allclose(fitted.state["0.endmembers"].numpy(), endmembers, atol=1e-3)


def test_both_steps_never_raise_the_cost():
    dice = np.random.default_rng(0)
    e = torch.from_numpy(dice.random((9, 4)))
    a = on_simplex(torch.from_numpy(dice.random((4, 50))))
    x = torch.from_numpy(dice.random((9, 4)) @ dice.dirichlet(np.ones(4), 50).T)
    costs = [float((x - e @ a).square().sum())]
    for step in range(200):
        if step % 2:
            a = abundances(x, e, 1, a, 0.99 * stride(e))
        else:
            e = better_endmembers(x, e, a)
        costs.append(float((x - e @ a).square().sum()))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.05 * costs[0]
    assert bool(((e >= 0) & (e <= 1)).all())


def test_the_step_of_the_endmembers_is_the_formula():
    dice = np.random.default_rng(1)
    x, e, a = dice.random((9, 50)), dice.random((9, 4)), dice.dirichlet(np.ones(4), 50).T
    expected = np.clip(e - longest(a) * (e @ a - x) @ a.T, 0, 1)
    found = better_endmembers(*(torch.from_numpy(v) for v in (x, e, a))).numpy()
    np.testing.assert_allclose(found, expected)
    assert torch.isfinite(better_endmembers(torch.ones(3, 5), torch.ones(3, 2), torch.zeros(2, 5))).all()


def test_what_fuse_needs_is_in_the_state():
    fitted = Lanaras(psf="given", **SETTINGS).fit([single().question()])
    own = {name.removeprefix("0."): t for name, t in fitted.state.items()}
    endmembers, response = own["endmembers"], own["model.response"].float()
    assert endmembers.shape == (12, 4)
    assert bool(((endmembers >= 0) & (endmembers <= 1)).all())
    assert float(own["coarse_step"]) == pytest.approx(longest(endmembers.numpy()), rel=1e-4)
    assert float(own["fine_step"]) == pytest.approx(longest((response @ endmembers).numpy()), rel=1e-4)


def test_the_small_simplex_reaches_what_the_purest_pixels_cannot():
    problem = tiny_problem(size=48, dates=1, roles=("rich", "sharp"))
    settings = {"psf": "given", "endmembers": 4, "coarse_steps": 300}

    def error(**more):
        fitted = Lanaras(**settings, **more).fit([problem.question()])
        return rms((fitted.fuse(problem.question()).full() - problem.truth).numpy())

    assert error(corner_steps=400, most=1) < 0.8 * error(corner_steps=0, most=1)


def test_many_steps_leave_no_seam():
    problem = tiny_problem(size=96, bands=8, dates=1, roles=("rich", "sharp")).question()
    fitted = Lanaras(psf="box", **SETTINGS | {"coarse_steps": 300, "fine_steps": 100}).fit([problem])
    assert float((fuse_tiled(fitted, problem, 24) - fitted.fuse(problem).full()).abs().max()) < 1e-5


def changed(problem, change):
    data = {role: replace(seen, data=change(seen.data)) for role, seen in problem.observations.items()}
    return replace(problem.with_observations(data), truth=change(problem.truth))


def with_hole(x):
    x = x.clone()
    x[..., : x.shape[-2] // 2, : x.shape[-1] // 2] = 0.0
    return x


@pytest.mark.parametrize(
    "change", [lambda x: x - 0.1, lambda x: 5.0 * x, with_hole, torch.zeros_like], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_odd_data_give_finite_answers(change, ratio):
    problem = changed(single(ratio), change).question()
    answer = Lanaras.example(psf="given").fit([problem]).fuse(problem).full()
    assert bool(torch.isfinite(answer).all())


def test_a_single_broad_band_is_enough():
    problem = single()
    sharp = problem.sharp.view.spectral.matrix.mean(0, keepdim=True)
    view = Degradation.of(problem.target.shape, dates=[0], spectral=sharp)
    pan = replace(problem.sharp, data=problem.sharp.data.mean(1, keepdim=True), noise=None, view=view)
    problem = problem.with_observations({"rich": problem.rich, "sharp": pan})
    found = Lanaras(psf="given", **SETTINGS).fit([problem.question()]).fuse(problem.question())
    error = rms((found.full() - problem.truth).numpy())
    assert error < 0.9 * rms(enlarged(problem.rich.data[0].numpy(), 3) - problem.truth[0].numpy())


def test_the_answer_grows_with_the_data():
    problem = single()
    bright = changed(problem, lambda x: 1000.0 * x)
    one, other = (
        Lanaras.example(psf="given").fit([p.question()]).fuse(p.question()).full() for p in (problem, bright)
    )
    torch.testing.assert_close(other, 1000.0 * one, rtol=1e-3, atol=1e-1)
