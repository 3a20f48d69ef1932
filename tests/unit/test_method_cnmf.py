"""cnmf against the whole method written out in numpy, and its updates against what they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.learning.unmixing import vertices
from stsfusion.methods.cnmf import CNMF, more_endmembers, more_shares
from stsfusion.operators.degradation import Degradation
from stsfusion.testing import fuse_tiled, tiny_problem

UNITY = 0.7455
"""The mean for which the sum to one weighs 2 / l³."""


def factors(seed=0, bands=9, pixels=40, count=5):
    dice = np.random.default_rng(seed)
    return dice.random((bands, pixels)), dice.random((bands, count)), dice.random((count, pixels))


def shares_by_hand(x, w, h, steps):
    for _ in range(steps):
        h = np.array([h[i] * (w[:, i] @ x) / (w[:, i] @ (w @ h)) for i in range(len(h))])
    return h


def endmembers_by_hand(x, w, h):
    """All rows but the last, the weight of the sum to one."""
    new = w.copy()
    for b in range(len(w) - 1):
        new[b] = w[b] * (h @ x[b]) / (h @ (w[b] @ h))
    return new


def by_hand(problem, count, rounds, steps):
    """(L, H, W) of the only date, the whole scene in one piece; pixels that see the edge teach nothing."""
    z, y = (seen.data[0].double().numpy() for seen in (problem.rich, problem.sharp))
    kernel, ratio = problem.rich.view.spatial.kernel.numpy(), problem.rich.ratio
    response = problem.sharp.view.spectral.matrix.double().numpy()
    level = max(z.max(), y.max())
    z, y = np.maximum(z / level, 1e-6), np.maximum(y / level, 1e-6)
    weight = 2 * np.sqrt(y.mean() / UNITY) / len(y) ** 3

    def stacked(x, value=weight):
        flat = x.reshape(len(x), -1)
        return np.vstack([flat, np.full(flat.shape[1], value)])

    def inner(image):
        return image[:, 1:-1, 1:-1]

    def alternated(x, w, h):
        for _ in range(steps):
            w = endmembers_by_hand(x, w, h)
            h = shares_by_hand(x, w, h, 1)
        return w, h

    def seen(w):
        return np.vstack([response @ w[:-1], w[-1:]])

    coarse, fine, low = stacked(inner(z)), stacked(y), None
    pure = vertices(torch.from_numpy(coarse[:-1]).float(), count, 0).double().numpy()
    first = stacked(np.maximum(pure, 1e-6))
    h = np.full((count, coarse.shape[1]), 1 / count)
    w, _ = alternated(coarse, first, shares_by_hand(coarse, first, h, steps))
    h = np.full((count, z[0].size), 1 / count)
    h = shares_by_hand(stacked(z), w, shares_by_hand(stacked(z), first, h, steps), steps)
    h = np.maximum(enlarged(h.reshape(count, *z.shape[1:]), ratio), 1e-4 / count).reshape(count, -1)
    for _ in range(rounds):
        if low is not None:
            for _ in range(steps):
                w = endmembers_by_hand(coarse, w, low)
            w, _ = alternated(coarse, w, low)
        h = shares_by_hand(fine, seen(w), h, steps)
        low = inner(blurred(h.reshape(count, *y.shape[1:]), kernel, ratio)).reshape(count, -1)
    return (level * w[:-1] @ h).reshape(len(z), *y.shape[1:])


def single(ratio=3, **settings):
    return tiny_problem(size=24, bands=12, dates=1, ratios=(ratio, 2), roles=("rich", "sharp"), **settings)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def test_it_equals_the_whole_method_by_hand():
    problem = single()
    method = CNMF(psf="given", endmembers=6, rounds=3, steps=30)
    found = method.fit([problem.question()]).fuse(problem.question()).full()[0].numpy()
    expected = by_hand(problem, 6, 3, 30)
    truth = problem.truth[0].numpy()
    assert rms(found - truth) == pytest.approx(rms(expected - truth), rel=0.02)
    assert rms(found - expected) < 0.02 * rms(expected - truth)
    assert rms(by_hand(problem, 6, 1, 30) - expected) > 0.1 * rms(expected - truth), "rounds must matter"


def test_the_updates_equal_the_loops_and_never_make_it_worse():
    x, w, h = factors()
    tx, tw, th = (torch.from_numpy(v) for v in (x, w, h))
    np.testing.assert_allclose(more_shares(tx, tw, th, 7).numpy(), shares_by_hand(x, w, h, 7))
    np.testing.assert_allclose(more_endmembers(tx, tw, th).numpy(), endmembers_by_hand(x, w, h))
    costs = [float((tx - tw @ th).square().sum())]
    for step in range(60):
        if step % 2:
            th = more_shares(tx, tw, th, 1)
        else:
            tw = more_endmembers(tx, tw, th)
        costs.append(float((tx - tw @ th).square().sum()))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.5 * costs[0]
    inverse = h * (w.T @ w @ h) / (w.T @ x)
    assert np.sum((x - w @ inverse) ** 2) > costs[0], "the quotient upside down makes it worse"


def test_pixels_are_unmixed_one_by_one(monkeypatch):
    x, w, h = (torch.from_numpy(v) for v in factors())
    whole = more_shares(x, w, h, 20)
    torch.testing.assert_close(more_shares(x[:, 3:9], w, h[:, 3:9], 20), whole[:, 3:9])
    monkeypatch.setattr("stsfusion.methods.cnmf._CHUNK", 7)
    torch.testing.assert_close(more_shares(x, w, h, 20), whole)


def test_no_round_is_kept_that_fits_worse():
    problem = single().question()
    fitted = CNMF(psf="given", endmembers=5, rounds=3, steps=20).fit([problem])
    path = fitted.state["0.path"]
    assert path.shape == (4, 13, 5)
    assert bool((path > 0).all())
    assert torch.equal(path[:, -1], fitted.state["0.unity"].expand(4, 5))


def test_a_round_that_fits_worse_ends_it(monkeypatch):
    problem = single().question()
    costs = iter([1.0, 1.0, 0.5, 0.5, 0.7, 0.7])
    monkeypatch.setattr("stsfusion.methods.cnmf._misfit", lambda *_: next(costs))
    path = CNMF(psf="given", endmembers=5, rounds=9, steps=5).fit([problem]).state["0.path"]
    assert len(path) == 1 + 2


def test_many_updates_leave_no_seam():
    problem = tiny_problem(size=96, bands=8, dates=1, roles=("rich", "sharp")).question()
    fitted = CNMF(psf="box", endmembers=6, rounds=2, steps=100).fit([problem])
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
    answer = CNMF.example(psf="given").fit([problem]).fuse(problem).full()
    assert bool(torch.isfinite(answer).all())
    assert bool((answer >= 0).all())


def test_a_single_broad_band_is_enough():
    problem = single()
    sharp = problem.sharp.view.spectral.matrix.mean(0, keepdim=True)
    view = Degradation.of(problem.target.shape, dates=[0], spectral=sharp)
    pan = replace(problem.sharp, data=problem.sharp.data.mean(1, keepdim=True), noise=None, view=view)
    problem = problem.with_observations({"rich": problem.rich, "sharp": pan})
    found = CNMF(psf="given", endmembers=6, steps=100).fit([problem.question()]).fuse(problem.question())
    error = rms((found.full() - problem.truth).numpy())
    assert error < 0.9 * rms(enlarged(problem.rich.data[0].numpy(), 3) - problem.truth[0].numpy())


def test_the_answer_grows_with_the_data():
    problem = single()
    bright = changed(problem, lambda x: 1000.0 * x)
    one, other = (
        CNMF.example(psf="given").fit([p.question()]).fuse(p.question()).full() for p in (problem, bright)
    )
    torch.testing.assert_close(other, 1000.0 * one, rtol=1e-3, atol=1e-2)
