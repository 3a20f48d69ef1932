"""Gaussian fit: the width and displacement of the Gaussian under which an image tells most of a coarse one.

::

    share(k) = Σ_p  m_pᵀ F⁻¹ m_p      F = cov(k * Y), m_p = cov(k * Y, component p of Z)

The coarse image is what is predicted, so that no kernel wins by flattening the fine one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.operators.overlap import Sums
from stsfusion.operators.pairmodel import support

__all__ = ["Told", "gaussian", "search"]

_COMPONENTS = 12
"""Principal components of the coarse image that are predicted."""

_WIDTHS = (0.3, 0.5, 0.75, 1.0, 1.3)
"""Full widths at half maximum from which the search starts, in ratios."""

_SURE = 15.0
"""Twice the logarithm of how many Gaussians the search looks at: a displacement must be worth more than that
in likelihood, or a handful of pixels would move the image by chance."""

_FLAT = 1e-12
"""Share of the second moments below which a variance is rounding."""


@dataclass(frozen=True, eq=False)
class Told:
    """How much of the coarse image a kernel lets the fine one tell."""

    gram: Tensor
    """(l, l, n, n) covariance of the patches."""

    cross: Tensor
    """(l, n, p) with the weighted principal components of the coarse image."""

    total: float
    """Variance of the weighted components."""

    count: float
    """Pixels."""

    @classmethod
    def of(cls, sums: Sums) -> Told:
        """Centre the sums; components count by the root of their variance, so that the first is not all."""
        gram = sums.patch - torch.einsum("an,bm->abnm", sums.patch_mean, sums.patch_mean)
        covariance = sums.coarse - torch.outer(sums.coarse_mean, sums.coarse_mean)
        values, vectors = torch.linalg.eigh(covariance)
        keep = min(_COMPONENTS, len(values))
        values, vectors = values.flip(0)[:keep].clamp_min(1e-30), vectors.flip(1)[:, :keep]
        cross = sums.cross - torch.einsum("an,b->anb", sums.patch_mean, sums.coarse_mean)
        if float(covariance.trace()) <= _FLAT * float(sums.coarse.trace()):
            cross = torch.zeros_like(cross)
        return cls(gram, cross @ (vectors * values**-0.25), float(values.sqrt().sum()), sums.count)

    def share(self, kernels: Tensor) -> Tensor:
        """(m,) variance of the weighted components that k * Y explains, for (m, n) kernels of unit sum."""
        feature = torch.einsum("mn,abnk,mk->mab", kernels, self.gram, kernels)
        mixed = torch.einsum("mn,anp->map", kernels, self.cross)
        level = feature.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)
        load = 1e-8 * level[:, None, None] * torch.eye(feature.shape[1], dtype=feature.dtype)
        return (mixed * torch.linalg.solve(feature + load, mixed)).sum((1, 2))

    def missing(self, kernel: Tensor) -> float:
        """Share of the weighted components' variance that one (n,) kernel leaves untold."""
        return max(1.0 - float(self.share(kernel[None])[0]) / self.total, 1e-6)


def search(told: Told, ratio: int, size: int) -> Tensor:
    """(3,) the best Gaussian's width and displacement, none unless it tells more than chance would let it."""
    far = support(ratio) - 1
    offsets = torch.arange(-far, far + 1, dtype=torch.float64)
    centred, free = (_climbed(told, ratio, size, places) for places in (offsets[far : far + 1], offsets))
    left, least = (told.missing(gaussian(each, size)) for each in (centred, free))
    return free if told.count * math.log(left / least) > _SURE else centred


def _climbed(told: Told, ratio: int, size: int, offsets: Tensor) -> Tensor:
    """(3,) from a grid of widths and displacements, in steps that halve; one displacement stays as it is."""
    widths = torch.tensor(_WIDTHS, dtype=torch.float64) * ratio
    grid = torch.cartesian_prod(widths, offsets, offsets)
    shares = torch.cat([told.share(_gaussians(part, size)) for part in grid.split(64)])
    best = grid[int(shares.argmax())] if float(shares.max()) > 0 else torch.tensor([ratio, 0.0, 0.0]).to(grid)
    slide = 0.5 if len(offsets) > 1 else 0.0
    step = torch.tensor([0.2 * ratio, slide, slide], dtype=torch.float64)
    moves = torch.cartesian_prod(*(torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64),) * 3)
    for _ in range(8):
        near = best + moves * step
        near[:, 0] = near[:, 0].clamp(0.15 * ratio, 2.0 * ratio)
        best = near[int(told.share(_gaussians(near, size)).argmax())]
        step = step / 2
    return best


def gaussian(settings: Tensor, size: int) -> Tensor:
    """(K²,) of unit sum from (3,) full width and displacement (down, right), fine pixels."""
    return _gaussians(settings[None], size)[0]


def _gaussians(settings: Tensor, size: int) -> Tensor:
    """(m, K²) of unit sum from (m, 3) full widths and displacements (down, right)."""
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    sigma = settings[:, :1] / 2.3548
    down = torch.exp(-0.5 * ((places - settings[:, 1:2]) / sigma) ** 2)
    right = torch.exp(-0.5 * ((places - settings[:, 2:3]) / sigma) ** 2)
    kernels = (down[:, :, None] * right[:, None, :]).flatten(1)
    return kernels / kernels.sum(1, keepdim=True)
