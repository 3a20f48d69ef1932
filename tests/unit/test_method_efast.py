"""efast against the sums of its paper, pixel by pixel in plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from references import enlarged

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Geometry
from stsfusion.methods import create
from stsfusion.methods.efast import EFAST
from stsfusion.operators.resample import upsample
from stsfusion.testing import fuse_tiled, tiny_problem


def clouded(size, *spots):
    """(n, 1, y, x) bool with one gap in each of some dates."""
    seen = torch.ones(3, 1, size, size, dtype=torch.bool)
    for date, rows, cols in spots:
        seen[date, :, slice(*rows), slice(*cols)] = False
    return seen


def distance(seen):
    """(y, x) pixels to the nearest gap, along rows, columns or diagonals."""
    gaps = np.argwhere(~seen)
    out = np.full(seen.shape, np.inf)
    for y, x in np.ndindex(seen.shape):
        for gap in gaps:
            out[y, x] = min(out[y, x], max(abs(y - gap[0]), abs(x - gap[1])))
    return out


def smoothed(image, deviation):
    """(b, y, x) Gaussian mean within the image, cut off at three standard deviations."""
    half = int(3 * deviation + 0.5)
    out = np.zeros_like(image)
    rows, cols = image.shape[1:]
    for y, x in np.ndindex(rows, cols):
        total = 0.0
        for v in range(max(0, y - half), min(rows, y + half + 1)):
            for u in range(max(0, x - half), min(cols, x + half + 1)):
                weight = np.exp(-0.5 * ((v - y) ** 2 + (u - x) ** 2) / deviation**2)
                out[:, y, x] += weight * image[:, v, u]
                total += weight
        out[:, y, x] /= total
    return out


@pytest.mark.parametrize("clear", [15.0, 5.0])
def test_equals_the_plain_loops_beside_clouds(clear):
    size, ratio, days, smooth = 48, 2, 20.0, 0.7
    problem = tiny_problem(size=size, dates=5, multispectral=True).question()
    seen = clouded(size, (0, (4, 9), (30, 40)), (1, (20, 24), (10, 14)))
    problem = problem.with_observations({"sharp": replace(problem.sharp, valid=seen)})
    fused = EFAST(clear=clear, smooth=smooth).fit([problem]).fuse(problem).full().numpy()
    for date in (1, 3):
        weights = []
        for place, base in enumerate((0, 2, 4)):
            near = np.exp(-0.5 * (16.0 * (base - date) / days) ** 2)
            steps = max(-(-int(clear * ratio) // 30), 1)
            d = np.ceil(distance(seen[place, 0].numpy()) / steps)
            ramp = np.clip((d - 1) / 30, 1e-3, 1.0)
            weights.append(near * np.where(seen[place, 0].numpy(), ramp, 0.0))
        weights = np.stack(weights) / np.sum(weights, axis=0)
        coarse = [enlarged(one, ratio) for one in problem.dense.data.double().numpy()]
        change = coarse[date] - sum(w * coarse[2 * i] for i, w in enumerate(weights))
        fine = problem.sharp.data.double().numpy()
        base = sum(np.where(w > 0, w * fine[i], 0.0) for i, w in enumerate(weights))
        np.testing.assert_allclose(fused[date], base + smoothed(change, smooth * ratio), atol=1e-5)


def test_a_day_without_a_near_base_takes_the_nearest():
    problem = tiny_problem(size=24, dates=3, multispectral=True).question()
    problem = replace(problem, target=replace(problem.target, days=torch.tensor([0.0, 4e3, 9e3]).double()))
    fused = EFAST(smooth=0.0).fit([problem]).fuse(problem).full()
    coarse = [torch.from_numpy(enlarged(one.numpy(), 2)).float() for one in problem.dense.data]
    torch.testing.assert_close(fused[1], problem.sharp.data[0] + coarse[1] - coarse[0], atol=1e-5, rtol=0)


def test_a_smoother_change_and_a_longer_ramp_need_more_context():
    problem = tiny_problem(size=96, dates=3, multispectral=True, gaps=True).question()
    geometry = Geometry.of(problem)
    wide = EFAST(smooth=2.0, clear=4.0).fit([problem])
    assert wide.halo(geometry) > EFAST(smooth=0.5, clear=4.0).fit([problem]).halo(geometry)
    assert wide.halo(geometry) < EFAST(smooth=2.0, clear=30.0).fit([problem]).halo(geometry)
    whole = wide.fuse(problem).full()
    assert float((fuse_tiled(wide, problem, 24) - whole).abs().max()) < 1e-5


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_smoothing_is_learned_from_bases_alone(noise):
    problem = tiny_problem(size=96, dates=5, multispectral=True, ratios=(3, 1)).question()
    sharp = problem.sharp.data
    grown = upsample(torch.rand(5, 4, 12, 12, generator=torch.Generator().manual_seed(5)), 8) * 0.2
    wrong = upsample(torch.randn(5, 4, 24, 24, generator=torch.Generator().manual_seed(6)), 4, "nearest")
    dense = replace(problem.dense, data=sharp[:1] + grown + noise * wrong)
    problem = problem.with_observations(
        {"dense": dense, "sharp": replace(problem.sharp, data=sharp[:1] + grown[::2])}
    )
    fitted = EFAST(coarse=4).fit([problem])
    assert (float(fitted.state["own.smooth"]) == 0.0) == (noise == 0.0)
    truth = sharp[0] + grown[1]
    for other in (0.0, 2.0):
        fused = EFAST(coarse=4, smooth=other).fit([problem]).fuse(problem).full()
        best = fitted.fuse(problem).full()
        assert (best[1] - truth).square().mean() <= (fused[1] - truth).square().mean()
    alone = problem.with_observations({"sharp": problem.sharp.select([1])})
    assert float(EFAST(coarse=4).fit([alone]).state["own.smooth"]) == 0.5


def test_settings_have_bounds():
    with pytest.raises(MethodError, match="days"):
        create({"name": "efast", "days": 0.0})
