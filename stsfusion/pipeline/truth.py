"""Truth: a complete hyperspectral series from a NetCDF file, against which methods are scored."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError

__all__ = ["Truth", "read_truth"]

_DIMS = ("time", "band", "y", "x")
_GAPS = ("nodata", "_FillValue", "missing_value")


@dataclass(frozen=True, eq=False)
class Truth:
    """A series that is taken to be true."""

    name: str
    """The file's name."""

    values: NDArray[np.float32]
    """(time, band, y, x) reflectance; zero in gaps."""

    valid: NDArray[np.bool_]
    """(time, band, y, x), False in gaps."""

    wavelengths: NDArray[np.float64]
    """(band,) nm."""

    fwhm: NDArray[np.float64] | None
    """(band,) full widths at half maximum, nm, where the file tells them."""

    times: tuple[str, ...]
    """(time,) dates as ISO text."""

    days: NDArray[np.float64]
    """(time,) days since the first date."""


def read_truth(path: str | Path) -> Truth:
    """Read `reflectance` (time, band, y, x) with its `time` and `wavelength` (nm).

    Counts are scaled by `scale_factor` and `add_offset`; `nodata`, `_FillValue` and `missing_value` (in
    counts) and NaN are gaps.

    Raises
    ------
    CubeError
        When the file is missing or is not such a series; every message names what is lacking.
    """
    path = Path(path)
    if not path.is_file():
        raise CubeError(f"truth {path}", expected="a NetCDF file", got="no such file")
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as file:
            return _truth(path.name, file)
    except (OSError, ValueError) as error:
        raise CubeError(
            f"truth {path}",
            expected="a NetCDF 4 file",
            got=str(error),
            mend="Write it with xarray's to_netcdf.",
        ) from error


def _truth(name: str, file: xr.Dataset) -> Truth:
    if "reflectance" not in file.data_vars:
        found = ", ".join(map(str, file.data_vars)) or "none"
        raise CubeError(f"truth {name}", expected="a variable 'reflectance'", got=f"variables {found}")
    cube = file["reflectance"]
    if set(cube.dims) != set(_DIMS):
        raise CubeError(
            f"truth {name}, reflectance",
            expected=f"dims {_DIMS}",
            got=f"{cube.dims}",
            mend="A single image is no series: make one of it with forward.seasons."
            if "time" not in cube.dims
            else "",
        )
    cube = cube.transpose(*_DIMS)
    stamps = _stamps(name, file)
    values, valid = _values(cube)
    if not valid.any():
        raise CubeError(f"truth {name}, reflectance", expected="numbers", got="gaps everywhere")
    days = (stamps - stamps[0]) / np.timedelta64(1, "D")
    times = tuple(str(np.datetime_as_string(stamp, unit="s")).removesuffix("T00:00:00") for stamp in stamps)
    return Truth(name, values, valid, _nm(name, file, "wavelength"), _fwhm(name, file), times, days)


def _values(cube: xr.DataArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Reflectance with zeros in gaps, and the mask; date by date, so that float64 is never held whole."""
    marks = [np.asarray(cube.attrs[key]).item() for key in _GAPS if key in cube.attrs]
    scale, offset = float(cube.attrs.get("scale_factor", 1.0)), float(cube.attrs.get("add_offset", 0.0))
    values = np.empty(cube.shape, np.float32)
    valid = np.empty(cube.shape, bool)
    for i in range(cube.shape[0]):
        counts = cube[i].values
        valid[i] = np.isfinite(counts) & ~np.isin(counts, marks)
        values[i] = np.where(valid[i], counts.astype(np.float64) * scale + offset, 0.0)
    return values, valid


def _stamps(name: str, file: xr.Dataset) -> NDArray[np.datetime64]:
    """(time,) dates that rise."""
    if "time" not in file.variables:
        raise CubeError(
            f"truth {name}",
            expected="a coordinate 'time' on the dimension time",
            got="none",
            mend="Give the dates, for example: cube.assign_coords(time=pandas.to_datetime([...])).",
        )
    stamps = file["time"].values
    if not np.issubdtype(stamps.dtype, np.datetime64):
        raise CubeError(
            f"truth {name}, time",
            expected="dates",
            got=f"{stamps.dtype}",
            mend="Give it units such as 'days since 2021-12-13'.",
        )
    if np.isnat(stamps).any() or (np.diff(stamps) <= np.timedelta64(0)).any():
        raise CubeError(
            f"truth {name}, time",
            expected="dates that rise, each once",
            got=f"{stamps.astype('M8[D]').tolist()}",
        )
    return np.asarray(stamps)


def _nm(name: str, file: xr.Dataset, key: Hashable) -> NDArray[np.float64]:
    """(band,) positive numbers in nm."""
    if key not in file.variables or file[key].dims != ("band",):
        raise CubeError(
            f"truth {name}", expected=f"a coordinate '{key}' (nm) on the dimension band", got="none"
        )
    nm = file[key].values.astype(np.float64)
    if not (np.isfinite(nm) & (nm > 0)).all():
        raise CubeError(f"truth {name}, {key}", expected="positive numbers in nm", got=f"{nm.tolist()[:8]} …")
    if key == "wavelength" and nm.max() < 100:
        raise CubeError(
            f"truth {name}, {key}",
            expected="nm",
            got=f"values up to {nm.max():g}",
            mend="Multiply micrometres by 1000.",
        )
    return nm


def _fwhm(name: str, file: xr.Dataset) -> NDArray[np.float64] | None:
    return _nm(name, file, "fwhm") if "fwhm" in file.variables else None
