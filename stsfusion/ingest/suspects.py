"""Suspects: lines of an image that look strange among those around them, by sums over each alone."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TIMES", "Lines", "Suspects", "after", "before", "suspects"]

_AROUND = 12
"""Lines on either side by which a line is judged."""

_RUN = 8
"""Dead lines on end at most; more may be a lake."""

_DOUBT = 0.35
"""Standard deviation of a suspect, in parts of what is usual around it; where dead lines cross it is more."""

_GRAIN = 2.0
"""Counts by which lines must usually vary for a flat one to be strange."""

_LEAST = 16
"""Known pixels by which a line can be judged."""

_MANY = 0.1
"""Part of a band's lines that may be suspect; beyond, the band is strange as a whole and is left."""

TIMES = 2.0
"""A line that is off is this many times as bright as those around it, or as dark."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Stored = NDArray[Any]


@dataclass(frozen=True)
class Lines:
    """(line,) sums over all lines of one band along one axis."""

    filled: Array
    """Pixels that are not fill."""

    count: Array
    """Pixels that are known."""

    total: Array
    """Of these, counts."""

    squares: Array
    """Of these, counts²."""

    @property
    def mean(self) -> Array:
        """(line,) of known pixels."""
        return np.asarray(self.total / np.maximum(self.count, 1))

    @property
    def spread(self) -> Array:
        """(line,) standard deviation of known pixels."""
        return np.sqrt(np.maximum(self.squares / np.maximum(self.count, 1) - self.mean**2, 0))


@dataclass(frozen=True)
class Suspects:
    """Lines of one band along one axis that look strange."""

    flat: list[int]
    """Far less varied than usual."""

    off: list[int]
    """Far brighter or darker than usual."""

    empty: list[int]
    """Fill between lines that see the ground."""

    good: list[int]
    """All others that hold enough to be compared with."""

    lines: dict[int, Stored]
    """Flat and off ones, and those by which they are judged, as stored; to be filled."""


def suspects(lines: Lines) -> Suspects:
    """What is to be looked at again."""
    alive = (lines.count >= _LEAST) & (lines.count >= 0.5 * np.median(lines.count))
    spread, mean = (np.where(alive, of, np.nan) for of in (lines.spread, lines.mean))
    usual, level = _usual(spread), _usual(mean)
    inside = np.logical_or.accumulate(alive) & np.logical_or.accumulate(alive[::-1])[::-1]
    with np.errstate(invalid="ignore"):
        flat = _short((spread <= _DOUBT * usual) & (usual >= _GRAIN))
        off = _short(((mean < level / TIMES) | (mean > level * TIMES)) & (level > 0))
        seen = _usual(lines.filled) >= max(_LEAST, 0.5 * lines.filled.max())
        empty = _short((lines.filled == 0) & seen & inside)
    if (flat | off | empty).sum() > max(_AROUND, _MANY * len(alive)):
        return Suspects([], [], [], [], {})
    good = np.flatnonzero(alive & ~flat & ~off).tolist()
    asked = np.flatnonzero(flat | off).tolist()
    wanted = sorted({n for one in asked for n in (one, *before(good, one), *after(good, one))})
    strange = [np.flatnonzero(one).tolist() for one in (flat, off, empty)]
    return Suspects(strange[0], strange[1], strange[2], good, {n: np.empty(0) for n in wanted})


def before(good: list[int], number: int) -> list[int]:
    """The three good lines before a line, the nearest first."""
    return good[: bisect(good, number)][-1:-4:-1]


def after(good: list[int], number: int) -> list[int]:
    """The three good lines after a line, the nearest first."""
    return good[bisect(good, number) :][:3]


def _usual(values: Array) -> Array:
    """(line,) median over the lines around each, itself included; NaN where none is known."""
    padded = np.pad(values, _AROUND, constant_values=np.nan)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)
    known = np.isfinite(windows).sum(axis=1)
    middle = windows[np.arange(len(values)), np.maximum(known - 1, 0) // 2]
    return np.where(known > 0, middle, np.nan)


def _short(lines: Mask) -> Mask:
    """Lines of runs that are not too long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lines, [False]]).astype(np.int8)))
    kept = np.zeros(len(lines), dtype=bool)
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        kept[first:last] = last - first <= _RUN
    return kept
