"""fitfc against regression, filtering and residuals written out in numpy, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import enlarged

from stsfusion.methods.fitfc import FitFC
from stsfusion.testing import fuse_tiled, tiny_problem

WINDOW, RADIUS, SIMILAR, RIDGE = 3, 4, 6, 1e-3


def regression(inputs, output, window, ridge, prior):
    """Slopes (n, y, x) and offset (y, x) of one band: normal equations in every window."""
    rows, cols = output.shape
    slopes, offset = np.zeros((len(inputs), rows, cols)), np.zeros((rows, cols))
    half = window // 2
    for y, x in np.ndindex(rows, cols):
        cut = (slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1))
        design = np.stack([one[cut].ravel() for one in inputs], 1)
        aim = output[cut].ravel() - design @ prior
        centred = design - design.mean(0)
        square = centred.T @ centred / len(aim) + ridge * np.eye(len(prior))
        slopes[:, y, x] = prior + np.linalg.solve(square, centred.T @ (aim - aim.mean()) / len(aim))
        offset[y, x] = (output[cut].ravel() - design @ slopes[:, y, x]).mean()
    return slopes, offset


def filtered(image, guide, radius, count):
    """(b, y, x) means over the pixels most alike, nearer ones weighing more."""
    out = np.zeros_like(image)
    rows, cols = image.shape[1:]
    for y, x in np.ndindex(rows, cols):
        found = []
        for v in range(max(0, y - radius), min(rows, y + radius + 1)):
            for u in range(max(0, x - radius), min(cols, x + radius + 1)):
                apart = np.hypot(v - y, u - x)
                unlike = np.sqrt(np.mean((guide[:, v, u] - guide[:, y, x]) ** 2))
                found.append((unlike, apart, v, u))
        best = sorted(found)[:count]
        weights = np.array([1 / (1 + apart / radius) for _, apart, _, _ in best])
        values = np.stack([image[:, v, u] for _, _, v, u in best])
        out[:, y, x] = weights @ values / weights.sum()
    return out


def by_hand(problem, date, bases, prior):
    """(b, y, x) of a date from (place, date) of its bases."""
    ratio = problem.dense.ratio
    dense = problem.dense.data.double().numpy()
    fine = problem.sharp.data.double().numpy()
    level = [enlarged(dense[base], ratio) for base in problem.sharp.dates]
    ridge = RIDGE * np.stack(level).swapaxes(0, 1).reshape(dense.shape[1], -1).var(1)
    out = []
    for band, penalty in enumerate(ridge):
        inputs = [dense[base, band] for _, base in bases]
        slopes, offset = regression(inputs, dense[date, band], WINDOW, penalty, np.array(prior))
        rest = dense[date, band] - sum(s * x for s, x in zip(slopes, inputs, strict=True)) - offset
        wide = [np.kron(one, np.ones((ratio, ratio))) for one in (*slopes, offset)]
        made = sum(s * fine[place, band] for s, (place, _) in zip(wide, bases, strict=False)) + wide[-1]
        out.append(made + enlarged(rest, ratio))
    guide = np.concatenate([fine[place] for place, _ in bases])
    return filtered(np.stack(out), guide, RADIUS, SIMILAR)


@pytest.mark.parametrize(
    ("choice", "bases", "prior"), [("around", [(0, 0), (1, 2)], [0.5, 0.5]), ("nearest", [(0, 0)], [1.0])]
)
def test_equals_the_plain_loops(choice, bases, prior):
    problem = tiny_problem(size=24, dates=3, multispectral=True).question()
    method = FitFC(bases=choice, window=WINDOW, radius=RADIUS, similar=SIMILAR, ridge=RIDGE)
    fused = method.fit([problem]).fuse(problem).full()[1].numpy()
    np.testing.assert_allclose(fused, by_hand(problem, 1, bases, prior), atol=1e-4)


def test_a_gain_and_an_offset_between_the_dates_are_found():
    problem = tiny_problem(size=48, dates=3, multispectral=True, ratios=(3, 4)).question()
    sharp = replace(problem.sharp, data=problem.sharp.data[:1].expand(2, -1, -1, -1).clone())
    first = problem.dense.data[:1]
    dense = replace(problem.dense, data=torch.cat([first, 1.4 * first + 0.05, first]))
    problem = problem.with_observations({"sharp": sharp, "dense": dense})
    method = FitFC(similar=1, ridge=0.0, bases="nearest")
    fused = method.fit([problem]).fuse(problem).full()[1]
    torch.testing.assert_close(fused, 1.4 * sharp.data[0] + 0.05, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("ratio", "similar"), [(2, 4), (6, 20)])
def test_as_many_are_averaged_as_a_coarse_pixel_holds(ratio, similar):
    problem = tiny_problem(size=48, dates=3, multispectral=True, ratios=(3, ratio)).question()
    own, said = (
        FitFC(radius=4, **more).fit([problem]).fuse(problem).full() for more in ({}, {"similar": similar})
    )
    assert torch.equal(own, said)


def test_resampled_coarse_images_are_fitted_in_sliding_windows():
    problem = tiny_problem(size=96, dates=3, multispectral=True, ratios=(3, 1)).question()
    method = FitFC(coarse=4, window=3, radius=3, similar=4).fit([problem])
    whole = method.fuse(problem).full()
    assert int(method.state["own.coarse"]) == 4
    assert float((fuse_tiled(method, problem, 24) - whole).abs().max()) < 1e-5
    one = FitFC(bases="nearest", coarse=4, window=3, radius=3, similar=1, ridge=RIDGE).fit([problem])
    dense = problem.dense.data.double().numpy()
    ridge = RIDGE * dense[[0, 2]].swapaxes(0, 1).reshape(4, -1).var(1)
    slopes, _ = regression([dense[0, 1]], dense[1, 1], 15, ridge[1], np.array([1.0]))
    expected = slopes[0] * (problem.sharp.data[0, 1].double().numpy() - dense[0, 1]) + dense[1, 1]
    np.testing.assert_allclose(one.fuse(problem).full()[1, 1].numpy(), expected, atol=1e-4)
