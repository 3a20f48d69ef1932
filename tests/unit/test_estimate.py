"""Blind estimation on a synthetic textured scene, of which point spread function and response are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from pairscenes import NM, responses, textured
from torch import Tensor

from stsfusion.operators.blur import Blur, box_kernel, gaussian_kernel
from stsfusion.operators.estimate import displacement, estimate, response_for
from stsfusion.operators.overlap import Overlap
from stsfusion.operators.pairmodel import PairModel, support
from stsfusion.operators.translate import translate

KERNELS = {
    "block": lambda ratio: block(ratio),
    "wide": lambda ratio: gaussian_kernel(ratio, ratio),
    "displaced": lambda ratio: gaussian_kernel(0.8 * ratio, ratio, shift=(0.5, -0.5)),
    "box": box_kernel,
}


def block(ratio: int) -> Tensor:
    """A Gaussian cut to the block of a coarse pixel."""
    places = torch.arange(ratio, dtype=torch.float64) - (ratio - 1) / 2
    line = torch.exp(-4 * math.log(2) * (places / ratio) ** 2)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum()


@dataclass(frozen=True)
class Scene:
    """What was seen, and with what."""

    overlap: Overlap
    kernel: Tensor
    response: Tensor
    ratio: int

    @property
    def coverage(self) -> Tensor:
        return self.response > 0

    def estimate(self) -> PairModel:
        return estimate([self.overlap], self.coverage, self.ratio)


def scene(
    ratio: int, kernel: Tensor, side: int | None = None, fine: int = 4, snr: float | None = None
) -> Scene:
    """`side` coarse pixels squared; noise of `snr` dB in both images."""
    side = max(96 // ratio, 14) if side is None else side
    truth = textured(side * ratio, side * ratio, 12)
    response = responses(torch.linspace(*NM, 12, dtype=torch.float64), fine)
    coarse = Blur(kernel, ratio, tuple(truth.shape))(truth)[0]
    sharp = torch.tensordot(response, truth[0], 1)
    if snr is not None:
        dice = torch.Generator().manual_seed(5)
        coarse, sharp = (
            x
            + 10 ** (-snr / 20)
            * x.square().mean().sqrt()
            * torch.randn(x.shape, generator=dice, dtype=x.dtype)
            for x in (coarse, sharp)
        )
    return Scene(Overlap(coarse, sharp, torch.ones(side, side, dtype=torch.bool)), kernel, response, ratio)


def centre(kernel: Tensor) -> tuple[float, float]:
    """(down, right) of the mean from the middle, by plain sums."""
    size = len(kernel)
    down = sum((i - (size - 1) / 2) * float(kernel[i].sum()) for i in range(size))
    right = sum((j - (size - 1) / 2) * float(kernel[:, j].sum()) for j in range(size))
    return down, right


def apart(found: Tensor, true: Tensor) -> float:
    """Relative error of a kernel against one of another size, both centred."""
    size = max(len(found), len(true))

    def wide(kernel: Tensor) -> Tensor:
        off = (size - len(kernel)) // 2
        return torch.nn.functional.pad(kernel, (off,) * 4)

    return float((wide(found) - wide(true)).norm() / true.norm())


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_the_point_spread_function_is_found(ratio, name):
    seen = scene(ratio, KERNELS[name](ratio))
    found = seen.estimate()
    assert found.kernel.shape == (ratio + 2 * support(ratio),) * 2
    assert apart(found.kernel, seen.kernel) < 0.02
    assert found.centre == pytest.approx(centre(seen.kernel), abs=0.05)
    _valid(found, seen.coverage)


@pytest.mark.parametrize("name", ["block", "displaced"])
def test_it_is_found_at_a_large_ratio_of_few_pixels(name):
    seen = scene(8, KERNELS[name](8), side=14)
    found = seen.estimate()
    assert apart(found.kernel, seen.kernel) < 0.05
    assert found.centre == pytest.approx(centre(seen.kernel), abs=0.05)
    _valid(found, seen.coverage)


def _valid(found: PairModel, coverage: Tensor) -> None:
    assert bool((found.kernel >= 0).all())
    assert float(found.kernel.sum()) == pytest.approx(1.0, abs=1e-12)
    assert bool((found.response >= 0).all())
    assert not found.response[~coverage].any()
    assert found.response.sum(1).tolist() == pytest.approx([1.0] * len(coverage), abs=5e-3)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_noise_of_30_db_moves_the_centre_little(ratio, name):
    found = scene(ratio, KERNELS[name](ratio), snr=30.0).estimate()
    assert found.centre == pytest.approx(centre(KERNELS[name](ratio)), abs=0.1)


def test_a_panchromatic_band_is_enough():
    seen = scene(4, gaussian_kernel(4, 4, shift=(0.4, 0.0)), fine=1)
    assert apart(seen.estimate().kernel, seen.kernel) < 0.05


def test_the_misfit_is_what_the_model_leaves():
    seen = scene(3, gaussian_kernel(3, 3), snr=30.0)
    found = seen.estimate()
    low = found.lowpass(seen.overlap.fine) - torch.tensordot(found.response, seen.overlap.coarse, 1)
    inner = low[:, 2:-2, 2:-2].square().mean((1, 2)).sqrt()
    torch.testing.assert_close(found.misfit, inner, rtol=1e-6, atol=0)


def tiles(seen: Scene, usable: Tensor, cut: int) -> list[Overlap]:
    """Four tiles of one scene."""
    r, edges = seen.ratio, [(0, cut), (cut, len(usable))]
    return [
        Overlap(
            seen.overlap.coarse[:, a:b, c:d],
            seen.overlap.fine[:, a * r : b * r, c * r : d * r],
            usable[a:b, c:d],
        )
        for a, b in edges
        for c, d in edges
    ]


def test_tiles_give_what_the_whole_gives():
    seen = scene(3, gaussian_kernel(3, 3, shift=(0.5, -0.5)), snr=35.0)
    usable, cut = torch.ones_like(seen.overlap.usable), 16
    for band in (slice(0, 2), slice(cut - 2, cut + 2), slice(-2, None)):
        usable[band], usable[:, band] = False, False
    whole = estimate([Overlap(seen.overlap.coarse, seen.overlap.fine, usable)], seen.coverage, 3)
    parts = estimate(tiles(seen, usable, cut), seen.coverage, 3)
    for name, tensor in whole.tensors().items():
        torch.testing.assert_close(parts.tensors()[name], tensor, rtol=0, atol=1e-6)
    some = estimate(tiles(seen, usable, cut)[:3], seen.coverage, 3)
    assert float((some.kernel - whole.kernel).abs().max()) > 1e-6


def test_what_lies_in_gaps_is_never_seen():
    seen = scene(3, gaussian_kernel(3, 3), snr=35.0)
    coarse, fine = seen.overlap.coarse.clone(), seen.overlap.fine.clone()
    usable = seen.overlap.usable.clone()
    coarse[:, 10:14, 3:20] = 1e3
    fine[:, 30:42, 9:60] = -1e3
    usable[8:16, 1:22] = False
    one, other = (
        estimate([Overlap(c, f, usable)], seen.coverage, 3)
        for c, f in ((coarse, fine), (seen.overlap.coarse, seen.overlap.fine))
    )
    assert torch.equal(one.kernel, other.kernel)
    assert torch.equal(one.response, other.response)


def test_without_common_wavelengths_there_is_still_a_kernel():
    seen = scene(3, gaussian_kernel(3, 3, shift=(0.5, 0.0)))
    found = estimate([seen.overlap], torch.zeros_like(seen.coverage), 3)
    assert apart(found.kernel, seen.kernel) < 0.05
    assert not found.response.any()


def test_one_band_without_common_wavelengths_leaves_the_others_alone():
    seen = scene(3, gaussian_kernel(3, 3))
    coverage = seen.coverage.clone()
    coverage[2] = False
    found = estimate([seen.overlap], coverage, 3)
    assert not found.response[2].any()
    assert apart(found.kernel, seen.kernel) < 0.02
    kept = [0, 1, 3]
    assert found.response[kept].sum(1).tolist() == pytest.approx([1.0] * 3, abs=5e-3)


@pytest.mark.parametrize("level", [0.0, 0.3, 1e4])
def test_an_image_without_contrast_has_a_kernel_in_the_middle(level):
    flat = Overlap(
        torch.full((5, 8, 8), level), torch.full((2, 24, 24), level), torch.ones(8, 8, dtype=torch.bool)
    )
    found = estimate([flat], torch.ones(2, 5, dtype=torch.bool), 3)
    assert found.centre == pytest.approx((0.0, 0.0), abs=1e-4)
    assert float(found.kernel.sum()) == pytest.approx(1.0)
    assert all(bool(torch.isfinite(t).all()) for t in found.tensors().values())


def test_no_usable_pixel_at_all_is_survived():
    seen = scene(3, gaussian_kernel(3, 3))
    none = Overlap(seen.overlap.coarse, seen.overlap.fine, torch.zeros_like(seen.overlap.usable))
    found = estimate([none], seen.coverage, 3)
    assert found.centre == pytest.approx((0.0, 0.0), abs=1e-6)
    assert all(bool(torch.isfinite(t).all()) for t in found.tensors().values())


# ---------------------------------------------------------------- displacement


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.6, -0.3), (-1.4, 1.9)])
@pytest.mark.parametrize("ratio", [3, 4])
def test_a_planted_displacement_is_found(ratio, offset):
    seen = scene(ratio, gaussian_kernel(ratio, ratio), snr=35.0)
    away = translate(seen.overlap.fine, (-offset[0], -offset[1]))
    usable = torch.zeros_like(seen.overlap.usable)
    usable[3:-3, 3:-3] = True
    found = displacement([Overlap(seen.overlap.coarse, away, usable)], ratio)
    assert found == pytest.approx(offset, abs=0.1)


def test_images_that_have_nothing_in_common_are_not_moved():
    dice = torch.Generator().manual_seed(3)
    coarse, fine = torch.randn(6, 9, 9, generator=dice), torch.randn(3, 27, 27, generator=dice)
    found = displacement([Overlap(coarse, fine, torch.ones(9, 9, dtype=torch.bool))], 3)
    assert found == pytest.approx((0.0, 0.0), abs=1e-6)


# ---------------------------------------------------------------- a kernel that is given


def test_the_response_for_a_given_kernel():
    seen = scene(3, gaussian_kernel(3, 3))
    found = response_for([seen.overlap], seen.coverage, seen.kernel, 3)
    assert torch.equal(found.kernel, seen.kernel)
    assert float(found.misfit.max()) < 1e-4
    assert not found.response[~seen.coverage].any()
    told = torch.tensordot(found.response - seen.response, seen.overlap.coarse, 1)
    assert float(told.square().mean().sqrt()) < 1e-4
    wrong = response_for([seen.overlap], seen.coverage, box_kernel(3), 3)
    assert float(wrong.misfit.max()) > 10 * float(found.misfit.max())


def test_a_kernel_wider_than_the_support_is_cut():
    seen = scene(2, gaussian_kernel(2, 2))
    wide = gaussian_kernel(2, 2, reach=12.0)
    assert len(wide) > 2 + 2 * support(2)
    found = response_for([seen.overlap], seen.coverage, wide, 2)
    assert float(found.misfit.max()) < 1e-4
