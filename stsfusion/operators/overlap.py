"""Overlap: what two sensors both saw, and the sums over its coarse pixels that estimation works with.

::

    fine (l, H, W) ─ the K × K places under a coarse pixel ─► patches ─┐
    coarse (L, h, w) ────────────────────────────────────────────────┴─► sums of products, tiles added up
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.operators.pairmodel import support

__all__ = ["Overlap", "Sums", "gather"]


@dataclass(frozen=True, eq=False)
class Overlap:
    """One tile that both sensors saw."""

    coarse: Tensor
    """(L, h, w) hyperspectral reflectance."""

    fine: Tensor
    """(l, H, W) multispectral reflectance."""

    usable: Tensor
    """(h, w) bool: coarse pixels to learn from; what they see of the fine image is valid."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of products over all usable coarse pixels, double precision; n = K² places under the kernel."""

    count: float
    """Pixels."""

    patch: Tensor
    """(l, l, n, n) of the fine bands under the kernel with each other."""

    cross: Tensor
    """(l, n, L) of the fine bands with the coarse ones."""

    coarse: Tensor
    """(L, L) of the coarse bands."""

    patch_mean: Tensor
    """(l, n) means."""

    coarse_mean: Tensor
    """(L,) means."""

    @property
    def size(self) -> int:
        """K."""
        return round(self.patch.shape[-1] ** 0.5)


def gather(overlaps: Sequence[Overlap], ratio: int) -> Sums:
    """Walk over all tiles; each fine band's neighbourhood of every coarse pixel becomes a row of n places."""
    margin = support(ratio)
    size = ratio + 2 * margin
    total: list[Tensor] = []
    for overlap in overlaps:
        inner = _inner(overlap.usable, ratio, margin)
        patches = _patches(overlap.fine, size, ratio, margin)[:, inner.flatten()].double()
        z = overlap.coarse[:, inner].double()
        bands, pixels, places = patches.shape
        flat = patches.permute(1, 0, 2).reshape(pixels, bands * places)
        gram = (flat.T @ flat).reshape(bands, places, bands, places).permute(0, 2, 1, 3)
        piece = [
            torch.tensor(float(pixels)),
            gram,
            (flat.T @ z.T).reshape(bands, places, -1),
            z @ z.T,
            flat.sum(0).reshape(bands, places),
            z.sum(1),
        ]
        total = piece if not total else [a.add_(b) for a, b in zip(total, piece, strict=True)]
    count = float(total[0])
    parts = [part.cpu().div_(max(count, 1.0)) for part in total[1:]]
    return Sums(count, *parts)


def _inner(usable: Tensor, ratio: int, margin: int) -> Tensor:
    """Usable pixels whose support lies inside the image; all of them when that leaves fewer than half."""
    ring = -(-margin // ratio)
    inner = torch.zeros_like(usable)
    inner[ring : usable.shape[0] - ring, ring : usable.shape[1] - ring] = True
    inner &= usable
    return inner if int(inner.sum()) * 2 >= int(usable.sum()) else usable


def _patches(fine: Tensor, size: int, ratio: int, margin: int) -> Tensor:
    """(l, h·w, K²) of the fine image under every coarse pixel's support, edges repeated."""
    wide = pad(fine[None], (margin,) * 4, mode="replicate")[0]
    windows = wide.unfold(1, size, ratio).unfold(2, size, ratio)
    return windows.flatten(1, 2).flatten(2)
