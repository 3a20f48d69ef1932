"""Rectangle: the largest one in an image in which every pixel is there.

Row by row, every free pixel carries how far the free column above it goes (`height`) and the furthest columns
to which a rectangle of that height can grow (`left`, `right`); the best height × width of all is the answer::

    height  2 2 . 1        free  ■ ■ □ ■
    left    0 0 . 3              ■ ■ □ ■   <- a row
    right   2 2 . 4
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest_rectangle"]


def largest_rectangle(free: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of a largest rectangle of pixels that are all free; empty slices where none is.

    Parameters
    ----------
    free
        (y, x) bool.
    """
    cols = free.shape[1]
    height, left = np.zeros(cols, int), np.zeros(cols, int)
    right = np.full(cols, cols)
    most, best = 0, (slice(0, 0), slice(0, 0))
    for y, row in enumerate(free):
        begin, end = _runs(row)
        height = np.where(row, height + 1, 0)
        left = np.where(row, np.maximum(left, begin), 0)
        right = np.where(row, np.minimum(right, end), cols)
        area = height * (right - left) * row
        x = int(area.argmax())
        if area[x] > most:
            most = int(area[x])
            best = slice(y + 1 - int(height[x]), y + 1), slice(int(left[x]), int(right[x]))
    return best


def _runs(row: NDArray[np.bool_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """(x,) where the run of free pixels that each pixel is part of begins, and where it ends (exclusive)."""
    place = np.arange(len(row))
    begin = np.maximum.accumulate(np.where(row, 0, place + 1))
    end = np.minimum.accumulate(np.where(row, len(row), place)[::-1])[::-1]
    return begin, end
