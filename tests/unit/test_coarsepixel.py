"""The coarse pixel over a fine one: means in plain loops, and widths found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning.coarsepixel import CoarsePixel, box_mean, resolved
from stsfusion.operators.resample import upsample


def image(rows=24, cols=18, bands=2):
    return torch.rand(bands, rows, cols, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_box_means_are_weighted_means_of_what_is_inside(size):
    data, half = image(), size // 2
    weight = torch.rand(24, 18, generator=torch.Generator().manual_seed(2))
    expected = np.zeros(data.shape)
    for y, x in np.ndindex(24, 18):
        cut = (slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1))
        share = weight[cut].numpy()
        expected[:, y, x] = (data[(slice(None), *cut)].numpy() * share).sum((1, 2)) / share.sum()
    np.testing.assert_allclose(box_mean(data, size, weight).numpy(), expected, atol=1e-5)


def test_a_box_without_weight_has_no_mean():
    weight = torch.ones(24, 18, dtype=torch.bool)
    weight[:10] = False
    means = box_mean(image(), 3, weight)
    assert float(means[:, :9].abs().max()) == 0.0
    assert float(means[:, 9:].abs().min()) > 0.0


def test_aligned_pixels_are_blocks_and_sliding_ones_lie_around():
    data = image()
    blocky, around = CoarsePixel.of(6, 6), CoarsePixel.of(6, 1)
    assert (blocky.aligned, around.aligned, around.size) == (True, False, 7)
    torch.testing.assert_close(
        blocky.mean(data)[:, 6:12, 12:18], data[:, 6:12, 12:].mean((1, 2), True).expand(2, 6, 6)
    )
    torch.testing.assert_close(around.mean(data)[:, 10, 5], data[:, 7:14, 2:9].mean((1, 2)))
    torch.testing.assert_close(around.samples(data), around.at(around.mean(data)))
    assert (blocky.reach, around.reach) == (5, 3)


@pytest.mark.parametrize("width", [1, 5, 9, 15])
def test_the_width_is_found_in_spite_of_gain_offset_and_displacement(width):
    dice = torch.Generator().manual_seed(3)
    fine = upsample(torch.rand(1, 2, 40, 40, generator=dice), 4)[0]
    fine = fine + 0.2 * torch.rand(fine.shape, generator=dice)
    coarse = 0.7 * box_mean(fine, width).roll((2, -1), (1, 2)) + 0.1
    valid = torch.zeros(160, 160, dtype=torch.bool)
    valid[10:-10, 10:-10] = True
    assert abs(resolved([(fine, coarse, valid)]) - width) <= 2


def test_constant_images_cannot_tell():
    flat = torch.full((2, 16, 16), 0.3)
    assert resolved([(flat, flat, torch.ones(16, 16, dtype=torch.bool))]) == 1
    assert resolved([(flat, flat, torch.zeros(16, 16, dtype=torch.bool))]) == 1
