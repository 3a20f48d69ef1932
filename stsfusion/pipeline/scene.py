"""Scene: one hyperspectral image from a NetCDF file, and the real multispectral one beside it if need be.

Bands that were never recorded and pixels that are not there in every band are left out, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.pipeline.netcdf import band_numbers, decoded, opened, variable
from stsfusion.pipeline.rectangle import largest_rectangle

__all__ = ["Crop", "Partner", "Scene", "parse_crop", "read_scene"]

Crop = tuple[slice, slice]
"""Rows and columns."""

_DIMS = ("band", "y", "x")


@dataclass(frozen=True, eq=False)
class Partner:
    """A real multispectral image on the scene's own grid."""

    name: str
    """The variable."""

    values: NDArray[np.float32]
    """(band', y, x) reflectance."""

    low: NDArray[np.float64]
    """(band',) where each band begins, nm."""

    high: NDArray[np.float64]
    """(band',) where each band ends, nm."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral image without gaps."""

    name: str
    """The file's name without '.nc'."""

    values: NDArray[np.float32]
    """(band, y, x) reflectance, not clipped."""

    wavelengths: NDArray[np.float64]
    """(band,) nm, in the file's order."""

    fwhm: NDArray[np.float64] | None = None
    """(band,) full widths at half maximum, nm, where the file tells them."""

    partner: Partner | None = None
    """The real multispectral image, where one was asked for."""

    notes: tuple[str, ...] = ()
    """What was left out, in words."""


def parse_crop(text: str) -> Crop:
    """Rows and columns from 'y0:y1,x0:x1', counted from 0, the second of each pair not included.

    Raises
    ------
    CubeError
        When the text is something else.
    """
    try:
        (top, bottom), (left, right) = (map(int, part.split(":")) for part in text.split(","))
    except ValueError:
        raise CubeError(
            "crop", expected="'y0:y1,x0:x1' in whole pixels", got=f"'{text}'", mend="Write 0:144,0:144, say."
        ) from None
    return slice(top, bottom), slice(left, right)


def read_scene(path: str | Path, crop: Crop | None = None, pair: str | None = None) -> Scene:
    """Read `reflectance` (band, y, x) with its `wavelength` (nm).

    Counts and gaps are read as `netcdf.decoded` does. Bands without a single valid pixel are left
    out; of what remains the largest rectangle without a gap is kept.

    Parameters
    ----------
    crop
        Rows and columns to look at; None: all.
    pair
        Variable of a real multispectral image (band', y, x) on the same grid, its bands between `msi_low` and
        `msi_high` (nm).

    Raises
    ------
    CubeError
        When the file is missing or holds no such image, or nothing of it is free of gaps.
    """
    path = Path(path)
    with opened(path, "scene") as file:
        return _scene(path.stem, file, crop, pair)


def _scene(name: str, file: xr.Dataset, crop: Crop | None, pair: str | None) -> Scene:
    where = f"scene {name}"
    cube = _image(variable(file, "reflectance", where), where)
    nm = band_numbers(file, "wavelength", where)
    fwhm = band_numbers(file, "fwhm", where) if "fwhm" in file.variables else None
    values, valid = decoded(cube, file)
    alive = np.asarray(valid.any((1, 2)))
    notes = _dead(name, "hyperspectral", alive)
    partner, there = None, np.ones(valid.shape[1:], bool)
    if pair is not None:
        partner, there, said = _partner(file, pair, cube, where)
        notes += said
    window = _crop(crop, cube.shape[1:], where)
    own = _own(valid[alive].all(0) & there, window, where)
    notes += _cut(name, own, window)
    if partner is not None:
        partner = Partner(partner.name, partner.values[:, *own], partner.low, partner.high)
    fwhm = None if fwhm is None else fwhm[alive]
    return Scene(name, values[alive][:, *own], nm[alive], fwhm, partner, tuple(notes))


def _image(cube: xr.DataArray, where: str, dims: Sequence[str] = _DIMS) -> xr.DataArray:
    """The variable as (band, y, x); a single date may be there, a series may not."""
    if "time" in cube.dims and cube.sizes["time"] == 1:
        cube = cube.isel(time=0)
    if set(cube.dims) != set(dims):
        series = "time" in cube.dims
        raise CubeError(
            f"{where}, {cube.name}",
            expected=f"dims {tuple(dims)}",
            got=f"{cube.dims}",
            mend="Cut one date out of the series with isel(time=[0]), or ask `bench sts`." if series else "",
        )
    return cube.transpose(*dims).load()


def _partner(
    file: xr.Dataset, pair: str, cube: xr.DataArray, where: str
) -> tuple[Partner, NDArray[np.bool_], list[str]]:
    """The multispectral image, where all of its living bands are there, and which bands are not."""
    image = variable(file, pair, where)
    bands = [str(dim) for dim in image.dims if dim not in ("time", "y", "x")]
    image = _image(image, where, (*bands[:1], "y", "x"))
    if image.ndim != 3 or image.shape[1:] != cube.shape[1:]:
        raise CubeError(
            f"{where}, {pair}", expected=f"(band, y, x) on the grid {cube.shape[1:]}", got=f"{image.shape}"
        )
    low, high = (band_numbers(file, key, where, bands[0]) for key in ("msi_low", "msi_high"))
    values, valid = decoded(image, file)
    alive = np.asarray(valid.any((1, 2)))
    partner = Partner(pair, values[alive], low[alive], high[alive])
    return partner, np.asarray(valid[alive].all(0)), _dead(pair, "multispectral", alive)


def _dead(name: str, kind: str, alive: NDArray[np.bool_]) -> list[str]:
    """A line on bands without data, counted from 1."""
    if not alive.any():
        raise CubeError(f"scene {name}", expected="numbers", got="gaps everywhere")
    gone = ", ".join(str(i + 1) for i in np.flatnonzero(~alive))
    return [f"{name}: {kind} bands without data are left out: {gone}"] if gone else []


def _crop(crop: Crop | None, size: tuple[int, ...], where: str) -> Crop:
    rows, cols = crop or (slice(0, size[0]), slice(0, size[1]))
    for asked, length, axis in ((rows, size[0], "rows"), (cols, size[1], "columns")):
        if not 0 <= asked.start < asked.stop <= length:
            raise CubeError(
                f"{where}, crop", expected=f"{axis} within 0:{length}", got=f"{asked.start}:{asked.stop}"
            )
    return rows, cols


def _own(known: NDArray[np.bool_], window: Crop, where: str) -> Crop:
    """The largest rectangle without a gap inside the window."""
    rows, cols = largest_rectangle(known[window])
    if rows.start == rows.stop:
        raise CubeError(
            where,
            expected="a pixel that is there in every band",
            got="a gap in every pixel",
            mend="Leave out the bands that have most gaps.",
        )
    top, left = window[0].start, window[1].start
    return slice(top + rows.start, top + rows.stop), slice(left + cols.start, left + cols.stop)


def _cut(name: str, own: Crop, window: Crop) -> list[str]:
    """A line on what gaps took away."""
    if own == window:
        return []
    (rows, cols), (height, width) = own, (axis.stop - axis.start for axis in window)
    return [
        f"{name}: rows {rows.start}:{rows.stop} and columns {cols.start}:{cols.stop} are used, the largest "
        f"rectangle without a gap of {height} × {width}"
    ]
