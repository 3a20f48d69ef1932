"""MovingFit: in a window around every pixel, one image as a linear combination of others and an offset.

::

    y ≈ Σ_i a_i x_i + b          minimise  mean (y − Σ a_i x_i − b)² + λ Σ (a_i − p_i)²

p is what is believed where a window has no contrast to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.coarsepixel import box_mean

__all__ = ["MovingFit"]

_DOUBTED = 1e-3
"""Weight of a filled pixel, in that of one that was seen."""


@dataclass(frozen=True, eq=False)
class MovingFit:
    """Coefficients of every pixel."""

    slope: Tensor
    """(n, b, y, x) no unit."""

    offset: Tensor
    """(b, y, x) reflectance."""

    @classmethod
    def of(
        cls, inputs: Sequence[Tensor], output: Tensor, seen: Tensor, window: int, ridge: Tensor, prior: Tensor
    ) -> Self:
        """Fit a window around every pixel, band by band.

        Parameters
        ----------
        inputs
            n of (b, y, x) reflectance.
        output
            (b, y, x) reflectance.
        seen
            (y, x) from 0, filled, to 1, seen.
        window
            An odd number of pixels.
        ridge
            (b,) λ, reflectance squared.
        prior
            (n, y, x) p.
        """
        weight = seen.double().clamp_min(_DOUBTED)
        fits = [
            _of_band(torch.stack([x[b] for x in inputs]), y, weight, window, float(ridge[b]), prior)
            for b, y in enumerate(output)
        ]
        slope = torch.stack([one for one, _ in fits], 1)
        return cls(slope.to(output), torch.stack([one for _, one in fits]).to(output))

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """(b, y, x) Σ a_i x_i + b."""
        total = self.offset
        for slope, x in zip(self.slope, inputs, strict=True):
            total = total + slope * x
        return total


def _of_band(
    x: Tensor, y: Tensor, weight: Tensor, window: int, ridge: float, prior: Tensor
) -> tuple[Tensor, Tensor]:
    """(n, y, x) slopes and (y, x) offset of one band: covariances of the window, solved around the prior."""
    level = x.mean((1, 2), keepdim=True)
    x, y, prior = (x - level).double(), y.double(), prior.double()
    mean = box_mean(torch.cat([x, y[None]]), window, weight)
    both = torch.cat([x, y[None]])
    n = len(x)
    covariance = torch.stack(
        [box_mean(x[i] * both, window, weight) - mean[i] * mean for i in range(n)], -1
    )  # (n + 1, y, x, n)
    square = covariance[:n].permute(1, 2, 0, 3)
    missed = covariance[n] - torch.einsum("yxij,iyx->yxj", square, prior)
    eye = torch.eye(n, dtype=x.dtype, device=x.device)
    change = torch.linalg.solve(square + (ridge + torch.finfo(x.dtype).tiny) * eye, missed[..., None])
    slope = prior + change[..., 0].permute(2, 0, 1)
    return slope, mean[n] - (slope * (mean[:n] + level)).sum(0)
