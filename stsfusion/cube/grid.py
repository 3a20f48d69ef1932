"""Grid: where the pixels of a cube lie; one base grid and its integer coarsenings.

::

    base      | 0 | 1 | 2 | 3 | 4 | 5 |      pixel p, first edge at the origin
    coarse    |     0     |     1     |      pixel r·p, same first and last edge
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from stsfusion.errors import CubeError
from stsfusion.window import Interval, Window

__all__ = ["Grid", "canonical_crs"]

_SLACK = 1e-2
"""How far two edges may lie apart and still be the same, in pixels of the finer grid."""


_PARTS = 4
"""Into how many parts a pixel is cut at most to find a grid in which two others nest."""


def canonical_crs(crs: object) -> str | None:
    """'EPSG:n' where there is such a number, else well-known text; None stays None.

    Raises
    ------
    CubeError
        When PROJ does not know the reference system.
    """
    if crs is None:
        return None
    try:
        known = CRS(crs)
    except Exception as error:
        raise CubeError(
            f"coordinate reference system {crs!r}",
            expected="one that PROJ knows",
            mend="Write it as 'EPSG:32650' or as well-known text.",
        ) from error
    code = known.to_epsg()
    return f"EPSG:{code}" if code is not None else str(known.to_wkt())


@dataclass(frozen=True)
class Grid:
    """Square pixels, axes along the reference system's own; edges counted from the first pixel's corner."""

    shape: tuple[int, int]
    """(rows, columns)."""

    pixel: float
    """Edge of a pixel, units of the reference system (m where there is none)."""

    origin: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the outer corner of the first row's first pixel, same unit."""

    crs: str | None = None
    """'EPSG:n' or well-known text; None: a local grid, such as a simulated scene's."""

    rising: bool = False
    """True: y rises with the rows; False, the rule: north is up and y falls."""

    def __post_init__(self) -> None:
        if not (self.pixel > 0 and math.isfinite(self.pixel)) or min(self.shape) < 1:
            raise CubeError(
                "grid",
                expected="a positive pixel and at least one row and column",
                got=f"pixel {self.pixel}, shape {self.shape}",
            )
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        object.__setattr__(self, "origin", (float(self.origin[0]), float(self.origin[1])))
        object.__setattr__(self, "pixel", float(self.pixel))
        object.__setattr__(self, "crs", canonical_crs(self.crs))

    @classmethod
    def local(cls, shape: tuple[int, int], pixel: float = 1.0) -> Grid:
        """A grid without a reference system: metres from its south-west corner, north up."""
        return cls(shape, pixel, origin=(0.0, shape[0] * pixel))

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f) of x = a·column + c, y = e·row + f, pixel corners."""
        return self.pixel, 0.0, self.origin[0], 0.0, self._down, self.origin[1]

    @property
    def geobox(self) -> GeoBox:
        """The same grid as odc-geo knows it."""
        return GeoBox(self.shape, Affine(*self.transform), self.crs)

    @property
    def x(self) -> NDArray[np.float64]:
        """(columns,) pixel centres."""
        return np.float64(self.origin[0]) + self.pixel * (np.arange(self.shape[1]) + 0.5)

    @property
    def y(self) -> NDArray[np.float64]:
        """(rows,) pixel centres."""
        return np.float64(self.origin[1]) + self._down * (np.arange(self.shape[0]) + 0.5)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top), outer edges."""
        left, edge = self.origin
        far = edge + self._down * self.shape[0]
        return left, min(edge, far), left + self.pixel * self.shape[1], max(edge, far)

    def __str__(self) -> str:
        rows, cols = self.shape
        place = self.crs if self.crs is None or len(self.crs) < 40 else "own CRS"
        return f"{rows}×{cols} pixels of {self.pixel:g}, {place or 'local (no CRS)'}, corner {self.origin}"

    def coarsen(self, ratio: int) -> Grid:
        """The same ground in pixels `ratio` times as large.

        Raises
        ------
        CubeError
            When the ratio does not divide the rows and columns.
        """
        if ratio < 1 or any(size % ratio for size in self.shape):
            raise CubeError(
                f"grid of {self.shape[0]}×{self.shape[1]} pixels",
                expected=f"rows and columns that the ratio {ratio} divides",
                mend=f"Pad it first: grid.padded({ratio}).",
            )
        rows, cols = self.shape
        return replace(self, shape=(rows // ratio, cols // ratio), pixel=self.pixel * ratio)

    def refine(self, ratio: int) -> Grid:
        """The same ground in pixels `ratio` times as small."""
        rows, cols = self.shape
        return replace(self, shape=(rows * ratio, cols * ratio), pixel=self.pixel / ratio)

    def padded(self, multiple: int) -> Grid:
        """Grown at its last rows and columns up to whole multiples; the origin stays."""
        rows, cols = (math.ceil(size / multiple) * multiple for size in self.shape)
        return replace(self, shape=(rows, cols))

    def crop(self, window: Window) -> Grid:
        """The part of this grid that a window covers; its dates do not matter."""
        inside = Window(window.dates, (0, self.shape[0]), (0, self.shape[1])).contains(window)
        if not inside:
            raise CubeError(f"window rows {window.rows}, cols {window.cols}", expected=f"inside {self}")
        _, rows, cols = window.shape
        x = self.origin[0] + self.pixel * window.cols[0]
        y = self.origin[1] + self._down * window.rows[0]
        return replace(self, shape=(rows, cols), origin=(x, y))

    def ratio_to(self, fine: Grid) -> int:
        """How many pixels of the finer grid lie along one of this grid's pixels.

        Raises
        ------
        CubeError
            When this grid is no integer coarsening of the other: every reason is told.
        """
        ratio = round(self.pixel / fine.pixel)
        faults = self._misfits(fine, ratio)
        if faults:
            raise CubeError(
                f"grids {self} and {fine}",
                expected="the first to be an integer coarsening of the second",
                got="; ".join(faults),
                mend="Resample or cut one of them, so that both cover the same ground edge to edge."
                + self._common(fine),
            )
        return ratio

    def window_of(self, bounds: tuple[float, float, float, float], dates: Interval = (0, 1)) -> Window:
        """The pixels that touch (left, bottom, right, top), given in this grid's own system.

        Raises
        ------
        CubeError
            When the bounds are empty or lie outside the grid.
        """
        left, bottom, right, top = bounds
        cols = _touched((left - self.origin[0]) / self.pixel, (right - self.origin[0]) / self.pixel)
        rows = _touched((bottom - self.origin[1]) / self._down, (top - self.origin[1]) / self._down)
        window = Window(dates, rows, cols)
        overlap = max(rows[0], 0) < min(rows[1], self.shape[0]) and max(cols[0], 0) < min(
            cols[1], self.shape[1]
        )
        if left >= right or bottom >= top or not overlap:
            raise CubeError(
                f"bounds {bounds}",
                expected=f"(left, bottom, right, top) that overlap {self.bounds}",
                mend="Give the area in the cube's own reference system.",
            )
        return window.clip(dates[1], *self.shape)

    @property
    def _down(self) -> float:
        return self.pixel if self.rising else -self.pixel

    def _common(self, fine: Grid) -> str:
        """The pixel in which both would nest, as 10 m for 30 m and 20 m, in words; '' where none is near."""
        ratio = Fraction(self.pixel / fine.pixel).limit_denominator(_PARTS)
        parts = ratio.denominator
        if parts == 1 or not math.isclose(ratio, self.pixel / fine.pixel, rel_tol=1e-6):
            return ""
        return (
            f" Pixels of {fine.pixel / parts:g} divide both: give a finest cube, as 'sharp', on such a grid."
        )

    def _misfits(self, fine: Grid, ratio: int) -> list[str]:
        faults = []
        if self.crs != fine.crs:
            faults.append(f"other CRS ({self.crs or 'none'} and {fine.crs or 'none'})")
        if self.rising != fine.rising:
            faults.append("one has its rows from north to south, the other from south to north")
        drift = abs(self.pixel / fine.pixel - ratio) * max(self.shape)
        if ratio < 1 or drift > _SLACK:
            faults.append(
                f"ratio not an integer ({self.pixel:g} / {fine.pixel:g} = {self.pixel / fine.pixel:.6g})"
            )
            return faults
        offset = [(mine - its) / fine.pixel for mine, its in zip(self.origin, fine.origin, strict=True)]
        if any(abs(step - round(step)) > _SLACK for step in offset):
            faults.append(f"not aligned (corners {offset[0]:.3f}, {offset[1]:.3f} fine pixels apart)")
        elif any(round(step) for step in offset) or tuple(n * ratio for n in self.shape) != fine.shape:
            faults.append(f"other extent ({self.bounds} and {fine.bounds})")
        return faults


def _touched(first: float, last: float) -> Interval:
    """Whole pixels touched between two edges; an edge within the slack of a pixel's edge is that edge."""
    low, high = min(first, last), max(first, last)
    return math.floor(low + _SLACK), math.ceil(high - _SLACK)
