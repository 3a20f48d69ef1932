"""Gaps and numbers of a labelled cube: what is missing, who says so, and whether the rest is reflectance."""

from __future__ import annotations

import numpy as np
import xarray as xr
from xarray import DataArray

from stsfusion.errors import CubeError

__all__ = ["DIMS", "GAP_KEYS", "declared_gap", "validity", "value_faults", "with_gaps"]

DIMS = ("time", "band", "y", "x")
"""The dims of every cube, in order."""

GAP_KEYS = ("_FillValue", "missing_value", "nodata")
"""Attributes by which a cube declares the number that stands for a gap."""

_NOMINAL = (-0.2, 2.0)
"""Reflectance that passes without a remark."""

_SCALED = 0.05
"""Share of values above the nominal range from which a cube is no reflectance at all."""


def declared_gap(cube: DataArray) -> float | None:
    """The number that a cube says stands for a gap (often NaN); None where it says nothing.

    Raises
    ------
    CubeError
        When what it says is not a number.
    """
    for notes in (cube.attrs, cube.encoding):
        for key in GAP_KEYS:
            if notes.get(key) is None:
                continue
            try:
                return float(np.asarray(notes[key]).reshape(-1)[0])
            except ValueError as error:
                raise CubeError(f"attribute '{key}'", expected="a number", got=repr(notes[key])) from error
    return None


def with_gaps(cube: DataArray) -> DataArray:
    """The cube in float32 with `valid` always there and NaN in every gap; lazy when the cube is."""
    valid = _valid(cube)
    attributes = {key: value for key, value in cube.attrs.items() if key not in GAP_KEYS}
    filled = cube.drop_vars("valid", errors="ignore").where(valid).astype(np.float32).transpose(*DIMS)
    valid.attrs = {}
    filled = filled.assign_coords(valid=valid)
    filled.attrs, filled.encoding = attributes, {}
    return filled


def validity(cube: DataArray) -> DataArray:
    """(time, band, y, x) bool of a checked cube: `valid` broadcast to all its dims, lazily."""
    return cube.coords["valid"].reset_coords(drop=True).broadcast_like(cube).transpose(*DIMS)


def value_faults(cube: DataArray) -> tuple[list[str], list[str]]:
    """(faults, remarks) on the values of a cube whose labels are right; reads a lazy cube once."""
    valid = _valid(cube)
    bare = cube.drop_vars("valid", errors="ignore")
    known = np.isfinite(bare) & valid
    inside = bare.where(known)
    found = {
        "nan": (np.isnan(bare) & valid).sum(),
        "infinite": (np.isinf(bare) & valid).sum(),
        "known": known.sum(),
        "high": (inside > _NOMINAL[1]).sum(),
        "low": (inside < _NOMINAL[0]).sum(),
        "least": inside.min(),
        "most": inside.max(),
    }
    computed = xr.Dataset(found).compute()
    numbers = {key: float(computed[key]) for key in found}
    return _faults(numbers, bare.size, "valid" in cube.coords), _remarks(numbers)


def _valid(cube: DataArray) -> DataArray:
    """`valid` as the cube says it: its companion, else its declared gaps, else everything."""
    if "valid" in cube.coords:
        stated = cube.coords["valid"].reset_coords(drop=True).astype(bool)
        return stated.transpose(*[dim for dim in DIMS if dim in stated.dims])
    bare = cube.reset_coords(drop=True)
    gap = declared_gap(cube)
    if gap is not None:
        # A cube in float32 holds the float32 nearest to the declared number.
        known = bare.notnull() if np.isnan(gap) else bare.notnull() & (bare != np.asarray(gap, bare.dtype))
        return known.transpose(*DIMS)
    plane = bare.isel(band=0, drop=True).transpose("time", "y", "x")
    return xr.ones_like(plane, dtype=bool)


def _faults(numbers: dict[str, float], size: int, stated: bool) -> list[str]:
    faults = []
    if numbers["nan"] and stated:
        faults.append(
            f"{numbers['nan']:.0f} values are NaN where 'valid' is True: "
            "set it False there, cube.assign_coords(valid=cube.valid & cube.notnull()), "
            "or say what stands for a gap when opening the file: nodata=float('nan')"
        )
    elif numbers["nan"]:
        faults.append(
            f"{numbers['nan']:.0f} values ({numbers['nan'] / size:.1%}) are NaN, and nothing says that "
            "they are gaps: say it with cube.assign_coords(valid=cube.notnull()), or declare "
            "cube.attrs['_FillValue'] = float('nan')"
        )
    if numbers["infinite"]:
        faults.append(f"{numbers['infinite']:.0f} values are infinite: mark them as gaps in 'valid'")
    if not numbers["known"]:
        faults.append("not one value is valid: look at the fill value and the area")
    elif numbers["high"] / numbers["known"] > _SCALED:
        unit, factor = ("percent", 100) if numbers["most"] <= 150 else ("counts", 10000)
        faults.append(
            f"values reach {numbers['most']:g} and {numbers['high'] / numbers['known']:.0%} lie above 2, "
            f"so they look like {unit}: divide them (by {factor}?) to get reflectance from 0 to 1"
        )
    return faults


def _remarks(numbers: dict[str, float]) -> list[str]:
    outside = numbers["high"] + numbers["low"]
    if not outside:
        return []
    return [
        f"{outside:.0f} of {numbers['known']:.0f} values lie outside {_NOMINAL[0]} to {_NOMINAL[1]:g} "
        f"(from {numbers['least']:.3g} to {numbers['most']:.3g}); they are kept as they are"
    ]
