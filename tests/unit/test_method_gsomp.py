"""gsomp against the pursuit written out in numpy, patch by patch and pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.methods.gsomp import GSOMP
from stsfusion.testing import fuse_tiled, tiny_problem


def best(rows, target, allowed, start):
    """Lawson and Hanson's algorithm for one target, from the atoms that were in."""
    x, inside = start.copy(), start > 0
    while True:
        slope = np.where(allowed & ~inside, rows @ (target - x @ rows), -np.inf)
        if inside.sum() > len(target) or slope.max() <= 1e-10 * np.linalg.norm(target):
            return x
        inside[slope.argmax()] = True
        while True:
            aim = np.zeros_like(x)
            aim[inside] = np.linalg.lstsq(rows[inside].T, target, rcond=None)[0]
            low = inside & (aim <= 0)
            if not low.any():
                break
            x = x + (x[low] / (x[low] - aim[low])).min() * (aim - x)
            inside &= x > 1e-14 * x.max()
            x[~inside] = 0.0
        x = aim


def pursued(pixels, rows, chunk, gamma):
    """(p, K) for the (p, l) pixels of a patch."""
    allowed = np.zeros(len(rows), bool)
    found = np.zeros((len(pixels), len(rows)))
    left, before = pixels, np.linalg.norm(pixels)
    while not allowed.all():
        length = np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-300)
        alike = np.where(allowed, -np.inf, rows @ (left / length).sum(0))
        for k in np.argsort(-alike)[: min(chunk, (~allowed).sum())]:
            allowed[k] = True
        found = np.array([best(rows, one, allowed, x) for one, x in zip(pixels, found, strict=True)])
        left = pixels - found @ rows
        now = np.linalg.norm(left)
        if now >= gamma * before or now <= 1e-7 * np.linalg.norm(pixels):
            break
        before = now
    return found


def by_hand(problem, atoms, response, method):
    """(L, H, W) float64 of the only date."""
    y, ratio = problem.sharp.data[0].double().numpy(), problem.rich.ratio
    side = method.side(ratio)
    seen = response @ atoms
    size = np.linalg.norm(seen, axis=0)
    total, times = np.zeros((len(atoms), *y.shape[1:])), np.zeros(y.shape[1:])
    for r in range(0, y.shape[1] - side + 1, ratio):
        for c in range(0, y.shape[2] - side + 1, ratio):
            where = (slice(None), slice(r, r + side), slice(c, c + side))
            found = pursued(y[where].reshape(len(y), -1).T, (seen / size).T, method.chunk, method.gamma)
            total[where] += ((atoms / size) @ found.T).reshape(-1, side, side)
            times[where[1:]] += 1
    return total / times


@pytest.mark.parametrize(("patch", "chunk"), [(3, 20), (6, 5)])
def test_equals_the_plain_formula(patch, chunk):
    problem = tiny_problem(size=24, bands=8, dates=1).question()
    method = GSOMP(psf="given", atoms=12, patch=patch, chunk=chunk, rounds=4, sparsity=0.1).fit([problem])
    response = problem.sharp.view.spectral.matrix.double().numpy()
    expected = by_hand(problem, method.state["0.atoms"].double().numpy(), response, method)
    fused = method.fuse(problem).full()[0].numpy()
    assert np.sqrt(np.mean((fused - expected) ** 2)) < 0.005 * expected.std()


def test_what_the_response_sees_of_the_answer_is_the_sharp_image():
    problem = tiny_problem(size=48, bands=20, dates=1)
    fused = GSOMP(psf="given", atoms=30, rounds=5).fit([problem.question()]).fuse(problem.question()).full()
    seen = problem.sharp.view(fused)
    assert float((seen - problem.sharp.data).square().mean().sqrt()) < 0.003
    assert float((fused - problem.truth).square().mean().sqrt()) < 0.02


def test_tiles_make_the_whole_where_patches_overlap():
    problem = tiny_problem(size=48, bands=8, dates=1).question()
    method = GSOMP(psf="given", atoms=10, patch=8, rounds=2, sparsity=0.3, passes=0).fit([problem])
    assert method.side(3) == 9
    assert method.context(3, 0) < 24
    tiled = fuse_tiled(method, problem, 24)
    torch.testing.assert_close(tiled, method.fuse(problem).full(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("ratio", "side"), [(2, 8), (3, 9), (4, 8), (5, 10), (6, 6), (12, 12)])
def test_a_patch_is_a_whole_number_of_hyperspectral_pixels(ratio, side):
    assert GSOMP().side(ratio) == side


def test_the_price_is_the_one_that_rebuilds_the_hyperspectral_image_best():
    problem = tiny_problem(size=72, bands=20, dates=1)
    asked = problem.question()
    chosen = GSOMP(psf="given", atoms=20, rounds=3).fit([asked]).state["0.atoms"]
    fixed = [
        GSOMP(psf="given", atoms=20, rounds=3, sparsity=price).fit([asked]).state["0.atoms"]
        for price in (0.1, 0.3, 0.5)
    ]
    assert sum(torch.equal(chosen, atoms) for atoms in fixed) == 1


@pytest.mark.parametrize("bands", [1, 4])
def test_an_empty_scene_stays_empty_and_a_single_band_is_enough(bands):
    problem = tiny_problem(size=24, bands=6, dates=1).question()
    view = problem.sharp.view
    one = replace(
        problem.sharp,
        data=problem.sharp.data[:, :bands],
        noise=None,
        view=replace(
            view,
            spectral=replace(view.spectral, matrix=view.spectral.matrix[:bands]),
            spatial=view.spatial.with_shape((1, bands, 24, 24)),
        ),
    )
    fewer = problem.with_observations({"sharp": one})
    fused = GSOMP(atoms=10, rounds=2).fit([fewer]).fuse(fewer).full()
    assert bool(torch.isfinite(fused).all())
    assert fused.any()
    none = {role: replace(seen, data=0.0 * seen.data) for role, seen in fewer.observations.items()}
    empty = fewer.with_observations(none)
    assert not GSOMP(atoms=10, rounds=2).fit([empty]).fuse(empty).full().any()
