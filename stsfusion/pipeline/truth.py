"""Truth: a complete hyperspectral series from a NetCDF file, against which methods are scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.pipeline.netcdf import band_numbers, decoded, opened, variable

__all__ = ["Truth", "read_truth"]

_DIMS = ("time", "band", "y", "x")


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
    with opened(path, "truth") as file:
        return _truth(path.name, file)


def _truth(name: str, file: xr.Dataset) -> Truth:
    cube = variable(file, "reflectance", f"truth {name}")
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
    values, valid = decoded(cube, file)
    if not valid.any():
        raise CubeError(f"truth {name}, reflectance", expected="numbers", got="gaps everywhere")
    days = (stamps - stamps[0]) / np.timedelta64(1, "D")
    times = tuple(str(np.datetime_as_string(stamp, unit="s")).removesuffix("T00:00:00") for stamp in stamps)
    nm = band_numbers(file, "wavelength", f"truth {name}")
    fwhm = band_numbers(file, "fwhm", f"truth {name}") if "fwhm" in file.variables else None
    return Truth(name, values, valid, nm, fwhm, times, days)


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
