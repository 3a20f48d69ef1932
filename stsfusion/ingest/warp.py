"""Warp: a delivered image, tile by tile, straight onto a grid; GDAL's warp does it, once for each pixel.

::

    grid pixel ─► longitude, latitude ─► height ─► RPC ─► sample, line ─► kernel over the raw counts

The way of each pixel is computed exactly, not interpolated along rows, and the kernel's width is given, not
guessed from the tile's shape. A pixel is therefore the same in whatever tile it falls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, reproject, transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.files import local_file
from stsfusion.ingest.overlay import Image, overlay
from stsfusion.ingest.raster import guarded, told
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational
from stsfusion.window import Interval

__all__ = ["Kernel", "Terrain", "ground_pixel", "onto"]

Kernel = Literal["nearest", "bilinear", "cubic", "average"]

_MARGIN = 16
"""Pixels read around what a tile was found to need, because that is found by a few points only."""

_STRETCH = 128
"""Pixels along the sides of what GDAL is asked for at once of an image on a map."""

_CLOSE = 1e-6
"""Pixels by which a way may be off that is interpolated along rows."""

_DEGREE = 111_195.0


@dataclass(frozen=True)
class Terrain:
    """How high the ground is: by an elevation model, or one height for all."""

    height: float | None = None
    """Metres above the ellipsoid."""

    model: Path | None = None
    """A raster of heights, metres, with a reference system."""

    def __post_init__(self) -> None:
        if (self.height is None) == (self.model is None):
            raise DeliveryError(
                "terrain",
                expected="a height or an elevation model",
                got="both" if self.model else "neither",
                mend="A height wrong by 100 m moves the ground by 3.5 m for each 2° of view; state it, "
                "or name a model.",
            )

    @contextmanager
    def options(self) -> Iterator[dict[str, str]]:
        """The same as GDAL's transformer takes it: always a model, for only then it computes each pixel."""
        if self.model is not None:
            yield {"RPC_DEM": str(local_file(self.model).resolve()), "RPC_DEMINTERPOLATION": "BILINEAR"}
            return
        whole = {"width": 4, "height": 2, "count": 1, "dtype": "float64", "crs": "EPSG:4326"}
        with MemoryFile() as memory:
            # Wide enough for longitudes beyond 180°, which RPCs near the date line hold.
            with memory.open(driver="GTiff", transform=Affine(180, 0, -360, 0, -90, 90), **whole) as level:
                level.write(np.full((1, 2, 4), self.height))
            yield {"RPC_DEM": memory.name, "RPC_DEMINTERPOLATION": "NEAR"}


def onto(
    raster: Image,
    grid: Grid,
    rows: Interval,
    cols: Interval,
    *,
    rational: Rational | None = None,
    terrain: Terrain | None = None,
    bands: Sequence[int] | None = None,
    kernel: Kernel = "cubic",
    fill: float = 0.0,
    above: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A tile of the grid, seen by an image.

    Parameters
    ----------
    rows, cols
        The tile: first and last (exclusive) pixel of the grid.
    rational
        Where the image's pixels look; None: the image lies on a map.
    terrain
        How high the ground is; needed with `rational`.
    bands
        Positions from 0; None: all.
    kernel
        'cubic' for counts, 'nearest' for masks, 'average' where the grid is much coarser.
    fill
        The stored number that stands for no data; it never enters a kernel.
    above
        The count from which on a pixel is saturated and never enters a kernel either; None: any count may.

    Returns
    -------
    values, valid
        (band, y, x) stored numbers as float32, 0 where there are none, and whether there are.

    Raises
    ------
    DeliveryError
        When the image lies nowhere, the terrain is not said, or a file cannot be read.
    """
    _check(raster, rational, terrain)
    chosen = range(raster.shape[0]) if bands is None else bands
    tile = _Tile(
        grid.crs,
        Affine(*grid.transform),
        (rows[0], cols[0]),
        (rows[1] - rows[0], cols[1] - cols[0]),
        [band + 1 for band in chosen],
        Resampling[kernel],
        fill,
        min(1.0, ground_pixel(raster, rational, grid) / grid.pixel),
    )
    with (
        guarded(),
        told(raster.path),
        rasterio.open(overlay(raster, rational, above, fill), driver="VRT") as source,
    ):
        out = _mapped(source, tile) if terrain is None or rational is None else _seen(source, tile, terrain)
    valid = np.isfinite(out)
    return np.where(valid, out, np.float32(0)), valid


def _check(raster: Image, rational: Rational | None, terrain: Terrain | None) -> None:
    """There must be a way from the ground to the image."""
    if rational is None and raster.transform is None:
        raise DeliveryError(f"file {raster.path}", expected="an RPC or a reference system", got="neither")
    if rational is not None and terrain is None:
        raise DeliveryError(f"file {raster.path}", expected="a height or an elevation model", got="neither")


@dataclass(frozen=True)
class _Tile:
    """What GDAL is asked for."""

    crs: str | None
    grid: Affine
    corner: tuple[int, int]
    shape: tuple[int, int]
    bands: list[int]
    kernel: Resampling
    fill: float
    ratio: float

    def at(self, row: int, col: int) -> Affine:
        """The grid's transform, begun at one of its pixels."""
        a, b, c, d, e, f = tuple(self.grid)[:6]
        return Affine(a, b, c + a * col + b * row, d, e, f + d * col + e * row)

    @property
    def options(self) -> dict[str, str]:
        """The warper's own options."""
        return {
            "XSCALE": str(self.ratio),
            "YSCALE": str(self.ratio),
            "UNIFIED_SRC_NODATA": "NO",
            "SOURCE_EXTRA": str(_MARGIN),
            "SAMPLE_GRID": "YES",
        }


def _mapped(source: Any, tile: _Tile) -> NDArray[np.float32]:
    """An image that lies on a map.

    GDAL interpolates the way along the rows that it is asked for; it is asked for the same stretches of the
    grid whatever the tile, so that the tile is nothing to the result.
    """
    (top, left), (rows, cols) = tile.corner, tile.shape
    out = np.empty((len(tile.bands), rows, cols), dtype=np.float32)
    for row in range(top - top % _STRETCH, top + rows, _STRETCH):
        for col in range(left - left % _STRETCH, left + cols, _STRETCH):
            part = _stretch(source, tile, row, col)
            first, last = max(row, top), min(row + _STRETCH, top + rows)
            begin, end = max(col, left), min(col + _STRETCH, left + cols)
            out[:, first - top : last - top, begin - left : end - left] = part[
                :, first - row : last - row, begin - col : end - col
            ]
    return out


def _stretch(source: Any, tile: _Tile, row: int, col: int) -> NDArray[np.float32]:
    with WarpedVRT(
        source,
        crs=tile.crs,
        transform=tile.at(row, col),
        height=_STRETCH,
        width=_STRETCH,
        src_nodata=tile.fill,
        nodata=np.nan,
        dtype="float32",
        resampling=tile.kernel,
        tolerance=_CLOSE,
        **tile.options,
    ) as warped:
        return np.asarray(warped.read(indexes=tile.bands))


def _seen(source: Any, tile: _Tile, terrain: Terrain) -> NDArray[np.float32]:
    """A raw image through its RPC."""
    out = np.full((len(tile.bands), *tile.shape), np.nan, dtype=np.float32)
    with terrain.options() as heights:
        reproject(
            rasterio.band(source, tile.bands),
            out,
            rpcs=source.rpcs,
            src_crs="EPSG:4326",
            dst_transform=tile.at(*tile.corner),
            dst_crs=tile.crs,
            src_nodata=tile.fill,
            dst_nodata=np.nan,
            resampling=tile.kernel,
            num_threads=1,
            **heights,
            **tile.options,
        )
    return out


def ground_pixel(raster: Image, rational: Rational | None, grid: Grid) -> float:
    """Side of an image's pixel on the ground, in the grid's unit: metres, or degrees."""
    if rational is None:
        assert raster.transform is not None
        return _mapped_pixel(raster, grid)
    _, rows, cols = raster.shape
    sample, line = np.array([0.0, 1, 0]) + cols / 2, np.array([0.0, 0, 1]) + rows / 2
    lon, lat = rational.ground(sample, line, rational.height_offset)
    metres = np.cos(np.radians(lat[0])) * _DEGREE, _DEGREE
    across = np.hypot((lon[1] - lon[0]) * metres[0], (lat[1] - lat[0]) * metres[1])
    along = np.hypot((lon[2] - lon[0]) * metres[0], (lat[2] - lat[0]) * metres[1])
    side = float(np.sqrt(across * along))
    geographic = grid.crs is not None and CRS.from_user_input(grid.crs).is_geographic
    return side / _DEGREE if geographic else side


def _mapped_pixel(raster: Image, grid: Grid) -> float:
    """Side of the middle pixel of an image on a map, in the grid's unit, which may be another one."""
    assert raster.transform is not None
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    own, asked = (CRS.from_user_input(crs) if crs is not None else None for crs in (raster.crs, grid.crs))
    if own is None or asked is None or own == asked:
        return float(abs(a * e - b * d) ** 0.5)
    _, rows, cols = raster.shape
    x, y = np.array([0.0, 1, 0]) + cols / 2, np.array([0.0, 0, 1]) + rows / 2
    east, north = np.array(transform(own, asked, a * x + b * y + c, d * x + e * y + f))
    across = (east[1] - east[0]) * (north[2] - north[0])
    along = (east[2] - east[0]) * (north[1] - north[0])
    return float(abs(across - along) ** 0.5)
