"""Heights: whether a file is a model of heights, and what it tells of the ground of a scene.

GDAL takes a model without a reference system for one in degrees, a void that is not marked for a height, and
ground that the model does not know for no image; none of it with a word. Hence this look before any tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform
from rasterio.windows import Window

from stsfusion.cube.grid import Grid
from stsfusion.ingest.files import local_file
from stsfusion.ingest.raster import guarded
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.dateline import middle
from stsfusion.sensing.scene import Scene

__all__ = ["Heights", "check_terrain", "ground_heights", "terrain_notes"]

_DRIVERS = ("GTiff", "SRTMHGT", "HFA", "DTED", "ENVI", "AAIGrid", "netCDF")
"""Formats of models; none of them leads to other files."""

_LOWEST, _HIGHEST = -600.0, 9200.0
"""Metres above the ellipsoid that ground can have: the shores of the Dead Sea, and Mount Everest."""

_SIDE = 48
"""Places along each side of a scene at which the model is asked."""

_STRIP = 2**22
"""Pixels of a model that are read at once."""

_WHOLE = 0.9995
"""Share of the ground from which on a model is said to know all of it."""

_MEND = "State ingest.terrain as a GeoTIFF of heights with its reference system, or as one height in metres."


@dataclass(frozen=True)
class Heights:
    """What a model tells of the ground of a scene."""

    share: float
    """Of the places that were asked for, those with a height, 0–1."""

    lowest: float
    """Of all pixels of the model in the box around these places, metres; NaN where it has no height there."""

    highest: float
    """The same."""


def check_terrain(terrain: Terrain | None) -> None:
    """Refuse a model that cannot be one: before anything is unpacked.

    Raises
    ------
    DeliveryError
        When it is absent, of another format, without a reference system, or of several bands.
    """
    if terrain is None or terrain.model is None:
        return
    with _opened(terrain.model) as model:
        faults = (
            (model.crs is None, "a reference system in the file", "none"),
            (model.transform.is_identity, "a place on a map", "none"),
            (model.count != 1, "one band of heights", f"{model.count} bands"),
        )
    for wrong, expected, got in faults:
        if wrong:
            raise DeliveryError(f"terrain {terrain.model}", expected=expected, got=got, mend=_MEND)


def terrain_notes(terrain: Terrain | None, scene: Scene, grid: Grid) -> list[str]:
    """What is to be said of the heights of a scene's ground; nothing where all is well.

    Parameters
    ----------
    grid
        Of the scene's cube: only ground on it counts.

    Raises
    ------
    DeliveryError
        When the model knows none of the ground, or tells heights that are none.
    """
    if terrain is None or terrain.model is None or all(layer.crs is not None for layer in scene.layers):
        return []
    found = ground_heights(terrain.model, scene, grid)
    if found is None:
        return []
    if found.share == 0:
        raise DeliveryError(
            f"terrain {terrain.model}",
            expected=f"heights of the ground of scene {scene.name}",
            got="none: it lies elsewhere, or has nothing but voids there",
            mend=_MEND,
        )
    if found.lowest < _LOWEST or found.highest > _HIGHEST:
        raise DeliveryError(
            f"terrain {terrain.model}",
            expected=f"heights from {_LOWEST:g} to {_HIGHEST:g} m",
            got=f"{found.lowest:g} to {found.highest:g} in scene {scene.name}",
            mend="If these are voids, mark them: gdal_edit.py -a_nodata VALUE FILE. Heights are in metres.",
        )
    if found.share >= _WHOLE:
        return []
    name, lost = terrain.model.name, 100 * (1 - found.share)
    return [f"the model {name} tells no height of {lost:.2g} % of its ground, which stays a gap"]


def ground_heights(model: Path, scene: Scene, grid: Grid) -> Heights | None:
    """A model at places that lie evenly over the part of a scene on a grid; None where there is no such part.

    Raises
    ------
    DeliveryError
        When the model cannot be read.
    """
    lon, lat = _places(scene, grid)
    if not lon.size:
        return None
    with _opened(model) as file:
        try:
            x, y = _turned(file, lon, lat)
            known = _known(file, x, y)
            lowest, highest = _extremes(file, x, y)
        except RasterioError as fault:
            raise _unreadable(model, fault) from fault
    return Heights(float(known.mean()), lowest, highest)


def _places(scene: Scene, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(place,) longitude and latitude, without a jump, between the scene's corners and on the grid."""
    around = middle(scene.footprint)[0]
    corners = np.array([(around + (lon - around + 180) % 360 - 180, lat) for lon, lat in scene.footprint])
    u, v = (one.ravel() for one in np.meshgrid(*[(np.arange(_SIDE) + 0.5) / _SIDE] * 2))
    shares = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v])
    lon, lat = corners.T @ shares
    x, y = (np.asarray(one) for one in transform("EPSG:4326", CRS.from_user_input(grid.crs), lon, lat))
    west, south, east, north = grid.bounds
    inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
    return lon[inside], lat[inside]


def _turned(file: Any, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, place) the same in the model's own system; where that is of degrees, as they are written."""
    if file.crs.is_geographic:
        return np.stack([lon, lat])
    return np.array(transform("EPSG:4326", file.crs, lon, lat))


def _known(file: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(place,) whether the model tells a height."""
    west, south, east, north = file.bounds
    low, high = sorted((south, north))
    inside = (x >= west) & (x <= east) & (y >= low) & (y <= high)
    values: Any = np.ma.stack(list(file.sample(zip(x, y, strict=True), masked=True)))[:, 0]
    return np.asarray(inside & np.isfinite(values.astype(np.float64).filled(np.nan)))


def _extremes(file: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """The lowest and the highest pixel of the box around some places, strip by strip."""
    a, b, c, d, e, f = tuple(~file.transform)[:6]
    left, right = _within(a * x + b * y + c, file.width)
    top, bottom = _within(d * x + e * y + f, file.height)
    lowest, highest = np.inf, -np.inf
    step = max(1, _STRIP // max(1, right - left))
    for row in range(top, bottom, step):
        strip = Window(left, row, right - left, min(step, bottom - row))
        values = file.read(1, window=strip, masked=True).compressed()
        values = values[np.isfinite(values)]
        if values.size:
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
    return (lowest, highest) if lowest <= highest else (np.nan, np.nan)


def _within(positions: NDArray[np.float64], size: int) -> tuple[int, int]:
    """First and last (exclusive) pixel around some positions along an axis, and one more for the kernel."""
    first = int(np.clip(np.floor(positions.min()) - 1, 0, size))
    return first, int(np.clip(np.ceil(positions.max()) + 1, first, size))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The model, as the warp will open it."""
    try:
        found = local_file(path).resolve()
    except DeliveryError as fault:
        raise DeliveryError(f"terrain {path}", expected=fault.expected, got=fault.got, mend=_MEND) from None
    with guarded():
        try:
            file = rasterio.open(found)
        except RasterioError as fault:
            raise _unreadable(found, fault) from fault
        with file:
            if file.driver not in _DRIVERS:
                raise _unreadable(found, f"a file of format {file.driver}")
            yield file


def _unreadable(path: Path, fault: Exception | str) -> DeliveryError:
    said = str(fault)[:120] or type(fault).__name__
    return DeliveryError(f"terrain {path}", expected="a raster of heights", got=said, mend=_MEND)
