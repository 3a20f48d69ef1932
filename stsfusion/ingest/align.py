"""Align: measure a scene against the reference in windows spread over it, and move it back.

::

    scene on its cube's grid      [w]    [w]    [w]        each window is read alone: no more is ever held
                                  [w]    [w]    [w]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.register import Registration, register
from stsfusion.ingest.spread import begins
from stsfusion.ingest.view import View
from stsfusion.window import Interval

__all__ = ["Reference", "aligned", "common_band"]

_SIDE = 96
"""Pixels along one side of a window."""

_MOST = 5
"""Windows along one axis at most."""

_SURE = 0.1
"""Offsets below this are not told from none, pixels."""

_APART = 25.0
"""Nanometres that the centres of two bands of one colour may differ by."""

_BEST = 830.0
"""Where land, water and plants differ most and haze least, nm."""

Values = NDArray[np.float64]
Read = Callable[[Interval, Interval], tuple[Values, NDArray[np.bool_]]]
"""Values and validity (y, x) of the reference on some pixels of the scene's grid."""


@dataclass(frozen=True)
class Reference:
    """What scenes are measured against."""

    name: str
    """For the lineage, as 'sharp 2021-12-13'."""

    read: Read
    """One band of it."""

    band: str
    """The scene's band that shows the same."""


def common_band(reference: str, sensor: str) -> tuple[str, str] | None:
    """A band of the reference's instrument and one of another that show the same; None where none do."""
    first, second = (known_sensor(name) for name in (reference, sensor))
    pairs = [
        (abs(one.wavelength - _BEST), abs(one.wavelength - other.wavelength), one.name, other.name)
        for one, other in product(first.pick(first.usable), second.pick(second.usable))
        if abs(one.wavelength - other.wavelength) <= _APART
    ]
    return min(pairs)[2:] if pairs else None


def aligned(view: View, grid: Grid, reference: Reference, threshold: float) -> tuple[View, dict[str, Any]]:
    """The scene moved back onto the reference, and what was found.

    It is moved when the windows agree and the offset is within the threshold; else it is told, and left.

    Parameters
    ----------
    grid
        Of the scene's cube.
    threshold
        Pixels of that grid.
    """
    found, windows = _measured(view, grid, reference, threshold)
    moved = found.status == "good" and found.length >= _SURE
    told = {
        "against": reference.name, "band": reference.band, "status": found.status, "moved": moved,
        "down": round(found.down, 4), "right": round(found.right, 4), "spread": round(found.spread, 4),
        "unit": "pixels of this cube", "windows": windows,
        "vectors": [
            [round(v.row, 1), round(v.col, 1), round(v.down, 3), round(v.right, 3)] for v in found.vectors
        ],
    }  # fmt: skip
    if not moved:
        return view, told
    return view.corrected(east=found.right * grid.pixel, north=-found.down * grid.pixel), told


def _measured(view: View, grid: Grid, reference: Reference, threshold: float) -> tuple[Registration, int]:
    """The windows side by side as one image, measured, and how many they are; vectors lie on the grid."""
    rows, cols = pixels_of(view.scene, grid)
    side = min(_SIDE, rows[1] - rows[0], cols[1] - cols[0])
    if side < 1 or reference.band not in view.bands:
        return Registration(0.0, 0.0, 0.0, "nothing to compare", ()), 0
    tops, lefts = begins(rows, side, _MOST), begins(cols, side, _MOST)
    shape = len(tops) * side, len(lefts) * side
    first, second, seen = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    at = view.bands.index(reference.band)
    for (i, top), (j, left) in product(enumerate(tops), enumerate(lefts)):
        place = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
        part = view.tile(grid, (top, top + side), (left, left + side))
        first[place], known = reference.read((top, top + side), (left, left + side))
        second[place], seen[place] = part.reflectance[at], part.valid[at] & known
    found = register(first, second, seen, window=side, threshold=threshold)
    vectors = tuple(
        replace(v, row=tops[int(v.row // side)] + v.row % side, col=lefts[int(v.col // side)] + v.col % side)
        for v in found.vectors
    )
    return replace(found, vectors=vectors), len(tops) * len(lefts)
