"""Samples: the tiles from which a method learns what is global, spread evenly over the area."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from stsfusion.engine import exchange
from stsfusion.engine.plan import Plan
from stsfusion.fusion.problem import Problem
from stsfusion.window import Window

__all__ = ["Samples", "sample_windows"]


@dataclass(frozen=True, eq=False)
class Samples(Sequence[Problem]):
    """Sampled windows of a plan as problems, read anew each time they are walked; never the truth."""

    plan: Plan
    """Where to read."""

    windows: tuple[Window, ...]
    """What to read."""

    def __len__(self) -> int:
        return len(self.windows)

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> Samples: ...

    def __getitem__(self, index: int | slice) -> Problem | Samples:
        if isinstance(index, slice):
            return Samples(self.plan, self.windows[index])
        return exchange.read_window(self.plan, self.windows[index], self.plan.device)


def sample_windows(plan: Plan, *, count: int, size: int, seed: int) -> tuple[Window, ...]:
    """At most `count` windows of `size` pixels, all dates, one at a random place of each cell of a lattice.

    A scene that is no larger than all of them together is taken whole, in one window.

    Parameters
    ----------
    plan
        Whose target is sampled.
    count
        Windows at most.
    size
        Side of a window, target pixels; rounded up to a multiple of every ratio.
    seed
        Of the places.
    """
    time, _, rows, cols = plan.target.shape
    multiple = plan.geometry.multiple
    side = math.ceil(size / multiple) * multiple
    if rows * cols <= count * side**2:
        return (Window.whole(time, rows, cols),)
    down, across = _lattice(count, rows, cols)
    generator = np.random.default_rng(seed)
    return tuple(
        Window(
            (0, time),
            _place(generator, rows, i, down, side, multiple),
            _place(generator, cols, j, across, side, multiple),
        )
        for i in range(down)
        for j in range(across)
    )


def _lattice(count: int, rows: int, cols: int) -> tuple[int, int]:
    """Cells down and across, at most `count`, as square as the area allows."""
    down = max(1, min(count, round(math.sqrt(count * rows / cols))))
    return down, max(1, count // down)


def _place(
    generator: np.random.Generator, size: int, cell: int, cells: int, side: int, multiple: int
) -> tuple[int, int]:
    """An interval of `side` pixels that starts in the cell, on a multiple, inside the scene."""
    low, high = size * cell // cells, size * (cell + 1) // cells
    start = int(generator.integers(low, max(high - side, low) + 1)) // multiple * multiple
    start = max(0, min(start, (size - side) // multiple * multiple))
    return start, min(start + side, size)
