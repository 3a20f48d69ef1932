"""HySure's estimator of response and kernel against plain loops in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pairscenes import NM, responses, textured

from stsfusion.operators.blur import Blur, box_kernel, gaussian_kernel
from stsfusion.operators.hysure_estimate import estimate_hysure, hysure_response, rms_misfit
from stsfusion.operators.overlap import Overlap

BANDS, FINE = 9, 3


def seen(ratio: int, kernel: torch.Tensor, side: int = 14, seed: int = 0) -> tuple[Overlap, torch.Tensor]:
    truth = textured(side * ratio, side * ratio, BANDS, seed)
    response = responses(torch.linspace(*NM, BANDS, dtype=torch.float64), FINE)
    coarse = Blur(kernel, ratio, tuple(truth.shape))(truth)[0]
    fine = torch.tensordot(response, truth[0], 1)
    usable = torch.ones(side, side, dtype=torch.bool)
    usable[2:5, 6:11] = False
    return Overlap(coarse, fine, usable), response


def boxed(image: np.ndarray, side: int) -> np.ndarray:
    """Mean over side × side pixels, edges repeated."""
    half = side // 2
    wide = np.pad(image, [(0, 0), (half, half), (half, half)], mode="edge")
    out = np.zeros_like(image)
    for y, x in np.ndindex(*image.shape[1:]):
        out[:, y, x] = wide[:, y : y + side, x : x + side].mean((1, 2))
    return out


def response_by_loop(overlaps, coverage, ratio, smooth):
    """Band by band: least squares of stacked equations, the penalty as further rows."""
    side = max(1, round(9 / ratio)) | 1
    coarse, fine = [], []
    for one in overlaps:
        y = one.fine.numpy()
        rows, cols = y.shape[1] // ratio, y.shape[2] // ratio
        low = y.reshape(len(y), rows, ratio, cols, ratio).mean((2, 4))
        usable = one.usable.numpy()
        coarse.append(boxed(one.coarse.numpy(), side)[:, usable])
        fine.append(boxed(low, side)[:, usable])
    z, y = np.concatenate(coarse, 1), np.concatenate(fine, 1)
    weight = np.sqrt(smooth * np.square(z).mean())
    out = np.zeros(coverage.shape)
    for band in range(len(coverage)):
        inside = np.flatnonzero(coverage[band].numpy())
        if not len(inside):
            continue
        steps = [
            weight * (np.eye(len(inside))[i + 1] - np.eye(len(inside))[i])
            for i in range(len(inside) - 1)
            if inside[i + 1] == inside[i] + 1
        ]
        design = np.vstack([z[inside].T, *steps])
        target = np.concatenate([y[band], np.zeros(len(steps))])
        out[band, inside] = np.linalg.lstsq(design, target, rcond=None)[0]
    return out


def kernel_by_loop(overlaps, response, ratio, size, smooth):
    """Every usable pixel and band an equation; differences along both axes as further rows."""
    rows, targets, power = [], [], []
    margin = (size - ratio) // 2
    for one in overlaps:
        wide = np.pad(one.fine.numpy(), [(0, 0), (margin, margin), (margin, margin)], mode="edge")
        told = np.einsum("lb,byx->lyx", response, one.coarse.numpy())
        own = []
        for y, x in np.argwhere(one.usable.numpy()):
            for band in range(len(wide)):
                own.append(wide[band, y * ratio : y * ratio + size, x * ratio : x * ratio + size].ravel())
                targets.append(told[band, y, x])
        power.append(np.square(own).mean())
        rows += own
    weight = np.sqrt(smooth * np.mean(power))
    for y, x in np.ndindex(size, size):
        for down, right in ((1, 0), (0, 1)):
            if y + down < size and x + right < size:
                step = np.zeros((size, size))
                step[y, x], step[y + down, x + right] = 1.0, -1.0
                rows.append(weight * step.ravel())
                targets.append(0.0)
    kernel = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    return kernel.reshape(size, size), kernel.sum()


def noisy(one: Overlap, seed: int = 1) -> Overlap:
    """Enough noise for every unknown to be settled."""
    dice = torch.Generator().manual_seed(seed)
    coarse, fine = (
        x + 0.01 * torch.randn(x.shape, generator=dice, dtype=x.dtype) for x in (one.coarse, one.fine)
    )
    return Overlap(coarse, fine, one.usable)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_the_response_is_the_plain_loop(ratio):
    both = [seen(ratio, box_kernel(ratio), seed=seed) for seed in (0, 1)]
    overlaps = [noisy(one, seed) for seed, (one, _) in enumerate(both)]
    coverage = both[0][1] > 0
    coverage[1, 4] = False
    found = hysure_response(overlaps, coverage, ratio)
    np.testing.assert_allclose(found.numpy(), response_by_loop(overlaps, coverage, ratio, 10.0), atol=1e-6)
    assert not found[~coverage].any()
    other = response_by_loop(overlaps, coverage, ratio, 1000.0)
    assert np.abs(found.numpy() - other).max() > 1e-4


@pytest.mark.parametrize(("ratio", "size"), [(2, None), (3, None), (3, 5), (4, 8)])
def test_the_kernel_is_the_plain_loop(ratio, size):
    one, response = seen(ratio, gaussian_kernel(ratio, ratio))
    one, coverage = noisy(one), response > 0
    found = estimate_hysure([one], coverage, ratio, size=size)
    loop = response_by_loop([one], coverage, ratio, 10.0)
    kernel, gain = kernel_by_loop([one], loop, ratio, size or ratio, 10.0)
    np.testing.assert_allclose(found.kernel.numpy(), kernel / gain, atol=1e-6)
    np.testing.assert_allclose(found.response.numpy(), loop / gain, atol=1e-6)
    assert float(found.kernel.sum()) == pytest.approx(1.0)


def test_it_finds_what_was_there():
    one, response = seen(3, box_kernel(3))
    found = estimate_hysure([one], response > 0, 3, smooth=1e-3)
    np.testing.assert_allclose(found.kernel.numpy(), 1 / 9, atol=0.01)
    assert float(found.misfit.max()) < 0.01 * float(one.fine.std())


def test_the_misfit_is_the_root_mean_square():
    one, response = seen(3, box_kernel(3))
    found = estimate_hysure([noisy(one)], response > 0, 3)
    total, count = np.zeros(FINE), 0
    for y, x in np.argwhere(one.usable.numpy()):
        patch = noisy(one).fine.numpy()[:, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
        low = (patch * found.kernel.numpy()).sum((1, 2))
        told = found.response.numpy() @ noisy(one).coarse.numpy()[:, y, x]
        total, count = total + np.square(low - told), count + 1
    np.testing.assert_allclose(rms_misfit([noisy(one)], found).numpy(), np.sqrt(total / count), rtol=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_without_contrast_there_is_still_a_model(level):
    coverage = torch.ones(2, 5, dtype=torch.bool)
    coverage[0, 2] = False
    flat = Overlap(
        torch.full((5, 6, 6), level), torch.full((2, 18, 18), level), torch.ones(6, 6, dtype=torch.bool)
    )
    found = estimate_hysure([flat], coverage, 3)
    np.testing.assert_allclose(found.kernel.numpy(), 1 / 9, atol=1e-6)
    assert bool(torch.isfinite(found.response).all())
