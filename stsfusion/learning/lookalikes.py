"""Lookalikes: what a fit leaves over on the coarse grid, brought to the fine pixels that look as it did.

::

    k(s, s') = exp(−½ ‖u(s) − u(s')‖² / w²) · exp(−|s − s'| / ℓ)      u: what the fine image looks like
    ê = K Pᵀ (P K Pᵀ + λ)⁻¹ r                                         P: the point spread function

A point spread function that looks at the middle of its pixel alone tells nothing of the rest of it by
distance; by likeness it does. `Kriging` knows its channels' correlation lengths, this one knows edges: the
mean of the two errs less than either. Where a coarse pixel is many fine ones wide, P sees cells of them.

Source: Matheron (1963); change of support as in Kyriakidis (2004), eqs. 5 to 9; the covariance by a guide as
in Rasmussen and Williams (2006), sec. 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.learning.guidedkriging import trim
from stsfusion.learning.kept import Kept
from stsfusion.learning.krigewindows import Windows, laid
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.sylvester import trimmed

__all__ = ["REACH", "Lookalikes"]

REACH = 1
"""Coarse pixels that a window extends on every side."""

_WIDTH = 0.8
"""w, in the root mean square that all whitened bands together have."""

_NEAR = 2.0
"""ℓ, coarse pixels."""

_NUGGET = 0.03
"""Least λ: share of a coarse pixel's variance that it has in common with no other."""

_NOISE = 0.99
"""Largest share of noise in a channel's residual."""

_CELLS = 4
"""Most cells along one side of a coarse pixel; up to that ratio they are its fine pixels."""

_UNLIKE = 100.0
"""Distance from a window's middle, standard deviations of the image, beyond which looks are all unlike."""


@dataclass(frozen=True, eq=False)
class Lookalikes(Kept):
    """How far residuals are noise."""

    noise: Tensor
    """(p,) λ of the channels, in variances of a coarse pixel."""

    @classmethod
    def learn(cls, residuals: Sequence[Tensor], clear: Sequence[Tensor], noise: Tensor) -> Self:
        """From what is left over.

        Parameters
        ----------
        residuals, clear
            Tiles (p, h, w), and the (h, w) masks of the pixels to count.
        noise
            (p,) variance of the noise in the residuals.
        """
        rows = torch.cat([image[:, mask] for image, mask in zip(residuals, clear, strict=True)], 1)
        power = (rows.double().square().sum(1) / max(rows.shape[1], 1)).clamp_min(1e-300)
        share = (noise.to(power) / power).clamp(0.0, _NOISE)
        return cls((share / (1.0 - share) + _NUGGET).float())

    def __call__(self, residual: Tensor, clear: Tensor, looks: Tensor, model: PairModel) -> Tensor:
        """(p, h, w), of which (h, w) may be believed, to (p, H, W); looks are (k, H, W) whitened bands."""
        cut = _cut(model.ratio).to(looks)
        kernel = _celled(trim(model.kernel.to(looks), model.ratio), cut)
        windows = Windows(_pooled(looks, cut), len(cut), REACH, len(kernel))
        spread, far = windows.spread(kernel).to(looks), _far(windows, model.ratio).to(looks)
        blocks = _blocks(looks, model.ratio)
        values, known = windows.framed(residual), windows.framed(clear[None].to(residual))
        found = []
        for places in windows.pieces(0, windows.grid[0]):
            middle = blocks[places].mean(1, keepdim=True)
            pixels, cells = (
                (each - middle).clamp(-_UNLIKE, _UNLIKE) for each in (blocks[places], windows.guides(places))
            )
            seen = spread @ _alike(cells, cells, windows.distance) @ spread.T
            mixed = _alike(pixels, cells, far) @ spread.T
            near = windows.around(known, places)
            level = seen.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
            # A pixel that must not be believed has a variance of its own, and nothing in common with others.
            seen = near * near.transpose(1, 2) * seen + level * torch.diag_embed(1.0 - near[..., 0])
            variances, axes = torch.linalg.eigh(seen)
            told = axes.transpose(1, 2) @ (windows.around(values, places) * near)
            told = told / (variances.clamp_min(0.0)[..., None] + level * self.noise.to(residual))
            found.append(mixed @ (near * (axes @ told)))
        return laid(torch.cat(found), windows.grid[1], model.ratio)


def _cut(ratio: int) -> Tensor:
    """(c, r) length of every fine pixel in every cell, along one side of a coarse pixel, fine pixels."""
    cells = min(ratio, _CELLS)
    ends = torch.arange(cells + 1, dtype=torch.float64) * (ratio / cells)
    place = torch.arange(ratio, dtype=torch.float64)
    return (torch.minimum(ends[1:, None], place + 1.0) - torch.maximum(ends[:-1, None], place)).clamp_min(0.0)


def _pooled(image: Tensor, cut: Tensor) -> Tensor:
    """(k, H, W) to its means over cells."""
    (cells, ratio), (bands, rows, cols) = cut.shape, image.shape
    blocks = image.reshape(bands, rows // ratio, ratio, cols // ratio, ratio)
    means = torch.einsum("ca,kyaxb,db->kycxd", cut, blocks, cut) * (cells / ratio) ** 2
    return means.reshape(bands, rows // ratio * cells, cols // ratio * cells)


def _celled(kernel: Tensor, cut: Tensor) -> Tensor:
    """(k, k) weights of fine pixels to those of the cells that they lie in."""
    cells, ratio = cut.shape
    wide = pad(kernel, (-((len(kernel) - ratio) // 2) % ratio,) * 4)
    # Rings of cells beyond the kernel are empty.
    return trimmed(_pooled(wide[None], cut)[0] * (ratio / cells) ** 2, cells)


def _far(windows: Windows, ratio: int) -> Tensor:
    """(r², n) distances of the middle's fine pixels from a window's cells, in coarse pixels."""
    cells = (torch.arange(windows.span, device=windows.guide.device) + 0.5) / windows.ratio
    inside = (torch.arange(ratio, device=cells.device) + 0.5) / ratio + windows.margin / windows.ratio
    return torch.cdist(torch.cartesian_prod(inside, inside), torch.cartesian_prod(cells, cells))


def _blocks(image: Tensor, ratio: int) -> Tensor:
    """(k, H, W) to (h·w, r², k)."""
    parts = image.unfold(1, ratio, ratio).unfold(2, ratio, ratio)
    return parts.permute(1, 2, 3, 4, 0).flatten(2, 3).flatten(0, 1)


def _alike(first: Tensor, second: Tensor, distance: Tensor) -> Tensor:
    """(m, i, j) covariance of pixels with (m, i, k) and (m, j, k) looks at (i, j) distances."""
    inner = first @ second.transpose(1, 2)
    apart = first.square().sum(2)[:, :, None] + second.square().sum(2)[:, None]
    width = _WIDTH * first.shape[2] ** 0.5
    apart = apart.sub_(inner, alpha=2.0).clamp_min_(0.0).mul_(-0.5 / width**2)
    return apart.sub_(distance / _NEAR).exp_()
