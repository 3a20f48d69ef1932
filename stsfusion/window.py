"""Window: dates × rows × columns in whole pixels, the one way to say *where*."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from stsfusion.errors import PlanError

__all__ = ["Interval", "Window"]

Interval = tuple[int, int]
"""Half-open [start, stop)."""


def _snap(interval: Interval, multiple: int) -> Interval:
    start, stop = interval
    return start // multiple * multiple, math.ceil(stop / multiple) * multiple


def _clip(interval: Interval, size: int) -> Interval:
    start, stop = (min(max(edge, 0), size) for edge in interval)
    return start, stop


@dataclass(frozen=True, order=True)
class Window:
    """A box of dates, rows and columns on one grid; bands are always taken whole.

    All three intervals are half-open and counted from the grid's first date and north-west corner.
    """

    dates: Interval
    """First date and the one after the last, as indices."""

    rows: Interval
    """First row and the one after the last."""

    cols: Interval
    """First column and the one after the last."""

    def __post_init__(self) -> None:
        for name in ("dates", "rows", "cols"):
            start, stop = getattr(self, name)
            if start > stop:
                raise PlanError(
                    f"window {name} ({start}, {stop})", expected="start ≤ stop", mend="Order the two numbers."
                )

    @classmethod
    def whole(cls, dates: int, rows: int, cols: int) -> Window:
        """The window that covers a grid of this many dates, rows and columns."""
        return cls((0, dates), (0, rows), (0, cols))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(dates, rows, columns)."""
        return tuple(stop - start for start, stop in (self.dates, self.rows, self.cols))  # type: ignore[return-value]

    @property
    def slices(self) -> tuple[slice, slice, slice, slice]:
        """Index of a (time, band, y, x) array, all bands."""
        return slice(*self.dates), slice(None), slice(*self.rows), slice(*self.cols)

    def pad(self, pixels: int) -> Window:
        """Grow rows and columns by this many pixels on every side."""
        (r0, r1), (c0, c1) = self.rows, self.cols
        return replace(self, rows=(r0 - pixels, r1 + pixels), cols=(c0 - pixels, c1 + pixels))

    def reach(self, dates: int) -> Window:
        """Grow by this many dates at either end."""
        return replace(self, dates=(self.dates[0] - dates, self.dates[1] + dates))

    def snap(self, multiple: int) -> Window:
        """Grow rows and columns outward to whole multiples.

        ::

            |....|....|....|      multiple 4
               [====]             self
            [=======....]         snapped:  0 … 8, both ends on a bar
        """
        return replace(self, rows=_snap(self.rows, multiple), cols=_snap(self.cols, multiple))

    def clip(self, dates: int, rows: int, cols: int) -> Window:
        """Cut off what lies outside a grid of this size; wholly outside it, an empty window at its edge."""
        return Window(_clip(self.dates, dates), _clip(self.rows, rows), _clip(self.cols, cols))

    def coarsen(self, ratio: int) -> Window:
        """The same ground on a grid of pixels `ratio` times as large.

        Raises
        ------
        PlanError
            When an edge does not fall on a coarse pixel's edge.
        """
        if any(edge % ratio for edge in (*self.rows, *self.cols)):
            raise PlanError(
                f"window rows {self.rows}, cols {self.cols}",
                expected=f"edges on multiples of the ratio {ratio}",
                mend=f"Snap the window to {ratio} first.",
            )
        (r0, r1), (c0, c1) = self.rows, self.cols
        return replace(self, rows=(r0 // ratio, r1 // ratio), cols=(c0 // ratio, c1 // ratio))

    def refine(self, ratio: int) -> Window:
        """The same ground on a grid of pixels `ratio` times as small."""
        (r0, r1), (c0, c1) = self.rows, self.cols
        return replace(self, rows=(r0 * ratio, r1 * ratio), cols=(c0 * ratio, c1 * ratio))

    def contains(self, other: Window) -> bool:
        """Whether the other window lies wholly inside this one."""
        pairs = ((self.dates, other.dates), (self.rows, other.rows), (self.cols, other.cols))
        return all(mine[0] <= its[0] and its[1] <= mine[1] for mine, its in pairs)

    def within(self, outer: Window) -> Window:
        """The same window counted from the corner of one that contains it.

        Raises
        ------
        PlanError
            When it does not lie inside.
        """
        if not outer.contains(self):
            raise PlanError(f"window {self}", expected=f"inside {outer}", mend="Pad the outer window.")
        shift = [(a - o[0], b - o[0]) for (a, b), o in zip(self._axes, outer._axes, strict=True)]
        return Window(*shift)

    @property
    def _axes(self) -> tuple[Interval, Interval, Interval]:
        return self.dates, self.rows, self.cols
