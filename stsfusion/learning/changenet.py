"""Change net: coarse changes between dates to fine ones, by 3-D convolutions over dates, rows and columns.

::

    dates      a ─────────── b ─────────── c            b is asked for in training, though it was seen
    coarse       C_b − C_a     C_c − C_b         (n, band, step, y, x), every band over its own scale
    fine         F_b − F_a     F_c − F_b         = coarse + net(coarse)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from stsfusion.learning.holding import held_cells
from stsfusion.learning.patches import Turn

__all__ = ["ChangeNet", "ChangeTask", "Moments", "layer_sizes", "reach_of", "scale_of"]

Example = tuple[Tensor, Tensor, Tensor]
"""(n, band, step, y, x) coarse and fine changes, scaled, and the (n, 1, step, y, x) weight of the latter."""

_FAR = 3
"""Bases between the first and the last of a stack, at most."""

_SIDE = 16
"""Pixels along one side of a cell that is held back."""

_BEYOND = (-0.5, 1.5)
"""Least and largest share of the later one of two dates in a mixture of both, drawn for every band: a blur
takes bands apart and knows no bounds, so that any such mixture is a date that could have been."""

_EXAMS = 24
"""Windows of an exam, at most."""


class ChangeNet(nn.Module):
    """x + last(blocks(relu(first(x)))), a block being x + conv(relu(conv(x))); all are 3 × 3 × 3.

    Beyond the first and last step, row and column the nearest is repeated.
    """

    def __init__(self, bands: int, width: int, blocks: int) -> None:
        super().__init__()
        self.first = _conv(bands, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width)) for _ in range(blocks)
        )
        self.last = _conv(width, bands)

    def forward(self, x: Tensor) -> Tensor:
        """(n, band, step, y, x) scaled coarse changes to fine ones."""
        y = torch.relu(self.first(x))
        for block in self.blocks:
            y = y + block(y)
        return x + self.last(y)


def _conv(channels: int, out: int) -> nn.Conv3d:
    return nn.Conv3d(channels, out, 3, padding=1, padding_mode="replicate")


def layer_sizes(weights: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Bands, width and blocks of the net that these weights came from."""
    first = weights["first.weight"]
    return first.shape[1], len(first), sum(name.endswith(".2.weight") for name in weights)


def reach_of(blocks: int) -> int:
    """Pixels that an answer looks at on every side."""
    return 2 + 2 * blocks


@dataclass(frozen=True, eq=False)
class Moments:
    """The dates of one tile that both saw, rising."""

    coarse: Tensor
    """(n, band, H, W) reflectance on the fine grid."""

    fine: Tensor
    """(n, band, H, W) reflectance."""

    known: Tensor
    """(n, H, W) bool."""

    @property
    def stacks(self) -> list[tuple[int, int, int]]:
        """Dates a ≤ b ≤ c; two dates alone are a stack whose middle is to be mixed of both, its index -1."""
        count = len(self.coarse)
        if count == 2:
            return [(0, -1, 1)]
        return [
            (a, b, c)
            for a in range(count)
            for b in range(a + 1, count)
            for c in range(b + 1, min(a + _FAR + 1, count))
        ]


def scale_of(tiles: Sequence[Moments]) -> Tensor:
    """(band,) root mean square of the fine changes between neighbouring dates; one where there is none."""
    bands = tiles[0].fine.shape[1]
    total, count = tiles[0].fine.new_zeros(bands, dtype=torch.float64), 0
    for tile in tiles:
        for a in range(len(tile.fine) - 1):
            both = tile.known[a] & tile.known[a + 1]
            change = (tile.fine[a + 1] - tile.fine[a])[:, both]
            total, count = total + change.double().square().sum(1), count + change.shape[1]
    scale = (total / max(count, 1)).sqrt()
    return torch.where(scale > 0, scale, 1.0).float()


@dataclass(frozen=True, eq=False)
class ChangeTask:
    """Stacks of changes drawn as random windows, turned in space and in time; some cells are never drawn."""

    tiles: Sequence[Moments]
    """With two dates or more each."""

    scale: Tensor
    """(band,) reflectance that all changes are divided by."""

    patch: int
    """Pixels along one side of a window, at most."""

    batch: int
    """Stacks in a step."""

    holding: bool
    """Whether cells are held back for an exam."""

    def losses(self, net: nn.Module, generator: torch.Generator) -> Tensor:
        """The mean squared error over bands, steps and pixels that are known."""
        side = min(self.patch, *(length for tile in self.tiles for length in tile.known.shape[1:]))
        drawn = [self._draw(side, generator) for _ in range(self.batch)]
        x, y, weight = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        return lost(net(x), y, weight)

    @torch.no_grad()
    def exam(self, net: nn.Module) -> float:
        """The mean squared error on windows around what is held back."""
        sums = [(float(lost(net(x), y, w)) * float(w.sum()), float(w.sum())) for x, y, w in self.exams]
        return sum(loss for loss, _ in sums) / max(sum(count for _, count in sums), 1e-12)

    @cached_property
    def exams(self) -> list[Example]:
        """Windows around cells that are held back, evenly spread over tiles and stacks."""
        if not self.holding:
            return []
        places = [
            (tile, stack, row, col)
            for tile in self.tiles
            for row, col in _corners(tile)
            for stack in tile.stacks
        ]
        chosen = places[:: max(-(-len(places) // _EXAMS), 1)]
        found = [self._examined(*place) for place in chosen]
        return [each for each in found if bool((each[2] > 0).any())]

    def _draw(self, side: int, generator: torch.Generator) -> Example:
        tile = self.tiles[int(torch.randint(len(self.tiles), (), generator=generator))]
        stack = tile.stacks[int(torch.randint(len(tile.stacks), (), generator=generator))]
        row, col = (int(torch.randint(n - side + 1, (), generator=generator)) for n in tile.known.shape[1:])
        share = _BEYOND[0] + (_BEYOND[1] - _BEYOND[0]) * torch.rand(len(self.scale), generator=generator)
        window = (slice(row, row + side), slice(col, col + side))
        allowed = ~_held(tile, self.holding)[window]
        parts = self._example(tile, stack, window, allowed, share)
        turn = Turn(int(torch.randint(8, (), generator=generator)))
        x, y, weight = (turn.forth(part) for part in parts)
        if int(torch.randint(2, (), generator=generator)):
            return -x.flip(2), -y.flip(2), weight.flip(2)
        return x, y, weight

    def _examined(self, tile: Moments, stack: tuple[int, int, int], row: int, col: int) -> Example:
        margin = max(self.patch - _SIDE, 0) // 2
        rows, cols = tile.known.shape[1:]
        window = (
            slice(max(row - margin, 0), min(row + _SIDE + margin, rows)),
            slice(max(col - margin, 0), min(col + _SIDE + margin, cols)),
        )
        share = torch.linspace(*_BEYOND, len(self.scale))
        return self._example(tile, stack, window, _held(tile, True)[window], share)

    def _example(
        self,
        tile: Moments,
        stack: tuple[int, int, int],
        window: tuple[slice, slice],
        allowed: Tensor,
        share: Tensor,
    ) -> Example:
        """A window of a stack; (band,) `share` of the later date is in a middle that is mixed."""
        a, b, c = stack
        cut = (..., *window)
        changes, part = [], share.to(self.scale)[:, None, None]
        for series in (tile.coarse[cut], tile.fine[cut]):
            middle = series[b] if b >= 0 else torch.lerp(series[a], series[c], part)
            steps = torch.stack([middle - series[a], series[c] - middle], 1)
            changes.append((steps / self.scale[:, None, None, None])[None])
        known = tile.known[cut]
        middle = known[b] if b >= 0 else known[a] & known[c]
        weight = torch.stack([known[a] & middle, middle & known[c]]) & allowed
        return changes[0], changes[1], weight[None, None].float()


def lost(said: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Σ w · mean over bands of (said − wanted)² / Σ w; zero where nothing has weight."""
    square = (said - wanted).square().mean(1, keepdim=True)
    return (square * weight).sum() / weight.sum().clamp_min(1.0)


def _held(tile: Moments, holding: bool) -> Tensor:
    rows, cols = tile.known.shape[1:]
    held = held_cells(rows, cols, _SIDE) if holding else torch.zeros(rows, cols, dtype=torch.bool)
    return held.to(tile.known.device)


def _corners(tile: Moments) -> list[tuple[int, int]]:
    """First pixels of the cells that are held back."""
    held = _held(tile, True)[::_SIDE, ::_SIDE]
    return [(int(row) * _SIDE, int(col) * _SIDE) for row, col in held.nonzero().tolist()]
