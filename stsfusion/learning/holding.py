"""Holding back: the cells of a tile whose labels no step learns from, the same ones at either scale.

A seventh of the ground is held back, on all dates and of all sensors. The exam hides dates that lie between
others, one by one (where there are none it asks one scale coarser), and scores what is said of them in these
cells alone. Whole dates are not held back: elsewhere on the ground the network learns from every one of the
few that the hyperspectral sensor saw.

::

    . . . x . . .        every seventh cell of a lattice on which no two touch
    . . . . . x .
    x . . . . . .
"""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.learning.patches import Lesson
from stsfusion.operators.resample import blocks

__all__ = ["exam_of", "held_cells", "side_of"]

_LEAST = 16
"""Target pixels along one side of a cell, at least."""


def side_of(multiple: int) -> int:
    """Target pixels along one side of a cell: a multiple of what the windows' edges must be multiples of."""
    return -(-_LEAST // multiple) * multiple


def held_cells(rows: int, cols: int, side: int) -> Tensor:
    """(rows, cols) bool: pixels of every seventh cell, cells being `side` pixels wide."""
    down, right = torch.arange(-(-rows // side))[:, None], torch.arange(-(-cols // side))[None]
    return blocks((2 * down + 3 * right) % 7 == 3, side)[:rows, :cols]


def exam_of(lesson: Lesson, side: int, patch: int, most: int) -> list[Lesson]:
    """Windows around cells that are held back, with labels of those cells alone.

    Parameters
    ----------
    lesson
        Of a whole tile.
    side
        Target pixels along one side of a cell, a multiple of the lesson's own.
    patch
        Target pixels along one side of a window, about.
    most
        Windows at most, evenly spread.
    """
    rows, cols = lesson.features.shape[2:]
    held = held_cells(rows, cols, side)
    turned = lesson.veiled(~held)
    margin = max(patch - side, 0) // 2 // lesson.multiple * lesson.multiple
    corners = [
        (row, col) for row in range(0, rows, side) for col in range(0, cols, side) if bool(held[row, col])
    ]
    step = max(-(-len(corners) // max(most, 1)), 1)
    windows = [
        (_span(row, side, margin, rows), _span(col, side, margin, cols)) for row, col in corners[::step]
    ]
    return [turned.cut(top, left, height, width) for (top, height), (left, width) in windows]


def _span(start: int, side: int, margin: int, length: int) -> tuple[int, int]:
    first, last = max(start - margin, 0), min(start + side + margin, length)
    return first, last - first
