"""Middle: the window in which methods are compared, and the dates of a cube that are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stsfusion.engine.plan import Plan
from stsfusion.quality.scores import Dated
from stsfusion.window import Window

__all__ = ["Dates", "central_window"]


@dataclass(frozen=True, eq=False)
class Dates:
    """Some dates of a cube."""

    cube: Dated
    """The whole of it."""

    keep: tuple[int, ...]
    """Indices of the dates."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        return len(self.keep), *self.cube.shape[1:]

    def date(self, i: int) -> Tensor:
        """(band, y, x) of one of the kept dates."""
        return self.cube.date(self.keep[i])


def central_window(plan: Plan, size: int) -> Window:
    """The middle of the target, at most `size` pixels on a side, edges on multiples of every ratio."""
    time, _, rows, cols = plan.target.shape
    multiple = plan.geometry.multiple
    return Window((0, time), _middle(rows, size, multiple), _middle(cols, size, multiple))


def _middle(length: int, size: int, multiple: int) -> tuple[int, int]:
    if length <= size:
        return 0, length
    side = size // multiple * multiple
    start = (length - side) // 2 // multiple * multiple
    return start, start + side
