"""Events: harvest, ploughing and building, which no neighbouring date announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stsfusion.forward.calendar import Cover

__all__ = ["KINDS", "Event", "apply", "choose"]

Kind = Literal["harvest", "ploughing", "building"]

KINDS: tuple[Kind, ...] = ("harvest", "ploughing", "building")
"""In the order in which they are drawn."""


@dataclass(frozen=True, eq=False)
class Event:
    """One abrupt change."""

    kind: Kind
    """What happened."""

    date: int
    """Index of the first date that shows it; it lasts."""

    area: NDArray[np.bool_]
    """(y, x) where."""

    @property
    def pixels(self) -> int:
        """Size of the area."""
        return int(self.area.sum())


def choose(
    count: int,
    covers: list[Cover],
    number: NDArray[np.int64],
    sown: NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[Event, ...]:
    """Draw events of all kinds in turn, each on a field of its own and a date after the first.

    Parameters
    ----------
    covers
        By date, (field,) shares.
    number
        (y, x) field of each pixel.
    sown
        (field,) fields that can be harvested and ploughed.
    """
    free = sown.copy()
    found = []
    for turn in range(count):
        kind = KINDS[turn % len(KINDS)]
        date = int(random.integers(1, len(covers)))
        fits = free & _ready(kind, covers[date - 1])
        if kind == "building" or not fits.any():
            found.append(Event("building", date, _plot(number.shape, random)))
            continue
        field = int(random.choice(np.flatnonzero(fits)))
        free[field] = False
        found.append(Event(kind, date, number == field))
    return tuple(found)


def _ready(kind: Kind, before: Cover) -> NDArray[np.bool_]:
    """(field,) harvest takes what has grown; ploughs go where little is green."""
    return before.green > 0.35 if kind == "harvest" else before.green < 0.5


def _plot(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.bool_]:
    area = np.zeros(shape, dtype=bool)
    rows, cols = (int(random.integers(3, 8)) for _ in range(2))
    top, left = (
        int(random.integers(0, max(size - extent, 1)))
        for size, extent in zip(shape, (rows, cols), strict=True)
    )
    area[top : top + rows, left : left + cols] = True
    return area


def apply(events: tuple[Event, ...], date: int, cover: Cover) -> tuple[Cover, NDArray[np.bool_]]:
    """The cover (pixel,) after all that has happened by this date, and where buildings stand by then."""
    green, dry, vigour = cover.green.copy(), cover.dry.copy(), cover.vigour.copy()
    built = np.zeros(len(green), dtype=bool)
    for event in events:
        area = event.area.ravel()
        if date < event.date:
            continue
        if event.kind == "building":
            built |= area
            continue
        stubble = 0.6 * 0.7 ** (date - event.date) if event.kind == "harvest" else 0.02
        green[area] = 0.1 * green[area] if event.kind == "harvest" else 0.02
        dry[area], vigour[area] = stubble, 0.5
    return Cover(green, dry, vigour), built
