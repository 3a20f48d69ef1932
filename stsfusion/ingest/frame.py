"""Frame: the base grid of a set of cubes, from an area that was asked for or from where scenes lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from stsfusion.cube.grid import Grid
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.dateline import box, middle
from stsfusion.sensing.scene import Scene
from stsfusion.window import Interval

__all__ = ["Place", "base_grid", "degrees_of", "pixels_of"]

Bounds = tuple[float, float, float, float]

_SLACK = 1e-6
"""Parts of a pixel by which an edge may miss a whole one and still be on it."""

_DEGREES = "EPSG:4326"


@dataclass(frozen=True)
class Place:
    """What is asked of the grid; what is not said comes from the scenes."""

    crs: str | None = None
    """Projected reference system in metres; None: the UTM zone of the scenes' middle."""

    bounds: Bounds | None = None
    """(west, south, east, north) in that system; None: around the scenes."""

    pixel: float | None = None
    """Side of a pixel, m; None: that of the finest instrument."""


def base_grid(place: Place, scenes: Sequence[Scene], pixel: float, multiple: int) -> Grid:
    """The grid that holds the area, its corner and its size whole multiples of the coarsest pixel.

    Parameters
    ----------
    scenes
        Those that decide where nothing is said; at least one.
    pixel
        Of the finest instrument, m.
    multiple
        Base pixels along the side of what must be whole: the least common multiple of all ratios.

    Raises
    ------
    DeliveryError
        When the reference system is not in metres.
    """
    crs = place.crs or _zone(scenes)
    known = CRS.from_user_input(crs)
    if not known.is_projected or not math.isclose(known.linear_units_factor[1], 1.0):
        raise DeliveryError(
            "area.crs",
            expected="a projected reference system in metres",
            got=crs,
            mend="Name a UTM zone, as 'EPSG:32650'.",
        )
    left, bottom, right, top = place.bounds or _around([_box(scene, crs) for scene in scenes])
    pixel = place.pixel or pixel
    step = pixel * multiple
    west, south = (math.floor(edge / step + _SLACK) for edge in (left, bottom))
    east, north = (math.ceil(edge / step - _SLACK) for edge in (right, top))
    shape = (north - south) * multiple, (east - west) * multiple
    if min(shape) < 1:
        raise DeliveryError(
            "area.bounds", expected="west, south, east, north", got=f"{(left, bottom, right, top)}"
        )
    return Grid(shape, pixel, (west * step, north * step), crs)


def degrees_of(grid: Grid) -> Bounds:
    """(west, south, east, north) of a grid, degrees."""
    west, south, east, north = transform_bounds(grid.crs, _DEGREES, *grid.bounds)
    return float(west), float(south), float(east), float(north)


def pixels_of(scene: Scene, grid: Grid) -> tuple[Interval, Interval]:
    """Rows and columns of a grid in the box around a scene; empty where it lies outside."""
    left, bottom, right, top = _box(scene, grid.crs or _DEGREES)
    x, y = grid.origin
    rows = round((y - top) / grid.pixel), round((y - bottom) / grid.pixel)
    cols = round((left - x) / grid.pixel), round((right - x) / grid.pixel)
    return (
        (max(0, rows[0]), min(grid.shape[0], rows[1])),
        (max(0, cols[0]), min(grid.shape[1], cols[1])),
    )


def _box(scene: Scene, crs: str) -> Bounds:
    """(left, bottom, right, top) around a scene in a reference system."""
    left, bottom, right, top = transform_bounds(_DEGREES, crs, *box(scene.footprint))
    return float(left), float(bottom), float(right), float(top)


def _around(boxes: Sequence[Bounds]) -> Bounds:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _zone(scenes: Sequence[Scene]) -> str:
    """The UTM zone of the middle of the scenes."""
    lon, lat = middle([corner for scene in scenes for corner in scene.footprint])
    return f"EPSG:{32600 if lat >= 0 else 32700}"[:-2] + f"{int((lon + 180) // 6) % 60 + 1:02d}"
