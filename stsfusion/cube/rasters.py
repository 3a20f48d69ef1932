"""GeoTIFF stacks: one file a date, bands described by tags; the GeoTIFF driver and no other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rioxarray
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from xarray import DataArray

from stsfusion.cube.faults import nanometres
from stsfusion.cube.source import Source, date_in
from stsfusion.errors import CubeError

__all__ = ["read_rasters"]

_DATE_TAGS = ("ACQUISITION_DATE", "ACQUISITIONDATETIME", "ACQUISITION_DATETIME", "DATETIME", "DATE")
"""Tags that may tell the date of acquisition; TIFFTAG_DATETIME tells that of the file."""

_CHUNK = 512
"""Pixels along one side of what is read at once."""


@dataclass(frozen=True)
class _Header:
    """What one file says of itself."""

    path: Path
    date: np.datetime64 | None
    names: tuple[str, ...]
    wavelength: tuple[float, ...] | None
    fwhm: tuple[float, ...] | None
    scale: tuple[float, float] | None
    form: tuple[Any, ...]


def read_rasters(source: Source) -> DataArray:
    """(time, band, y, x) in stored numbers, lazy, dates rising.

    Raises
    ------
    CubeError
        When a file is no GeoTIFF, files differ in grid or bands, or dates lack or come twice.
    """
    headers = [_header(path) for path in source.paths]
    for other in headers[1:]:
        if other.form != headers[0].form:
            raise CubeError(
                f"file {other.path}",
                expected=f"the size, grid, bands and type of {headers[0].path.name}: {headers[0].form}",
                got=f"{other.form}",
                mend="Resample the files to one grid, or leave this one out.",
            )
    dates = _dates(headers, source)
    order = np.argsort(dates)
    images = [_image(source.paths[i]).assign_coords(time=dates[i]) for i in order]
    stack = xr.concat(images, "time", combine_attrs="override", coords="minimal", compat="override")
    return _labelled(stack, headers[0])


def _header(path: Path) -> _Header:
    try:
        with warnings.catch_warnings():
            # An image without a place on Earth is a local grid to us.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as file:
                return _described(path, file)
    except RasterioError as error:
        raise CubeError(
            f"file {path}",
            expected="a readable GeoTIFF",
            got=str(error),
            mend="Look at it with gdalinfo; a VRT or another format must be turned into a GeoTIFF first.",
        ) from error


def _described(path: Path, file: Any) -> _Header:
    place = (file.shape, tuple(file.transform)[:6], str(file.crs))
    form = (*place, file.count, file.dtypes[0], str(file.nodata))
    bands = range(1, file.count + 1)
    tags = [{**file.tags(i), **file.tags(i, ns="IMAGERY")} for i in bands]
    scales = set(zip(file.scales, file.offsets, strict=True))
    own = {**file.tags(), **file.tags(ns="IMAGERY")}
    names = tuple(text or str(i) for i, text in zip(bands, file.descriptions, strict=True))
    if len(set(names)) < len(names):
        # Some writers describe every band by the name of the whole cube.
        names = tuple(str(i) for i in bands)
    date = date_in(path.stem) or next((date_in(own[tag]) for tag in _DATE_TAGS if tag in own), None)
    lengths = {key: _lengths(tags, key) for key in ("wavelength", "fwhm")}
    return _Header(path, date, names, **lengths, scale=scales.pop() if len(scales) == 1 else None, form=form)


def _lengths(tags: list[dict[str, str]], key: str) -> tuple[float, ...] | None:
    """(band,) nm from GDAL's IMAGERY tags (µm) or those that ENVI headers leave, if every band has them."""
    standard = {"wavelength": "CENTRAL_WAVELENGTH_UM", "fwhm": "FWHM_UM"}[key]
    found = []
    for own in tags:
        if standard in own:
            found.append(round(float(own[standard]) * 1000, 6))
        elif key in own:
            found.append(float(own[key]) * nanometres(own.get("wavelength_units", "nm")))
    return tuple(found) if len(found) == len(tags) else None


def _dates(headers: list[_Header], source: Source) -> list[np.datetime64]:
    if source.times is not None and len(source.times) != len(headers):
        raise CubeError(
            f"cube {source.name}",
            expected=f"{len(headers)} times, one a file",
            got=f"{len(source.times)}",
            mend="Files are taken in the order of their names.",
        )
    dates = list(source.times) if source.times is not None else [header.date for header in headers]
    first: dict[np.datetime64, Path] = {}
    for header, date in zip(headers, dates, strict=True):
        if date is None:
            raise CubeError(
                f"file {header.path}",
                expected="a date in its name or tags, such as 20211213",
                got="none",
                mend="Rename it, or give the dates in the files' order: times=[...].",
            )
        if date in first:
            raise CubeError(
                f"file {header.path}",
                expected="a date of its own",
                got=f"{date}, which {first[date].name} has too",
                mend="Leave one of them out, or join them to one image first.",
            )
        first[date] = header.path
    return [date for date in dates if date is not None]


def _image(path: Path) -> DataArray:
    with warnings.catch_warnings():
        # rioxarray multiplies affine matrices in a way that newer affine calls old.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        opened = rioxarray.open_rasterio(path, chunks={"band": -1, "y": _CHUNK, "x": _CHUNK}, driver="GTiff")
    assert isinstance(opened, DataArray)
    return opened


def _labelled(stack: DataArray, header: _Header) -> DataArray:
    stack = stack.assign_coords(band=("band", np.asarray(header.names, dtype=object)))
    for key, lengths in (("wavelength", header.wavelength), ("fwhm", header.fwhm)):
        if lengths is not None:
            stack = stack.assign_coords({key: ("band", np.asarray(lengths), {"units": "nm"})})
    if header.scale is None:
        raise CubeError(
            f"file {header.path}",
            expected="one scale and offset for all bands",
            got="different ones",
            mend="Convert it with gdal_translate -unscale -ot Float32.",
        )
    keep = {key: stack.attrs[key] for key in ("_FillValue", "units") if key in stack.attrs}
    stack.attrs = {**keep, "scale_factor": header.scale[0], "add_offset": header.scale[1]}
    return stack
