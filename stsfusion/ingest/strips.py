"""Strips: whether neighbouring strips of an instrument show the same ground where they overlap.

Both saw it at the same moment: what lies apart there, or is not alike, has another strip's RPC or image.

::

    strip 1  [      |·a·|]            a, b, c: windows down the overlap, each measured alone
    strip 2       [ |·b·|      ]
                    |·c·|
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.register import vector_between
from stsfusion.ingest.view import View
from stsfusion.window import Interval

__all__ = ["Joint", "joints"]

_PLACES = 64
"""Places along each side of the scene's box at which it is asked which strips see them."""

_SIDE, _WINDOWS = 96, 3
"""Pixels along a window, and windows down an overlap."""

_LEAST = 900
"""Pixels that two strips must share in a window for it to have a say."""

_STRUCTURE = 0.05
"""Deviation over mean under which a window shows nothing to compare by."""

_ALIKE = 0.5
"""Correlation under which two windows do not show the same."""

_BEST = 830.0
"""Where land, water and plants differ most and haze least, nm."""

_REACH = 12.0
"""Pixels beyond which no offset is looked for."""

Places = NDArray[np.bool_]


@dataclass(frozen=True)
class Joint:
    """What the overlap of two strips says."""

    names: tuple[str, str]
    """The strips."""

    windows: int
    """Windows with structure that both see."""

    alike: int
    """Of them, those that show the same."""

    down: float
    """Median over these, pixels by which the second lies further down; 0 where there are none."""

    right: float
    """The same to the right."""


def joints(view: View, grid: Grid) -> list[Joint]:
    """Every two strips of a scene that overlap on a grid."""
    rows, cols = pixels_of(view.scene, grid)
    if min(rows[1] - rows[0], cols[1] - cols[0]) < 1:
        return []
    down, right = (np.unique(np.linspace(span[0], span[1] - 1, _PLACES).astype(int)) for span in (rows, cols))
    inside = _seen(view, grid, down, right)
    found = []
    for first, second in combinations(range(len(view.images)), 2):
        both = inside[first] & inside[second]
        pair = replace(view, images=(view.images[first],)), replace(view, images=(view.images[second],))
        if both.any():
            found.append(_joint(pair, grid, list(_windows(both, down, right, grid))))
    return found


def _seen(view: View, grid: Grid, rows: NDArray[np.int_], cols: NDArray[np.int_]) -> list[Places]:
    """Of each strip, whether it looks at these pixels of the grid; one on a map tells nothing."""
    x, y = np.meshgrid(grid.x[cols], grid.y[rows])
    lon, lat = transform(CRS.from_user_input(grid.crs), CRS.from_epsg(4326), x.ravel(), y.ravel())
    found: list[Places] = []
    for image in view.images:
        if image.rational is None:
            found.append(np.zeros(x.shape, dtype=bool))
            continue
        sample, line = image.rational.pixel(lon, lat, image.rational.height_offset)
        tall, wide = image.layer.shape
        there = (sample >= 0) & (sample <= wide - 1) & (line >= 0) & (line <= tall - 1)
        found.append(np.reshape(there, x.shape))
    return found


def _windows(
    both: Places, rows: NDArray[np.int_], cols: NDArray[np.int_], grid: Grid
) -> Iterator[tuple[Interval, Interval]]:
    """Windows whose middles lie evenly down an overlap, and in the middle of its width."""
    down = np.flatnonzero(both.any(axis=1))
    for i in range(_WINDOWS):
        at = down[int((i + 0.5) / _WINDOWS * len(down))]
        across = np.flatnonzero(both[at])
        row, col = int(rows[at]), int(cols[across[len(across) // 2]])
        yield _around(row, grid.shape[0]), _around(col, grid.shape[1])


def _around(middle: int, size: int) -> Interval:
    first = max(0, min(middle - _SIDE // 2, size - _SIDE))
    return first, min(size, first + _SIDE)


def _joint(pair: tuple[View, View], grid: Grid, windows: list[tuple[Interval, Interval]]) -> Joint:
    """Two strips, each as a scene of its own, in some windows."""
    bands = known_sensor(pair[0].scene.sensor).pick(pair[0].bands)
    at = min(range(len(bands)), key=lambda i: abs(bands[i].wavelength - _BEST))
    offsets, looked = [], 0
    for rows, cols in windows:
        first, second = (one.tile(grid, rows, cols) for one in pair)
        seen = first.valid[at] & second.valid[at]
        images = [one.reflectance[at].astype(np.float64) for one in (first, second)]
        if seen.sum() < _LEAST or not all(_structured(image[seen]) for image in images):
            continue
        looked += 1
        vector = vector_between(images[0], images[1], seen, _REACH)
        if vector is not None and vector.alike >= _ALIKE:
            offsets.append((vector.down, vector.right))
    down, right = np.median(offsets, axis=0) if offsets else (0.0, 0.0)
    names = pair[0].images[0].layer.name, pair[1].images[0].layer.name
    return Joint(names, looked, len(offsets), float(down), float(right))


def _structured(values: NDArray[np.float64]) -> bool:
    return bool(values.std() > _STRUCTURE * abs(values.mean()))
