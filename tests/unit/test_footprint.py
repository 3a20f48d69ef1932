"""What a coarse pixel sees: the tables' block Gaussian, overlapping ones, and both of them moved."""

from __future__ import annotations

import math

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.operators.blur import Blur
from stsfusion.pipeline.footprint import footprint, nominal_footprint


@pytest.mark.parametrize("ratio", [2, 3, 4, 5, 12])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_the_block_gaussian_is_sampled_at_pixel_centres(ratio, sigma):
    kernel = footprint(f"gaussian:{sigma}", ratio)
    assert kernel.shape == (ratio, ratio)
    middle = (ratio - 1) / 2
    plain = [
        [math.exp(-((y - middle) ** 2 + (x - middle) ** 2) / (2 * sigma**2)) for x in range(ratio)]
        for y in range(ratio)
    ]
    expected = torch.tensor(plain, dtype=torch.float64)
    torch.testing.assert_close(kernel, expected / expected.sum())


def test_half_a_pixel_of_sigma_sees_the_four_pixels_in_the_middle():
    assert footprint("gaussian:0.5", 4)[1:3, 1:3].sum() > 0.96


def test_the_box_is_the_mean():
    torch.testing.assert_close(footprint("box", 3), torch.full((3, 3), 1 / 9, dtype=torch.float64))


def test_a_wide_gaussian_overlaps_and_falls_to_half_at_half_its_width():
    kernel = footprint("fwhm:4", 4)
    assert len(kernel) > 4
    inner, outer = kernel[len(kernel) // 2, len(kernel) // 2 :][[0, 2]]
    assert (outer / inner).item() == pytest.approx(2 ** -(1.25**2 - 0.25**2))


def centre(kernel):
    """(down, right) of the centre of mass, from the middle of the support."""
    places = torch.arange(len(kernel), dtype=torch.float64) - (len(kernel) - 1) / 2
    return [(kernel.sum(1 - axis) * places).sum().item() for axis in (0, 1)]


@pytest.mark.parametrize("psf", ["gaussian:1", "gaussian:2", "fwhm:4", "box"])
@pytest.mark.parametrize("ratio", [3, 4])
@pytest.mark.parametrize("shift", [0.5, -0.5, 1.0, 1.3])
def test_a_shift_moves_it_and_keeps_sum_and_parity(psf, ratio, shift):
    kernel = footprint(psf, ratio, shift)
    assert (len(kernel) - ratio) % 2 == 0
    assert kernel.sum().item() == pytest.approx(1.0)
    assert (kernel >= 0).all()
    assert centre(kernel) == pytest.approx([shift, shift], abs=0.08)


def test_whole_shifts_are_exact():
    block = footprint("gaussian:1", 4)
    torch.testing.assert_close(footprint("gaussian:1", 4, 2.0)[4:, 4:], block)
    assert footprint("gaussian:1", 4, 2.0).sum().item() == pytest.approx(block.sum().item())


def test_a_shift_goes_down_and_right():
    image = torch.arange(64.0, dtype=torch.float64).reshape(1, 1, 8, 8)
    still, moved = (Blur(footprint("box", 2, s), 2, (1, 1, 8, 8))(image) for s in (0.0, 0.5))
    torch.testing.assert_close((moved - still)[0, 0, :3, :3], torch.full((3, 3), 4.5, dtype=torch.float64))


@pytest.mark.parametrize("ratio", [2, 3, 4, 8, 12])
def test_the_nominal_one_knows_the_ratio_alone(ratio):
    kernel = nominal_footprint(ratio)
    assert len(kernel) == ratio + 2 * max(3, math.ceil(0.75 * ratio))
    assert kernel.sum().item() == pytest.approx(1.0)
    torch.testing.assert_close(kernel, kernel.flip(0).T)


@pytest.mark.parametrize(
    "psf",
    ["gauss:1", "gaussian", "gaussian:x", "gaussian:0", "gaussian:-1", "fwhm:999", "box:2", "", "fwhm:nan"],
)
def test_what_is_no_footprint_is_refused(psf):
    with pytest.raises(ProblemError, match=r"expected gaussian:SIGMA, fwhm:WIDTH .* or box"):
        footprint(psf, 4)
