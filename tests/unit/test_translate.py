"""Displacing an image: by whole pixels exactly, by fractions where the values between pixels are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stsfusion.operators.translate import TAPS, translate


def noise(rows: int = 17, cols: int = 21) -> torch.Tensor:
    return torch.randn(2, rows, cols, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def waves(down: float = 0.0, right: float = 0.0, size: int = 40) -> torch.Tensor:
    """Waves of six pixels and more, seen from a displaced place."""
    y = torch.arange(size, dtype=torch.float64)[:, None] + down
    x = torch.arange(size, dtype=torch.float64)[None, :] + right
    first = torch.sin(2 * math.pi * (y / 7.3 + x / 19.0)) + 0.5 * torch.cos(2 * math.pi * x / 6.1)
    return torch.stack([first, torch.cos(2 * math.pi * (y / 11.0 - x / 8.7))])


@pytest.mark.parametrize("offset", [(0, 0), (2, 0), (0, -3), (-1, 4), (30, -30)])
@pytest.mark.parametrize("kind", ["sinc", "bilinear"])
def test_whole_pixels_are_moved_exactly_and_edges_repeated(offset, kind):
    image = noise()
    rows = np.clip(np.arange(17) + offset[0], 0, 16)
    cols = np.clip(np.arange(21) + offset[1], 0, 20)
    moved = translate(image, (float(offset[0]), float(offset[1])), kind)
    np.testing.assert_array_equal(moved.numpy(), image.numpy()[:, rows][:, :, cols])


@pytest.mark.parametrize("offset", [(0.5, 0.5), (0.6, -0.25), (-1.3, 2.75), (0.01, 0.0)])
def test_fractions_are_those_of_a_band_limited_image(offset):
    inner = (slice(None), slice(TAPS + 2, -TAPS - 2), slice(TAPS + 2, -TAPS - 2))
    off = (translate(waves(), offset) - waves(*offset))[inner].abs().max()
    assert float(off) < 0.015
    wrong = (translate(waves(), offset) - waves(-offset[0], -offset[1]))[inner].abs().max()
    assert float(wrong) > float(off)


def test_bilinear_keeps_a_plane_and_never_overshoots():
    y, x = torch.meshgrid(*(torch.arange(12, dtype=torch.float64),) * 2, indexing="ij")
    plane = (2 * y - 3 * x)[None]
    moved = translate(plane, (0.3, -0.7), "bilinear")[:, 1:-1, 1:-1]
    torch.testing.assert_close(moved, (plane + 0.6 + 2.1)[:, 1:-1, 1:-1])
    image = noise()
    moved = translate(image, (0.4, 0.4), "bilinear")
    assert float(moved.min()) >= float(image.min())
    assert float(moved.max()) <= float(image.max())


@pytest.mark.parametrize("kind", ["sinc", "bilinear"])
def test_weights_sum_to_one(kind):
    image = torch.full((1, 9, 9), 0.37, dtype=torch.float64)
    torch.testing.assert_close(translate(image, (0.37, -1.81), kind), image, rtol=0, atol=1e-15)


def test_no_pixel_looks_further_than_it_says():
    point = torch.zeros(1, 41, 41, dtype=torch.float64)
    point[0, 20, 20] = 1.0
    touched = translate(point, (2.3, -1.6))[0].nonzero() - 20
    assert int((touched + torch.tensor([2, -1])).abs().max()) <= TAPS
    assert int(touched.abs().max()) <= TAPS + 3
