"""Swaths: a tile's rows taken a few at a time, so that what is made of it on the way is never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stsfusion.fusion.method import Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.window import Window

__all__ = ["PIXELS", "Swath", "swaths"]

PIXELS = 24_000
"""Target pixels of a swath, about."""


@dataclass(frozen=True)
class Swath:
    """Some rows of a tile."""

    own: slice
    """The rows, target pixels; a multiple of every ratio."""

    seen: slice
    """These and the context around them, as far as the tile goes."""

    cols: int
    """Columns of the tile."""

    @property
    def inner(self) -> slice:
        """The own rows, counted from the first one that is seen."""
        return slice(self.own.start - self.seen.start, self.own.stop - self.seen.start)

    def of(self, problem: Problem) -> Problem:
        """The question of the rows that are seen."""
        rows = (self.seen.start, self.seen.stop)
        return problem.crop(Window((0, problem.target.shape[0]), rows, (0, self.cols)))


def swaths(problem: Problem, reach: int = 0) -> Iterator[Swath]:
    """All rows of a tile.

    Parameters
    ----------
    problem
        The tile.
    reach
        Context on either side, target pixels; rounded up to whole coarse pixels.
    """
    rows, cols = problem.target.shape[2:]
    multiple = Geometry.of(problem).multiple
    height = max(PIXELS // cols // multiple, 1) * multiple
    margin = -(-reach // multiple) * multiple
    for top in range(0, rows, height):
        bottom = min(top + height, rows)
        yield Swath(slice(top, bottom), slice(max(top - margin, 0), min(bottom + margin, rows)), cols)
