"""Krige windows: which fine and coarse pixels stand about each coarse pixel of a tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["PIECE", "Windows", "laid"]

PIECE = 2_000_000
"""Numbers of fine covariance that are held at once."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one tile: which fine and coarse pixels stand about each coarse one."""

    guide: Tensor
    """(q, H, W)."""

    ratio: int
    """Fine pixels along one side of a coarse one."""

    half: int
    """Coarse pixels that a window extends on every side."""

    support: int
    """Fine pixels along one side of the widest kernel."""

    @property
    def side(self) -> int:
        """Coarse pixels along one side of a window."""
        return 2 * self.half + 1

    @property
    def span(self) -> int:
        """Fine pixels along one side of what a window sees."""
        return self.side * self.ratio + self.support - self.ratio

    @property
    def margin(self) -> int:
        """Fine pixels of a window before its middle coarse pixel's block."""
        return self.half * self.ratio + (self.support - self.ratio) // 2

    @property
    def grid(self) -> tuple[int, int]:
        """Coarse rows and columns."""
        return self.guide.shape[1] // self.ratio, self.guide.shape[2] // self.ratio

    @cached_property
    def distance(self) -> Tensor:
        """(n, n) between the window's fine pixels, in coarse ones."""
        axis = torch.arange(self.span, dtype=torch.float32, device=self.guide.device) / self.ratio
        places = torch.cartesian_prod(axis, axis)
        return torch.cdist(places, places)

    @cached_property
    def middle(self) -> Tensor:
        """(r²,) places of the middle coarse pixel's block among the window's fine pixels."""
        inside = torch.arange(self.margin, self.margin + self.ratio, device=self.guide.device)
        return (inside[:, None] * self.span + inside[None]).flatten()

    @cached_property
    def _padded(self) -> Tensor:
        return pad(self.guide[None], (self.margin,) * 4, mode="replicate")[0]

    def spread(self, kernel: Tensor) -> Tensor:
        """(side², n) P: weights of the fine pixels in each coarse pixel of the window."""
        out = kernel.new_zeros(self.side, self.side, self.span, self.span, dtype=torch.float32)
        off = (self.support - kernel.shape[0]) // 2
        for i in range(self.side):
            for j in range(self.side):
                rows = slice(i * self.ratio + off, i * self.ratio + off + kernel.shape[0])
                cols = slice(j * self.ratio + off, j * self.ratio + off + kernel.shape[1])
                out[i, j, rows, cols] = kernel.float()
        return out.flatten(2).flatten(0, 1).to(self.guide.device)

    def guides(self, places: Tensor) -> Tensor:
        """(m, n, q) of the windows about these coarse pixels, numbered row by row."""
        axis = torch.arange(self.span, device=places.device)
        rows = (places // self.grid[1] * self.ratio)[:, None] + axis
        cols = (places % self.grid[1] * self.ratio)[:, None] + axis
        taken = self._padded[:, rows[:, :, None], cols[:, None, :]]
        return taken.flatten(2).permute(1, 2, 0)

    def framed(self, coarse: Tensor) -> Tensor:
        """(c, h, w) with zeros beyond the edge, as far as windows look there."""
        return pad(coarse, (self.half,) * 4)

    def around(self, wide: Tensor, places: Tensor) -> Tensor:
        """(m, side², c) of what `framed` gave."""
        axis = torch.arange(self.side, device=places.device)
        rows = (places // self.grid[1])[:, None] + axis
        cols = (places % self.grid[1])[:, None] + axis
        return wide[:, rows[:, :, None], cols[:, None, :]].flatten(2).permute(1, 2, 0)

    def pieces(self, first: int, last: int) -> Iterator[Tensor]:
        """The numbers of all coarse pixels of some rows, so many at a time that memory is bounded."""
        every = torch.arange(first * self.grid[1], last * self.grid[1], device=self.guide.device)
        yield from every.split(max(1, PIECE // self.span**4))


def laid(blocks: Tensor, cols: int, ratio: int) -> Tensor:
    """(h·w, r², c) of every coarse pixel of some rows of so many columns to (c, H, W)."""
    image = blocks.reshape(-1, cols, ratio, ratio, blocks.shape[2]).permute(4, 0, 2, 1, 3)
    return image.reshape(blocks.shape[2], -1, cols * ratio)
