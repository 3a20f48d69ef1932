"""Fine and coarse: two series of one place from one NetCDF file, one of which has the finer pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.pipeline.netcdf import decoded, opened, variable
from stsfusion.pipeline.truth import Truth, read_truth

__all__ = ["FineAndCoarse", "read_fine_and_coarse"]


@dataclass(frozen=True, eq=False)
class FineAndCoarse:
    """Two sensors' series with the same dates and bands."""

    fine: Truth
    """The fine one."""

    values: NDArray[np.float32]
    """(time, band, y/r, x/r) reflectance of the coarse one; zero in gaps."""

    valid: NDArray[np.bool_]
    """The same shape, False in gaps."""

    @property
    def ratio(self) -> int:
        """Fine pixels along one side of a coarse one."""
        return int(self.fine.values.shape[2] // self.values.shape[2])


def read_fine_and_coarse(path: str | Path, coarse: str) -> FineAndCoarse:
    """Read `reflectance` (time, band, y, x), as `read_truth` does, and a coarse variable of the same file.

    The coarse variable has the same dates and bands; its rows and columns are the same, as of an image that
    was interpolated, or an integer coarsening of them, on dimensions of their own.

    Raises
    ------
    CubeError
        When the file is missing or one of the two is not as described.
    """
    path = Path(path)
    fine = read_truth(path)
    where = f"series {path.name}"
    with opened(path, "series") as file:
        cube = _laid_out(variable(file, coarse, where), f"{where}, {coarse}")
        values, valid = decoded(cube, file)
    _check_fit(values.shape, fine.values.shape, f"{where}, {coarse}")
    if not valid.any():
        raise CubeError(f"{where}, {coarse}", expected="numbers", got="gaps everywhere")
    return FineAndCoarse(fine, values, valid)


def _laid_out(cube: xr.DataArray, where: str) -> xr.DataArray:
    """As (time, band, rows, columns); the last two are y and x, or stand in the file's order."""
    rest = [str(dim) for dim in cube.dims if dim not in ("time", "band")]
    if len(rest) != 2 or cube.ndim != 4:
        raise CubeError(
            where, expected="dims ('time', 'band', rows, columns)", got=f"{tuple(map(str, cube.dims))}"
        )
    return cube.transpose("time", "band", *(("y", "x") if set(rest) == {"y", "x"} else rest))


def _check_fit(coarse: tuple[int, ...], fine: tuple[int, ...], where: str) -> None:
    """The coarse grid covers the fine one with whole pixels, as many either way."""
    (rows, cols), (tall, wide) = coarse[2:], fine[2:]
    whole = rows > 0 and cols > 0 and tall % rows == 0 and wide % cols == 0
    if not whole or tall // rows != wide // cols:
        raise CubeError(
            where,
            expected=f"the grid {tall} × {wide} of 'reflectance', or pixels a whole number of times as large",
            got=f"{rows} × {cols}",
            mend="Cut or resample the coarse images so that they cover the fine ones exactly.",
        )
