"""NetCDF and foreign Zarr: the one variable that is the cube, in stored numbers, with its own notes."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import numpy as np
import xarray as xr
from affine import Affine
from xarray import DataArray, Dataset

from stsfusion.cube.gaps import DIMS, GAP_KEYS
from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.lazy import expanded, is_compact
from stsfusion.cube.source import Source, date_in
from stsfusion.errors import CubeError, nearest

__all__ = ["read_gridded"]

_ALIASES = {
    "time": ("time", "t", "date", "dates", "datetime"),
    "band": ("band", "bands", "wavelength", "wavelengths", "wl", "channel", "spectral"),
    "y": ("y", "lat", "latitude", "northing", "row", "rows", "line", "lines"),
    "x": ("x", "lon", "longitude", "easting", "col", "cols", "column", "columns", "sample", "samples"),
}
"""Names under which files keep our dims."""

_LENGTHS = {
    "wavelength": ("wavelength", "wavelengths", "wl", "center_wavelength", "central_wavelength"),
    "fwhm": ("fwhm",),
}

_DATE_KEYS = ("date", "time", "datetime", "acquisition_date", "acquisition_time", "time_coverage_start")
"""Attributes that may tell the date of a single image."""


def read_gridded(source: Source) -> DataArray:
    """(time, band, y, x) in stored numbers, lazy; scale, offset and gaps as attributes.

    Raises
    ------
    CubeError
        When the file cannot be read, or no variable in it can be the cube.
    """
    dataset = _open(source)
    stored = _variable(dataset, source)
    stored = stored.rename(_renames(stored))
    stored = _with_lengths(stored, dataset)
    stored = _with_place(stored, dataset, source)
    stored = _with_time(stored, dataset, source)
    if "band" not in stored.dims:
        stored = stored.expand_dims("band")
    notes = {key: dataset.attrs[key] for key in (*GAP_KEYS, "title", "source") if key in dataset.attrs}
    stored.attrs = {**notes, **stored.attrs}
    if "valid" in dataset and set(dataset["valid"].dims) <= set(DIMS):
        stored = stored.assign_coords(valid=dataset["valid"].reset_coords(drop=True))
    return stored.transpose(*DIMS, missing_dims="ignore")


def _open(source: Source) -> Dataset:
    """Lazy, numbers as they are stored; a compact series of ours with all its bands."""
    found = _opened(source, "auto")
    return expanded(_opened(source, None)) if is_compact(found) else found


def _opened(source: Source, chunks: Literal["auto"] | None) -> Dataset:
    path = source.paths[0]
    engine = "zarr" if source.kind == "zarr" else "h5netcdf"
    try:
        return xr.open_dataset(
            path, engine=engine, group=source.group, chunks=chunks, mask_and_scale=False, decode_coords="all"
        )
    except (OSError, ValueError, KeyError) as error:
        raise CubeError(
            f"cube {path}",
            expected=f"a readable {'Zarr' if source.kind == 'zarr' else 'NetCDF-4 (HDF5) file'}",
            got=f"{type(error).__name__}: {error}",
            mend="Open it with xarray yourself, or name its group.",
        ) from error


def _variable(dataset: Dataset, source: Source) -> DataArray:
    able = [str(name) for name, variable in dataset.data_vars.items() if _able(variable)]
    alone = "reflectance" if "reflectance" in able else able[0] if len(able) == 1 else None
    name = source.variable or alone
    if name is not None and name in dataset:
        return dataset[name]
    raise CubeError(
        f"cube {source.name}",
        expected=f"a variable '{name}'" if name else "one variable (time, band, y, x) or (band, y, x)",
        got=", ".join(able) or "none",
        mend=nearest(name, map(str, dataset.data_vars)) if name else "Name it: variable='…'.",
    )


def _able(variable: DataArray) -> bool:
    return {"y", "x"} <= set(_renames(variable).values()) | set(variable.dims) and variable.ndim >= 3


def _renames(variable: DataArray) -> dict[str, str]:
    """From the file's names of dims to ours; the same name needs no entry."""
    found: dict[str, str] = {}
    for ours, names in _ALIASES.items():
        theirs = [str(dim) for dim in variable.dims if str(dim).lower() in names]
        if len(theirs) == 1 and theirs[0] != ours:
            found[theirs[0]] = ours
    return found


def _with_lengths(stored: DataArray, dataset: Dataset) -> DataArray:
    """Wavelength and fwhm along band, whether they were the dim itself, coordinates or variables."""
    if "band" not in stored.dims:
        return stored
    if "band" in stored.coords and np.issubdtype(stored["band"].dtype, np.floating):
        nm = stored["band"]
        stored = stored.drop_vars("band").assign_coords(wavelength=("band", nm.values, nm.attrs))
    for ours, names in _LENGTHS.items():
        for theirs in names:
            if ours not in stored.coords and theirs in dataset.variables and dataset[theirs].ndim == 1:
                found = dataset[theirs]
                if found.size == stored.sizes["band"]:
                    stored = stored.assign_coords({ours: ("band", found.values, found.attrs)})
    return stored


def _with_place(stored: DataArray, dataset: Dataset, source: Source) -> DataArray:
    """y, x and spatial_ref: the file's own, else from its attributes, else a local grid."""
    mapping = stored.encoding.get("grid_mapping") or stored.attrs.get("grid_mapping") or _unnamed(dataset)
    if mapping is not None and mapping in dataset.variables:
        stored = stored.drop_vars(mapping, errors="ignore")
        stored = stored.assign_coords(spatial_ref=dataset[mapping].reset_coords(drop=True))
    if {"y", "x"} <= set(stored.coords):
        return stored
    shape = (stored.sizes["y"], stored.sizes["x"])
    return stored.assign_coords(axes_of(_grid(shape, dataset.attrs, source)))


def _unnamed(dataset: Dataset) -> str | None:
    """The only variable that holds a reference system, in a file whose cube forgot to name it."""
    told = [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.ndim == 0 and {"crs_wkt", "spatial_ref"} & set(variable.attrs)
    ]
    return told[0] if len(told) == 1 else None


def _grid(shape: tuple[int, int], attributes: dict[str, Any], source: Source) -> Grid:
    if "transform" in attributes:
        numbers = attributes["transform"]
        a, _, c, _, e, f = (json.loads(numbers) if isinstance(numbers, str) else list(numbers))[:6]
        place = Affine(a, 0, c, 0, e, f)
        return Grid(shape, abs(place.a), (place.c, place.f), attributes.get("crs"), rising=place.e > 0)
    stated = str(attributes.get("gsd_m", ""))
    told = float(stated) if re.fullmatch(r"\d+(\.\d*)?", stated) else 1.0
    return Grid.local(shape, source.pixel or told or 1.0)


def _with_time(stored: DataArray, dataset: Dataset, source: Source) -> DataArray:
    if source.times is not None:
        if "time" not in stored.dims:
            stored = stored.drop_vars("time", errors="ignore").expand_dims("time")
        dates = stored.sizes["time"]
        if len(source.times) != dates:
            raise CubeError(f"cube {source.name}", expected=f"{dates} times", got=f"{len(source.times)}")
        return stored.assign_coords(time=("time", np.asarray(source.times)))
    if "time" in stored.dims:
        return stored
    if "time" in stored.coords and stored["time"].ndim == 0:
        return stored.expand_dims("time")
    notes = [str(notes[key]) for notes in (stored.attrs, dataset.attrs) for key in _DATE_KEYS if key in notes]
    for text in [*notes, source.paths[0].name]:
        date = date_in(text)
        if date is not None:
            return stored.expand_dims(time=[date])
    raise CubeError(
        f"cube {source.name}",
        expected="a date: a dim 'time', an attribute 'date', or a date in the name",
        got="none",
        mend="Give it: times=['2021-12-13'].",
    )
