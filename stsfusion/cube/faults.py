"""What is wrong with a cube's labels: dims, dates, bands, place and unit; each fault with its mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from xarray import DataArray

from stsfusion.cube.gaps import DIMS
from stsfusion.cube.georeference import grid_of
from stsfusion.errors import CubeError

__all__ = ["form_faults", "label_faults", "nanometres"]

_UNITS = {
    "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0, "nanometre": 1.0, "nanometres": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3,
    "micrometer": 1e3, "micrometers": 1e3, "micrometre": 1e3, "micrometres": 1e3,
    "m": 1e9, "meter": 1e9, "metre": 1e9,
}  # fmt: skip
"""Nanometres in one of each unit of length, by its lower-case name."""

_LENGTHS = (200.0, 16000.0)
"""Wavelengths an optical sensor can have, nm."""

_NARROWEST = 0.2
"""Width of the narrowest bands of imaging spectrometers, nm, with some room."""


def form_faults(cube: DataArray) -> Iterator[str]:
    """Faults that keep anyone from reading the values: dims, type, the form of `valid`."""
    yield from _dim_faults(cube)
    yield from _number_faults(cube)
    yield from _valid_faults(cube)


def label_faults(cube: DataArray) -> Iterator[str]:
    """Faults of dates, bands, place and unit."""
    yield from _time_faults(cube)
    yield from _band_faults(cube)
    yield from _place_faults(cube)
    yield from _unit_faults(cube)


def nanometres(unit: object) -> float:
    """Nanometres in one of a unit of length.

    Raises
    ------
    CubeError
        When the unit is not one of length.
    """
    factor = _UNITS.get(str(unit).strip().lower())
    if factor is None:
        raise CubeError(f"wavelength unit {unit!r}", expected="nm, µm or m", mend="Give wavelengths in nm.")
    return factor


def _dim_faults(cube: DataArray) -> Iterator[str]:
    if len(cube.dims) != 4 or set(cube.dims) != set(DIMS):
        yield (
            f"dims are {cube.dims}, not {DIMS}: rename them with cube.rename(...), "
            "and give a single image its date with cube.expand_dims(time=[np.datetime64('2021-12-13')])"
        )
    for dim, size in cube.sizes.items():
        if size == 0:
            yield f"'{dim}' is empty: nothing was selected along it"


def _time_faults(cube: DataArray) -> Iterator[str]:
    if "time" not in cube.dims:
        return
    if "time" not in cube.coords:
        yield "'time' has no coordinate: add the dates with cube.assign_coords(time=pd.to_datetime([...]))"
        return
    if isinstance(getattr(cube.indexes.get("time"), "dtype", None), pd.DatetimeTZDtype):
        yield (
            "'time' has a time zone, but dates are in UTC, without a zone: convert them "
            "with cube.assign_coords(time=cube.indexes['time'].tz_convert('UTC').tz_localize(None))"
        )
        return
    if not np.issubdtype(cube["time"].dtype, np.datetime64):
        yield f"'time' holds {cube['time'].dtype}, not dates: convert them with pd.to_datetime"
        return
    times = pd.DatetimeIndex(np.asarray(cube["time"].values))
    if times.hasnans:
        yield "'time' has dates that are missing (NaT): drop them with cube.sel(time=cube.time.notnull())"
        return
    twice = times[times.duplicated()].unique()
    if len(twice):
        yield (
            f"'time' must be unique, but {_few(str(t) for t in twice)} come twice: "
            "keep one with cube.drop_duplicates('time')"
        )
    falls = np.flatnonzero(np.diff(times.to_numpy()).astype(np.int64) < 0)
    if len(falls):
        before, after = times[falls[0]], times[falls[0] + 1]
        yield f"'time' must rise, but {after} follows {before}: sort with cube.sortby('time')"


def _band_faults(cube: DataArray) -> Iterator[str]:
    if "band" not in cube.dims:
        return
    if "band" in cube.coords:
        names = [str(name) for name in cube["band"].values]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"band names must be unique, but {_few(twice)} come twice: rename them"
    if "wavelength" not in cube.coords:
        yield (
            "'wavelength' is missing: add the bands' centres in nm with "
            "cube.assign_coords(wavelength=('band', [...]))"
        )
        return
    for key in ("wavelength", "fwhm"):
        if key in cube.coords:
            yield from _length_faults(cube, key)


def _length_faults(cube: DataArray, key: str) -> Iterator[str]:
    lengths, unit = cube[key], cube[key].attrs.get("units", "nm")
    if lengths.dims != ("band",):
        yield f"'{key}' must lie along 'band', but has dims {lengths.dims}"
        return
    try:
        numbers = np.asarray(lengths.values, dtype=np.float64) * nanometres(unit)
    except (CubeError, ValueError, TypeError):
        yield f"'{key}' must be numbers in nm, but has unit {unit!r} and type {lengths.dtype}"
        return
    bad = np.flatnonzero(~np.isfinite(numbers) | (numbers <= 0))
    if len(bad):
        yield (
            f"'{key}' must be positive and finite, but band {_few(map(str, bad))} (from 0) is not: "
            "drop the band, or mend its number"
        )
    if key == "wavelength":
        yield from _wavelength_faults(numbers)
    else:
        yield from _width_faults(numbers)


def _width_faults(numbers: NDArray[np.float64]) -> Iterator[str]:
    wrong = numbers[np.isfinite(numbers) & (numbers > 0) & ((numbers < _NARROWEST) | (numbers > _LENGTHS[1]))]
    if len(wrong):
        yield (
            f"'fwhm' has a width of {wrong[0]:g} nm, which no band has: "
            "convert it to nm, or state its unit in cube.fwhm.attrs['units']"
        )


def _wavelength_faults(numbers: NDArray[np.float64]) -> Iterator[str]:
    finite = numbers[np.isfinite(numbers)]
    if len(finite) and not (_LENGTHS[0] <= finite.min() and finite.max() <= _LENGTHS[1]):
        yield (
            f"'wavelength' runs from {finite.min():g} to {finite.max():g}, which is not nm: "
            "convert it, or state its unit in cube.wavelength.attrs['units']"
        )
    twice = pd.Series(numbers).duplicated(keep=False).to_numpy() & np.isfinite(numbers)
    if twice.any():
        yield (
            f"'wavelength' must be unique, but bands {_few(map(str, np.flatnonzero(twice)))} (from 0) share "
            f"{numbers[twice][0]:g} nm: drop all but one of them"
        )


def _place_faults(cube: DataArray) -> Iterator[str]:
    if "y" not in cube.dims or "x" not in cube.dims or 0 in cube.shape:
        return
    try:
        grid_of(cube, pixel=1.0)
    except CubeError as error:
        yield str(error).replace("\n", " ")


def _number_faults(cube: DataArray) -> Iterator[str]:
    if not np.issubdtype(cube.dtype, np.floating):
        yield (
            f"values are {cube.dtype}, not reflectance: scale the counts, "
            "such as cube.where(cube != nodata) * 1e-4, or open the file with open_cube(..., scale=1e-4)"
        )


def _unit_faults(cube: DataArray) -> Iterator[str]:
    unit = str(cube.attrs.get("units", "1")).strip().lower()
    if unit in {"%", "percent", "per cent", "pct"}:
        yield f"unit is {unit!r}, not reflectance from 0 to 1: divide by 100 and set attrs['units'] = '1'"


def _valid_faults(cube: DataArray) -> Iterator[str]:
    if "valid" not in cube.coords:
        return
    valid = cube.coords["valid"]
    if not (valid.dtype == bool or np.issubdtype(valid.dtype, np.integer)):
        yield f"'valid' holds {valid.dtype}, not True and False"


def _few(items: Iterable[str]) -> str:
    listed = list(items)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
