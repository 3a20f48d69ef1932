"""Dead lines: rows and columns of raw images that hold nothing of the ground, band by band.

::

    rows read once     how bright and how varied each line and column is
    suspects           flat   among lines that vary: stuck at one count, or nearly
                       off    half or twice as bright as the lines around it
                       empty  fill, where the lines around it see the ground
    suspects again     held against their neighbours, pixel by pixel

A line is dead when it is flat and does not lie between its neighbours as ground does, or when nearly all of
it is half or twice as bright as both of them. Stripes are not: gains that differ are for calibration. What
fills more than a few lines on end, as a lake may, is left, and so are bands too dark to vary by a few counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.raster import Raster
from stsfusion.ingest.suspects import TIMES, Lines, Suspects, after, before, suspects
from stsfusion.window import Interval

__all__ = ["DeadLines", "dead_lines"]

_FLAT = 0.1
"""Distance of a flat line's 5th from its 95th percentile, in parts of its neighbours'."""

_BETWEEN = 0.5
"""A flat line lies this far from the middle of its neighbours, in parts of what is usual between lines."""

_NEARLY = 0.9
"""A line that is off is half or twice as bright as both neighbours over this part of its length."""

_BLOCK = 2**22
"""Stored numbers held at once, unless one block of the file is larger."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Stored = NDArray[Any]


@dataclass(frozen=True)
class DeadLines:
    """Dead lines and columns of one band of an image."""

    layer: str
    """The image."""

    band: str
    """The band's name."""

    rows: tuple[int, ...]
    """Of the raw image, from 0."""

    columns: tuple[int, ...]
    """Of the raw image, from 0."""


def dead_lines(
    raster: Raster, layer: str, bands: Sequence[str], *, fill: float = 0.0, top: float | None = None
) -> tuple[DeadLines, ...]:
    """The dead lines and columns of a raw image; bands without any are left out.

    Parameters
    ----------
    bands
        (band,) names.
    fill
        The stored number that stands for no data.
    top
        The count from which on a pixel is saturated, and says nothing; None: none is.
    """
    found = []
    for group in _groups(raster):
        axes = [[suspects(Lines(*own)) for own in axis] for axis in _profiles(raster, group, fill, top)]
        lines = [[own.lines for own in axis] for axis in axes]
        _fetch(raster, group, lines)
        for band, *both in zip(group, *axes, strict=True):
            dead = [_dead(own, fill, top) for own in both]
            if any(dead):
                found.append(DeadLines(layer, bands[band], *dead))
    return tuple(found)


def _groups(raster: Raster) -> list[list[int]]:
    """Bands that lie together in the file."""
    between = raster.dataset.interleaving
    bands = list(range(raster.shape[0]))
    return [bands] if between is not None and between.value == "PIXEL" else [[band] for band in bands]


def _blocks(raster: Raster, together: int) -> Iterator[tuple[Interval, Interval]]:
    """Rows and columns that lie together in the file, as many as may be held of so many bands."""
    _, rows, cols = raster.shape
    tall, wide = raster.dataset.block_shapes[0]
    width = min(cols, wide * max(1, _BLOCK // (together * tall * wide)))
    height = min(rows, tall * max(1, _BLOCK // (together * tall * width)))
    for top in range(0, rows, height):
        for left in range(0, cols, width):
            yield (top, min(top + height, rows)), (left, min(left + width, cols))


def _profiles(raster: Raster, group: list[int], fill: float, top: float | None) -> tuple[Array, Array]:
    """(band, 4, row) and (band, 4, column): pixels that are not fill, known ones, their sum and squares'."""
    _, rows, cols = raster.shape
    down, across = np.zeros((len(group), 4, rows)), np.zeros((len(group), 4, cols))
    for tall, wide in _blocks(raster, len(group)):
        stored = raster.read(tall, wide, group)
        for band, own in enumerate(stored):
            known = _known(own, fill, top)
            values = np.where(known, own, 0).astype(np.float64)
            for into, span, axis in ((down, tall, 1), (across, wide, 0)):
                parts = (own != fill), known, values, values**2
                into[band, :, slice(*span)] += [part.sum(axis=axis, dtype=np.float64) for part in parts]
    return down, across


def _known(stored: Stored, fill: float, top: float | None) -> Mask:
    known = np.isfinite(stored) & (stored != fill)
    return known if top is None else known & (stored < top)


def _abrupt(dead: Sequence[int], suspects: Sequence[int]) -> list[int]:
    """Those of the dead lines that begin and end at once, beside lines that are not even suspect."""
    kept, doubtful = set(dead), set(suspects) - set(dead)
    while beside := {n for n in kept if n - 1 in doubtful or n + 1 in doubtful}:
        kept, doubtful = kept - beside, doubtful | beside
    return sorted(kept)


def _fetch(raster: Raster, group: list[int], wanted: Sequence[Sequence[dict[int, Stored]]]) -> None:
    """Read whole lines, by axis and band of a group."""
    _, rows, cols = raster.shape
    for axis, size in zip(wanted, (cols, rows), strict=True):
        for own in axis:
            own.update({number: np.zeros(size, dtype=raster.kind) for number in own})
    if not any(own for axis in wanted for own in axis):
        return
    for tall, wide in _blocks(raster, len(group)):
        for stored, across, down in zip(raster.read(tall, wide, group), *wanted, strict=True):
            for number, line in across.items():
                if tall[0] <= number < tall[1]:
                    line[slice(*wide)] = stored[number - tall[0]]
            for number, line in down.items():
                if wide[0] <= number < wide[1]:
                    line[slice(*tall)] = stored[:, number - wide[0]]


def _dead(found: Suspects, fill: float, top: float | None) -> tuple[int, ...]:
    """Suspects that are dead."""
    judge = _Judge(found, fill, top)
    flat = _abrupt([number for number in found.flat if judge.flat(number)], found.flat)
    off = [number for number in found.off if judge.off(number)]
    return tuple(sorted({*flat, *off, *found.empty}))


@dataclass(frozen=True)
class _Judge:
    """Suspect lines beside those around them."""

    found: Suspects
    fill: float
    top: float | None

    def _line(self, number: int) -> Array:
        stored = self.found.lines[number].astype(np.float64)
        return np.where(_known(stored, self.fill, self.top), stored, np.nan)

    def _sides(self, number: int) -> list[list[Array]]:
        """Up to three good lines on either side, the next first; a side without any is left out."""
        sides = [of(self.found.good, number) for of in (before, after)]
        return [[self._line(n) for n in side] for side in sides if side]

    def flat(self, number: int) -> bool:
        """Whether a flat line is none of the ground's."""
        line, sides = self._line(number), self._sides(number)
        if not sides or _range(line) > _FLAT * min(_range(side[0]) for side in sides):
            return False
        ends = [side[0] for side in sides]
        usual = [_gap(side[1], (side[0] + side[2]) / 2) for side in sides if len(side) == 3]
        usual.append(_gap(ends[0], ends[-1]) / 2)
        return _gap(line, sum(ends, np.zeros(len(line))) / len(ends)) > _BETWEEN * max(usual)

    def off(self, number: int) -> bool:
        """Whether nearly all of a line is half or twice as bright as both neighbours."""
        line, sides = self._line(number), self._sides(number)
        if len(sides) < 2:
            return False
        ends = np.stack([side[0] for side in sides])
        known = np.isfinite(line) & np.isfinite(ends).all(axis=0)
        low, high = ends[:, known].min(axis=0) / TIMES, ends[:, known].max(axis=0) * TIMES
        return bool(known.any()) and float(np.mean((line[known] < low) | (line[known] > high))) >= _NEARLY


def _gap(one: Array, other: Array) -> float:
    """Mean distance of two lines where both are known; 0 where none is."""
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.abs(one - other)[both].mean()) if both.any() else 0.0


def _range(line: Array) -> float:
    """From the 5th to the 95th percentile of what is known."""
    low, high = np.nanpercentile(line, (5, 95))
    return float(high - low)
