"""Similar: sums over the alike pixels of a search window, for a block of pixels at a time as matrix products.

::

    region of a block      Q = (side + 2·radius)² pixels that its windows reach
      ┌───────────┐
      │  ┌─────┐  │        alike (P, Q)  1 where pixel q lies in p's window and looks like p, else 0
      │  │block│  │        sums  (s, P) = features (s, Q) @ alikeᵀ
      │  └─────┘  │
      └───────────┘

No window is ever unfolded: what is held at once is one block's matrix, however large the image is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Region", "Search", "strips"]

_MATRIX = 2**18
"""Entries of a block's matrix, pixels times what their windows reach, that stay in a processor's cache."""

_STRIP = 16
"""Rows of which the features are held at once."""

_TOGETHER = {"cpu": 1, "cuda": 64}
"""Blocks that are worked on at once, by kind of device."""


@dataclass(frozen=True, eq=False)
class Region:
    """What a group of g blocks sees."""

    centre: Tensor
    """(c, g, P, 1) the maps at the blocks' own pixels."""

    around: Tensor
    """(c, g, 1, Q) the maps at all pixels that their windows reach."""

    def pair(self, which: int) -> tuple[Tensor, Tensor]:
        """(g, 1, Q) and (g, P, 1) of one of the maps."""
        return self.around[which], self.centre[which]

    def sums(self, which: slice, matrix: Tensor) -> Tensor:
        """(g, s, P) of these maps, each pixel around counted as the (g, P, Q) matrix says."""
        return self.around[which].squeeze(2).transpose(0, 1) @ matrix.transpose(1, 2)


class Search:
    """Square windows of (2·radius + 1)² pixels, in which distances are told as D = 1 + distance / decay."""

    def __init__(self, radius: int, decay: float, like: Tensor) -> None:
        self.radius, self.together = radius, _TOGETHER.get(like.device.type, 1)
        self.side = 8 if (8 * (8 + 2 * radius)) ** 2 <= _MATRIX else 4
        own = torch.arange(self.side, device=like.device)
        wide = torch.arange(self.side + 2 * radius, device=like.device) - radius
        apart = (wide[None] - own[:, None]).to(torch.float64)
        down, right = apart[:, None, :, None], apart[None, :, None, :]
        distance = (down.square() + right.square()).sqrt().flatten(0, 1).flatten(1)
        inside = torch.maximum(down.abs(), right.abs()).flatten(0, 1).flatten(1) <= radius
        self.inside = inside.to(like)
        """(P, Q) one where a pixel lies in the window."""
        self.apart = (1.0 + distance / decay).to(like)
        """(P, Q) D."""
        self._line = ((wide[None] - own[:, None]).abs() <= radius).to(like)
        self._spare = torch.empty(0)

    def alike(self, region: Region, which: slice) -> Tensor:
        """(g, P, Q) one where a pixel of the window differs by less than one in all of these maps."""
        around, centre = region.around[which], region.centre[which]
        most = torch.sub(around[0], centre[0]).abs_()
        if self._spare.shape != most.shape:
            self._spare = torch.empty_like(most)
        for pair in zip(around[1:], centre[1:], strict=True):
            torch.sub(*pair, out=self._spare).abs_()
            torch.maximum(most, self._spare, out=most)
        return torch.lt(most, 1.0, out=most).mul_(self.inside)

    def whole(self, region: Region, which: slice) -> Tensor:
        """(g, s, P) sums of these maps over all of the window."""
        square = region.around[which].squeeze(2).unflatten(2, (self._line.shape[1],) * 2)
        return (self._line @ square @ self._line.T).flatten(2).transpose(0, 1)

    def over(
        self, parts: list[Tensor], missing: tuple[int, int], kernel: Callable[[Region], Tensor]
    ) -> Tensor:
        """What the kernel, (g, s, P) of a region, gives for every pixel.

        Parameters
        ----------
        parts
            (c, h, w) each: maps of the pixels that are asked for and of `radius` rows around them, laid one
            behind the other; the list is emptied.
        missing
            Rows among those that lie beyond the image's upper and lower edge.

        Returns
        -------
        Tensor
            (s, rows, w).
        """
        held, cols = parts[0].shape[1:]
        rows = held + sum(missing) - 2 * self.radius
        maps = self._framed(parts, rows, cols, missing[0])
        sums, side, reach = maps.new_empty(0), self.side, self.side + 2 * self.radius
        for y in range(0, rows, side):
            line = maps[:, y : y + reach].unfold(2, reach, side)
            found = torch.cat([kernel(self._region(group)) for group in line.split(self.together, 2)])
            if not len(sums):
                sums = maps.new_empty(found.shape[1], rows, cols)
            own = sums[:, y : y + side]
            found = found.unflatten(2, (side, side)).permute(1, 2, 0, 3).flatten(2)
            own.copy_(found[:, : own.shape[1], :cols])
        return sums

    def _framed(self, parts: list[Tensor], rows: int, cols: int, above: int) -> Tensor:
        """(c, …) maps in whole blocks and with all that windows reach, zero beyond the image."""
        whole = (-(-size // self.side) * self.side + 2 * self.radius for size in (rows, cols))
        maps = parts[0].new_zeros(sum(len(part) for part in parts), *whole)
        start = 0
        while parts:
            part = parts.pop(0)
            place = (slice(start, start + len(part)), slice(above, above + part.shape[1]))
            maps[(*place, slice(self.radius, self.radius + cols))] = part
            start += len(part)
        return maps

    def _region(self, group: Tensor) -> Region:
        """From (c, rows, g, cols) of a line of blocks."""
        blocks = group.transpose(1, 2)
        inner = slice(self.radius, self.radius + self.side)
        centre = blocks[..., inner, inner].flatten(2)[..., None]
        return Region(centre, blocks.flatten(2)[:, :, None])


def strips(rows: int, radius: int, height: int = _STRIP) -> Iterator[tuple[slice, slice, tuple[int, int]]]:
    """Bands of rows: which they are, which they see, and how many rows are missing above and below."""
    for top in range(0, rows, height):
        bottom = min(top + height, rows)
        first, last = max(top - radius, 0), min(bottom + radius, rows)
        yield slice(top, bottom), slice(first, last), (first - (top - radius), bottom + radius - last)
