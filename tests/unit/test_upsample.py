"""Interpolation for coarse pixels whose centre of mass lies off the middle of their blocks."""

from __future__ import annotations

import pytest
import torch
from references import enlarged

from stsfusion.operators.resample import Upsample, upsample
from stsfusion.testing import ContractBroken, check_operator

SHIFTS = [(0.0, 0.0), (0.5, -0.5), (-0.6, 1.2), (2.4, -3.1)]


def plane(rows: torch.Tensor, cols: torch.Tensor) -> torch.Tensor:
    """(1, 1, y, x) that rises by two a row and falls by three a column."""
    return (2.0 * rows[:, None] - 3.0 * cols[None, :] + 5.0)[None, None]


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("ratio", [1, 2, 3, 4, 5])
def test_a_plane_seen_at_displaced_centres_comes_back(ratio, shift, kind):
    fine = torch.arange(12 * ratio, dtype=torch.float64)
    centres = torch.arange(12, dtype=torch.float64) * ratio + (ratio - 1) / 2
    seen = plane(centres + shift[0], centres + shift[1])
    op = Upsample(ratio, (1, 1, 12, 12), kind, shift)
    inner = (..., slice(op.reach, -op.reach), slice(op.reach, -op.reach)) if op.reach else ...
    torch.testing.assert_close(op(seen)[inner], plane(fine, fine)[inner])


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("ratio", [1, 2, 3, 5])
def test_its_adjoint_is_its_adjoint(ratio, kind, shift):
    check_operator(Upsample(ratio, (1, 2, 5, 4), kind, shift))


class Askew(Upsample):
    """Goes back from where it did not come."""

    def _transpose(self, y):
        return Upsample(self.ratio, self.shape, self.kind, (-self.shift[0], -self.shift[1])).adjoint(y)


def test_an_adjoint_of_another_shift_is_caught():
    with pytest.raises(ContractBroken, match="adjoint"):
        check_operator(Askew(3, (1, 2, 5, 4), "bicubic", (0.5, -0.5)))


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_without_a_shift_it_is_the_plain_one(ratio):
    image = torch.randn(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = torch.from_numpy(enlarged(image.numpy(), ratio))
    torch.testing.assert_close(Upsample(ratio, (2, 3, 6, 5), shift=(0.0, 0.0))(image), plain)
    torch.testing.assert_close(upsample(image, ratio), plain)


def test_a_shift_of_whole_coarse_pixels_moves_the_image():
    image = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = Upsample(3, (1, 1, 8, 8), "bicubic", (3.0, -3.0))(image)
    plain = Upsample(3, (1, 1, 8, 8))(image)
    torch.testing.assert_close(moved[..., 9:-6, 6:-9], plain[..., 6:-9, 9:-6])


@pytest.mark.parametrize("shift", SHIFTS)
def test_constants_stay(shift):
    image = torch.full((1, 2, 4, 4), 0.3, dtype=torch.float64)
    up = Upsample(4, (1, 2, 4, 4), "bicubic", shift)(image)
    torch.testing.assert_close(up, torch.full_like(up, 0.3))
