"""Guided kriging against plain loops and linear algebra over a whole window."""

from __future__ import annotations

import math

import pytest
import torch

from stsfusion.learning.guidedkriging import Coarse, Likeness, krige, trim
from stsfusion.operators.blur import Blur, gaussian_kernel


def _plain(guide, part, likeness, ratio, half, at):
    """Kriging of one coarse pixel's block, pixel by pixel."""
    width, linear, near, level = (float(t) for t in likeness.tensors().values())
    kernel = trim(part.kernel, ratio).double()
    size, (_, rows, cols) = kernel.shape[0], guide.shape
    off = (size - ratio) // 2
    coarse = [
        (i, j) for i in range(at[0] - half, at[0] + half + 1) for j in range(at[1] - half, at[1] + half + 1)
    ]

    def alike(a, b):
        x, y = (guide[:, min(max(p[0], 0), rows - 1), min(max(p[1], 0), cols - 1)].double() for p in (a, b))
        own = math.exp(-0.5 * float((x - y).square().sum()) / width**2) + linear * float(x @ y)
        return own * math.exp(-math.dist(a, b) / ratio / near) / level

    def foot(pixel):
        top, left = pixel[0] * ratio - off, pixel[1] * ratio - off
        return [((top + i, left + j), float(kernel[i, j])) for i in range(size) for j in range(size)]

    feet = [foot(pixel) for pixel in coarse]
    seen = torch.tensor(
        [[sum(u * v * alike(p, q) for p, u in a for q, v in b) for b in feet] for a in feet]
    ).double()
    clear = torch.tensor([bool(part.clear[i, j]) for i, j in coarse])
    seen += torch.diag(torch.where(clear, part.noise, 1e6)).double()
    values = torch.stack([part.values[:, i, j].double() for i, j in coarse]) * clear[:, None]
    block = [(at[0] * ratio + i, at[1] * ratio + j) for i in range(ratio) for j in range(ratio)]
    mixed = torch.tensor([[sum(v * alike(s, q) for q, v in b) for b in feet] for s in block]).double()
    weights = torch.linalg.solve(seen, mixed.T).T
    doubt = torch.tensor([alike(s, s) for s in block]).double() - (weights * mixed).sum(1)
    return (weights @ values).T.reshape(-1, ratio, ratio), doubt.reshape(ratio, ratio)


@pytest.mark.parametrize("masked", [False, True])
def test_krige_is_plain_kriging(masked):
    generator = torch.Generator().manual_seed(0)
    guide = torch.randn(2, 10, 10, generator=generator)
    clear = torch.ones(5, 5, dtype=torch.bool)
    clear[2, 1] = not masked
    part = Coarse(torch.randn(2, 5, 5, generator=generator), clear, gaussian_kernel(2, 2), 0.1)
    likeness = Likeness.by(0.8, 0.5, 3.0, 1.3)
    (found,) = krige(guide, [part], likeness, 2, 1)
    values, doubt = _plain(guide, part, likeness, 2, 1, (2, 2))
    assert torch.allclose(found.values[:, 4:6, 4:6].double(), values, atol=2e-5)
    assert torch.allclose(found.doubt[4:6, 4:6].double(), doubt, atol=2e-5)


def test_a_guide_that_tells_surfaces_apart_unmixes_them():
    generator = torch.Generator().manual_seed(1)
    surface = (torch.rand(1, 48, 48, generator=generator) > 0.5).float()
    truth = 0.1 + 0.3 * surface
    kernel = gaussian_kernel(2, 2)
    coarse = Blur(kernel, 2, (1, 1, 48, 48))(truth[None])[0]
    mean = coarse.mean()
    part = Coarse(coarse - mean, torch.ones(24, 24, dtype=torch.bool), kernel, 1e-3)
    (told,) = krige(surface, [part], Likeness.by(0.5, 0.0, 50.0), 2, 2)
    (blind,) = krige(torch.zeros_like(surface), [part], Likeness.by(0.5, 0.0, 2.0), 2, 2)
    errors = [float((k.values + mean - truth).square().mean().sqrt()) for k in (told, blind)]
    assert errors[0] < 0.02 < 0.08 < errors[1]


def test_where_nothing_is_clear_nothing_is_said_and_all_is_doubted():
    guide = torch.zeros(1, 12, 12)
    part = Coarse(torch.ones(1, 6, 6), torch.zeros(6, 6, dtype=torch.bool), gaussian_kernel(2, 2), 0.1)
    (found,) = krige(guide, [part], Likeness.by(1.0, 0.0, 5.0), 2, 1)
    assert float(found.values.abs().max()) < 1e-5
    assert torch.allclose(found.doubt, torch.ones(12, 12), atol=1e-4)
