"""NetCDF: cubes as files hold them, from counts to reflectance, with a clear word for what is lacking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError

__all__ = ["band_numbers", "decoded", "opened", "variable"]

_GAPS = ("nodata", "_FillValue", "missing_value")
"""Attributes that say which count stands for a gap."""


@contextmanager
def opened(path: Path, what: str) -> Iterator[xr.Dataset]:
    """A NetCDF file with its counts as they are stored.

    Parameters
    ----------
    what
        How messages call it: 'truth', 'scene'.

    Raises
    ------
    CubeError
        When the file is missing or no NetCDF 4.
    """
    if not path.is_file():
        raise CubeError(f"{what} {path}", expected="a NetCDF file", got="no such file")
    try:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as file:
            yield file
    except (OSError, ValueError) as error:
        raise CubeError(
            f"{what} {path}",
            expected="a NetCDF 4 file",
            got=str(error),
            mend="Write it with xarray's to_netcdf.",
        ) from error


def variable(file: xr.Dataset, name: str, where: str) -> xr.DataArray:
    """A variable of the file, or the list of those that it has."""
    if name not in file.data_vars:
        found = ", ".join(map(str, file.data_vars)) or "none"
        raise CubeError(where, expected=f"a variable '{name}'", got=f"variables {found}")
    return file[name]


def decoded(cube: xr.DataArray, file: xr.Dataset) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Reflectance with zeros in gaps, and the mask that is False there.

    Counts are scaled by `scale_factor` and `add_offset`. Gaps are NaN, and the counts that the variable or
    the file names as `nodata`, `_FillValue` or `missing_value`. The first axis is read slice by slice,
    so that float64 is never held whole.
    """
    marks = _marks(cube, file)
    scale, offset = float(cube.attrs.get("scale_factor", 1.0)), float(cube.attrs.get("add_offset", 0.0))
    values = np.empty(cube.shape, np.float32)
    valid = np.empty(cube.shape, bool)
    for i in range(cube.shape[0]):
        counts = cube[i].values
        valid[i] = np.isfinite(counts) & ~np.isin(counts, marks)
        values[i] = np.where(valid[i], counts.astype(np.float64) * scale + offset, 0.0)
    return values, valid


def _marks(cube: xr.DataArray, file: xr.Dataset) -> list[float]:
    """Counts that stand for a gap; a file's own attributes may be texts."""
    said = [attributes[key] for attributes in (cube.attrs, file.attrs) for key in _GAPS if key in attributes]
    return [float(np.asarray(value).item()) for value in said]


def band_numbers(file: xr.Dataset, key: str, where: str, dim: str = "band") -> NDArray[np.float64]:
    """(band,) positive numbers in nm.

    Raises
    ------
    CubeError
        When they are missing, not finite or not in nm.
    """
    if key not in file.variables or file[key].dims != (dim,):
        raise CubeError(where, expected=f"a coordinate '{key}' (nm) on the dimension {dim}", got="none")
    nm = file[key].values.astype(np.float64)
    if not (np.isfinite(nm) & (nm > 0)).all():
        raise CubeError(f"{where}, {key}", expected="positive numbers in nm", got=f"{nm.tolist()[:8]} …")
    if key != "fwhm" and nm.max() < 100:
        raise CubeError(
            f"{where}, {key}",
            expected="nm",
            got=f"values up to {nm.max():g}",
            mend="Multiply micrometres by 1000; numbers of bands are no wavelengths.",
        )
    return nm
