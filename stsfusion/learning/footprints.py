"""Footprints: coarse pixels as rows, with the fine pixels that they look at; images become plain matrices.

::

    image (l, H, W) ─► blocks (m, r², l)        a coarse pixel sees its own block, and those around it
    kernel (k, k)   ─► parts (d, r²)            when the kernel is wider than the ratio: d = 1, 9, 25, …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.learning.pair import Pair

__all__ = ["Footprints", "aggregate", "kernel_parts"]


@dataclass(frozen=True, eq=False)
class Footprints:
    """Clear coarse pixels of any number of tiles, and the blocks of fine pixels under and around them."""

    coarse: Tensor
    """(n, L) coarse pixels."""

    fine: Tensor
    """(m, r², l) blocks of fine pixels, rows of a block one after the other."""

    near: Tensor
    """(n, d) which block lies under each part of the kernel."""

    @classmethod
    def of(cls, pairs: Sequence[Pair], reach: int) -> Footprints:
        """The clear pixels of pairs, for a kernel that sees `reach` fine pixels beyond its own block."""
        each = [_of_one(pair, -(-max(reach, 0) // pair.ratio)) for pair in pairs]
        starts = torch.tensor([0, *(len(one.fine) for one in each[:-1])]).cumsum(0).tolist()
        return cls(
            torch.cat([one.coarse for one in each]),
            torch.cat([one.fine for one in each]),
            torch.cat([one.near + start for one, start in zip(each, starts, strict=True)]),
        )

    def __len__(self) -> int:
        return len(self.coarse)

    def pick(self, places: Tensor) -> Footprints:
        """Some of the coarse pixels, with the blocks that they need."""
        used, near = self.near[places].unique(return_inverse=True)
        return Footprints(self.coarse[places], self.fine[used], near)

    def pieces(self, count: int) -> list[Footprints]:
        """Cut into pieces of `count` coarse pixels; whole when kernels reach over blocks."""
        if self.near.shape[1] > 1:
            return [self]
        near = torch.arange(len(self), device=self.near.device)[:, None]
        fine = self.fine[self.near[:, 0]]
        return [
            Footprints(c, f, n - int(n[0, 0]))
            for c, f, n in zip(self.coarse.split(count), fine.split(count), near.split(count), strict=True)
        ]


def kernel_parts(kernel: Tensor, ratio: int) -> Tensor:
    """(k, k) to (d, r²): a kernel cut along the blocks' borders, in the order of `Footprints.near`."""
    rings = -(-max(kernel.shape[0] - ratio, 0) // (2 * ratio))
    wide = 2 * rings + 1
    margin = (wide * ratio - kernel.shape[0]) // 2
    whole = pad(kernel, (margin,) * 4).reshape(wide, ratio, wide, ratio)
    return whole.permute(0, 2, 1, 3).reshape(wide * wide, ratio * ratio)


def aggregate(fine: Tensor, near: Tensor, parts: Tensor) -> Tensor:
    """What coarse pixels see of fine ones: (m, r², c) blocks to (n, c).

    Σ_d parts[d] · fine[near[:, d]], each block being multiplied once.
    """
    seen = parts @ fine
    if near.shape[1] == 1:
        own = seen[:, 0]
        return own if len(own) == len(near) else own[near[:, 0]]
    places = torch.arange(near.shape[1], device=near.device)
    return seen[near, places].sum(1)


def _of_one(pair: Pair, rings: int) -> Footprints:
    bands, rows, cols = pair.fine.shape
    ratio, (high, wide) = pair.ratio, pair.coarse.shape[1:]
    cut = pair.fine.reshape(bands, rows // ratio, ratio, cols // ratio, ratio)
    fine = cut.permute(1, 3, 2, 4, 0).reshape(high * wide, ratio * ratio, bands)
    row, col = (place[:, None] for place in pair.clear.nonzero().T)
    steps = torch.arange(-rings, rings + 1, device=row.device)
    down, right = (grid.reshape(1, -1) for grid in torch.meshgrid(steps, steps, indexing="ij"))
    near = (row + down).clamp(0, high - 1) * wide + (col + right).clamp(0, wide - 1)
    used, near = near.unique(return_inverse=True)
    return Footprints(pair.coarse[:, pair.clear].T.contiguous(), fine[used].contiguous(), near)
