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
    """How much of the coarse image a kernel lets the fine one tell; the kernel has K × K places."""

    gram: Tensor
    """(l, l, K², K²) covariance of the patches with each other: pairs of rows, then pairs of columns."""

    cross: Tensor
    """(l, K², p) with the weighted principal components of the coarse image."""

    total: float
    """Variance of the weighted components."""

    count: float
    """Pixels."""

    size: int
    """K."""

    @classmethod
    def of(cls, sums: Sums) -> Told:
        """Centre the sums; components count by the root of their variance, so that the first is not all."""
        covariance = sums.coarse - torch.outer(sums.coarse_mean, sums.coarse_mean)
        values, vectors = torch.linalg.eigh(covariance)
        keep = min(_COMPONENTS, len(values))
        values, vectors = values.flip(0)[:keep].clamp_min(1e-30), vectors.flip(1)[:, :keep]
        cross = sums.cross - torch.einsum("an,b->anb", sums.patch_mean, sums.coarse_mean)
        if float(covariance.trace()) <= _FLAT * float(sums.coarse.trace()):
            cross = torch.zeros_like(cross)
        weighted = cross @ (vectors * values**-0.25)
        return cls(_centred(sums), weighted, float(values.sqrt().sum()), sums.count, sums.size)

    def share(self, settings: Tensor) -> Tensor:
        """(m,) variance of the weighted components that k * Y explains, for (m, 3) Gaussians.

        A Gaussian is a profile down times one to the right: the rows of the covariance are summed once for
        all that share the former.
        """
        rows, place = settings[:, :2].unique(dim=0, return_inverse=True)
        down, right = _profiles(rows, self.size), _profiles(settings[:, ::2], self.size)
        half = _paired(down) @ self.gram
        feature = torch.einsum("abmq,mq->mab", half[:, :, place], _paired(right))
        mixed = torch.einsum("mn,anp->map", _outer(down[place], right), self.cross)
        return _explained(feature, mixed)

    def missing(self, kernel: Tensor) -> float:
        """Share of the weighted components' variance that one (K²,) kernel of unit sum leaves untold."""
        square = kernel.reshape(self.size, self.size)
        pairs = torch.einsum("ij,kl->ikjl", square, square).flatten()
        feature = (self.gram.flatten(2) @ pairs)[None]
        mixed = torch.einsum("n,anp->ap", kernel, self.cross)[None]
        return max(1.0 - float(_explained(feature, mixed)[0]) / self.total, 1e-6)


def _centred(sums: Sums) -> Tensor:
    """(l, l, K², K²) the patches' covariance, rows paired with rows and columns with columns."""
    bands, size = len(sums.patch), sums.size
    paired = sums.patch.reshape(bands, bands, *(size,) * 4).transpose(3, 4).reshape(bands, bands, size**2, -1)
    mean = sums.patch_mean.reshape(bands, size, size)
    for a, one in enumerate(mean):
        for b, other in enumerate(mean):
            paired[a, b] -= torch.einsum("ij,kl->ikjl", one, other).reshape(paired[a, b].shape)
    return paired


def _explained(feature: Tensor, mixed: Tensor) -> Tensor:
    """(m,) Σ_p m_pᵀ F⁻¹ m_p of (m, l, l) covariances F and (m, l, p) m."""
    level = feature.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)
    load = 1e-8 * level[:, None, None] * torch.eye(feature.shape[1], dtype=feature.dtype)
    return (mixed * torch.linalg.solve(feature + load, mixed)).sum((1, 2))


def search(told: Told, ratio: int) -> Tensor:
    """(3,) the best Gaussian's width and displacement, none unless it tells more than chance would let it."""
    far = support(ratio) - 1
    offsets = torch.arange(-far, far + 1, dtype=torch.float64)
    centred, free = (_climbed(told, ratio, places) for places in (offsets[far : far + 1], offsets))
    left, least = (told.missing(gaussian(each, told.size)) for each in (centred, free))
    return free if told.count * math.log(left / least) > _SURE else centred


def _climbed(told: Told, ratio: int, offsets: Tensor) -> Tensor:
    """(3,) from a grid of widths and displacements, in steps that halve; one displacement stays as it is."""
    widths = torch.tensor(_WIDTHS, dtype=torch.float64) * ratio
    grid = torch.cartesian_prod(widths, offsets, offsets)
    shares = torch.cat([told.share(part) for part in grid.split(64)])
    best = grid[int(shares.argmax())] if float(shares.max()) > 0 else torch.tensor([ratio, 0.0, 0.0]).to(grid)
    slide = 0.5 if len(offsets) > 1 else 0.0
    step = torch.tensor([0.2 * ratio, slide, slide], dtype=torch.float64)
    moves = torch.cartesian_prod(*(torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64),) * 3)
    for _ in range(8):
        near = best + moves * step
        near[:, 0] = near[:, 0].clamp(0.15 * ratio, 2.0 * ratio)
        best = near[int(told.share(near).argmax())]
        step = step / 2
    return best


def gaussian(settings: Tensor, size: int) -> Tensor:
    """(K²,) of unit sum from (3,) full width and displacement (down, right), fine pixels."""
    down, right = (_profiles(part, size) for part in (settings[None, :2], settings[None, ::2]))
    return _outer(down, right)[0]


def _profiles(settings: Tensor, size: int) -> Tensor:
    """(m, K) Gaussians of unit sum from (m, 2) full widths and displacements."""
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-0.5 * ((places - settings[:, 1:]) / (settings[:, :1] / 2.3548)) ** 2)
    return line / line.sum(1, keepdim=True)


def _outer(down: Tensor, right: Tensor) -> Tensor:
    """(m, K²) products of (m, K) profiles."""
    return (down[:, :, None] * right[:, None, :]).flatten(1)


def _paired(profile: Tensor) -> Tensor:
    """(m, K²) of every two places of (m, K) profiles."""
    return _outer(profile, profile)
