"""Blur: a point spread function and decimation by an integer ratio, with the phase right.

::

    fine      | 0 | 1 | 2 | 3 | 4 | 5 |      ratio 3
    coarse    |     0     |     1     |      pixel i covers fine r·i … r·i + r − 1
                    ^ centre at r·i + (r − 1)/2

A kernel of size k is centred on its coarse pixel, so k and the ratio are both odd or both even.
Beyond the image's edge the nearest pixel is repeated, so constants are kept everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from stsfusion.errors import ProblemError
from stsfusion.operators.linear import Linear, Shape

__all__ = ["Blur", "bilinear_kernel", "box_kernel", "gaussian_kernel", "identity_kernel", "mtf_kernel"]

_SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))


@dataclass(frozen=True, eq=False)
class Blur(Linear):
    """y[i] = Σ_j kernel[j] · x[r·i + (r − k)/2 + phase + j], per date and band."""

    kernel: Tensor
    """(ky, kx) point spread function on the fine grid; sums to one for a sensor."""

    ratio: int
    """Fine pixels along one side of a coarse pixel."""

    shape: Shape
    """(time, band, y, x) of what the map takes; y and x are multiples of the ratio."""

    phase: tuple[int, int] = (0, 0)
    """Whole fine pixels (down, right) by which the footprint lies off its coarse pixel's centre."""

    known: bool = True
    """False: only the kernel's size and the ratio are true, its values are a nominal prior."""

    def __post_init__(self) -> None:
        ky, kx = self.kernel.shape
        if (ky - self.ratio) % 2 or (kx - self.ratio) % 2:
            raise ProblemError(
                "Blur kernel",
                expected=f"an {'odd' if self.ratio % 2 else 'even'} size, as the ratio {self.ratio}",
                got=f"{ky}×{kx}",
                mend="Pad the kernel by one row and column, or shift it by half a pixel.",
            )
        if self.shape[2] % self.ratio or self.shape[3] % self.ratio:
            raise ProblemError(
                "Blur",
                expected=f"rows and columns that the ratio {self.ratio} divides",
                got=f"{self.shape[2]}×{self.shape[3]}",
                mend="Pad the cube to a multiple of the ratio.",
            )

    @property
    def in_shape(self) -> Shape:
        """Shape on the fine grid."""
        return self.shape

    @property
    def out_shape(self) -> Shape:
        """Shape on the coarse grid."""
        time, band, y, x = self.shape
        return time, band, y // self.ratio, x // self.ratio

    @property
    def reach(self) -> int:
        """Fine pixels beyond its own block that a coarse pixel can see."""
        size = max(self.kernel.shape)
        return max((size - self.ratio) // 2, 0) + max(abs(self.phase[0]), abs(self.phase[1]))

    def with_shape(self, shape: Shape) -> Blur:
        """The same optics for another window, number of bands or dates."""
        return replace(self, shape=shape)

    def _index(self, axis: int) -> Tensor:
        """Fine rows (or columns) under every coarse one, edges repeated."""
        size, k = self.shape[2 + axis], self.kernel.shape[axis]
        start = (self.ratio - k) // 2 + self.phase[axis]
        length = size - self.ratio + k
        return (torch.arange(length) + start).clamp(0, size - 1)

    def _apply(self, x: Tensor) -> Tensor:
        band = self.shape[1]
        if not band:
            return x.new_zeros(self.out_shape)
        edges = [*self._beyond(1), *self._beyond(0)]
        kernel = self.kernel.to(x).expand(band, 1, -1, -1)
        # One group for every band keeps the strides of `x`, of which bands may be the fastest.
        return conv2d(pad(x, edges, mode="replicate"), kernel, stride=self.ratio, groups=band)

    def _beyond(self, axis: int) -> tuple[int, int]:
        """Rows (or columns) to repeat before the first and behind the last; negative ones are left out."""
        k = self.kernel.shape[axis]
        before = (k - self.ratio) // 2 - self.phase[axis]
        return before, k - self.ratio - before

    def _transpose(self, y: Tensor) -> Tensor:
        time, band, rows, cols = self.out_shape
        spread = conv_transpose2d(
            y.reshape(time * band, 1, rows, cols), self.kernel.to(y)[None, None], stride=self.ratio
        )
        out = spread.new_zeros(time * band, 1, self.shape[2], spread.shape[3])
        out.index_add_(2, self._index(0).to(y.device), spread)
        folded = out.new_zeros(time * band, 1, self.shape[2], self.shape[3])
        folded.index_add_(3, self._index(1).to(y.device), out)
        return folded.reshape(self.shape)


def identity_kernel() -> Tensor:
    """The kernel of an instrument that is as sharp as the grid: a single one."""
    return torch.ones(1, 1, dtype=torch.float64)


def _separable(profile_y: Tensor, profile_x: Tensor) -> Tensor:
    kernel = torch.outer(profile_y, profile_x)
    return kernel / kernel.sum()


def _positions(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.float64) - (size - 1) / 2


def gaussian_kernel(
    fwhm: float, ratio: int, shift: tuple[float, float] = (0.0, 0.0), reach: float = 3.5
) -> Tensor:
    """A sampled Gaussian of unit sum, double precision.

    Parameters
    ----------
    fwhm
        Full width at half maximum, fine pixels.
    ratio
        The decimation it is meant for; decides whether the size is odd or even.
    shift
        (down, right) offset of the centre, fine pixels, may be fractional.
    reach
        Standard deviations kept on either side.
    """
    sigma = fwhm * _SIGMA_PER_FWHM
    half = math.ceil(reach * sigma + max(abs(shift[0]), abs(shift[1])))
    size = 2 * half + (1 if ratio % 2 else 0)
    size = max(size, ratio % 2 or 2)
    y, x = (torch.exp(-0.5 * ((_positions(size) - s) / sigma) ** 2) for s in shift)
    return _separable(y, x)


def mtf_kernel(mtf: float, ratio: int, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """The Gaussian whose modulation at the coarse grid's Nyquist frequency 1/(2 r) is `mtf`.

    σ = (r / π) · sqrt(−2 ln mtf), from exp(−2 π² σ² f²) = mtf at f = 1/(2 r).
    """
    if not 0.0 < mtf < 1.0:
        raise ProblemError("mtf_kernel", expected="a modulation between 0 and 1", got=f"{mtf}")
    sigma = ratio / math.pi * math.sqrt(-2.0 * math.log(mtf))
    return gaussian_kernel(sigma / _SIGMA_PER_FWHM, ratio, shift)


def box_kernel(ratio: int) -> Tensor:
    """Plain averaging of the r×r fine pixels of a coarse one."""
    return torch.full((ratio, ratio), 1.0 / ratio**2, dtype=torch.float64)


def bilinear_kernel(ratio: int) -> Tensor:
    """The triangle of antialiased bilinear downsampling, with a half-width of r fine pixels."""
    size = 2 * ratio - ratio % 2
    profile = (1.0 - _positions(size).abs() / ratio).clamp_min(0.0)
    return _separable(profile, profile)
