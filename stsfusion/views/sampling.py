"""Which dates, pixels and points of a cube are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.views.palette import ROLES

__all__ = ["Cubes", "Days", "Point", "at", "column", "days", "prepare", "spread", "thin", "union"]

Cubes = Mapping[str, xr.DataArray]
"""Role -> cube (time, band, y, x), reflectance, gaps NaN."""

Days = NDArray[np.datetime64]
"""(time,) calendar days, UTC."""

DIMS = ("time", "band", "y", "x")


@dataclass(frozen=True)
class Point:
    """A place whose spectrum or history is shown."""

    name: str
    """A letter."""

    y: float
    """In the cubes' own y coordinate (m, or share of the scene where they have none)."""

    x: float
    """In the cubes' own x coordinate."""


def prepare(cubes: Mapping[str, xr.DataArray | None]) -> dict[str, xr.DataArray]:
    """The cubes that are there, in the order of the roles, ready to be looked at.

    Gaps said by a `valid` coordinate become NaN. When a cube has no `y` and `x` coordinates, all get
    shares of the scene (0 to 1) instead, so that one place is the same place in every cube.

    Raises
    ------
    CubeError
        When a role is unknown, or a cube lacks a dimension or `wavelength`.
    """
    ready = {role: _check(role, cubes[role]) for role in ROLES if cubes.get(role) is not None}
    unknown = sorted(set(cubes) - set(ROLES))
    if unknown:
        raise CubeError(f"cube '{unknown[0]}'", expected=f"a role of {', '.join(ROLES)}", got=unknown[0])
    if all("y" in cube.coords and "x" in cube.coords for cube in ready.values()):
        return ready
    return {
        role: cube.assign_coords(y=_shares(cube, "y"), x=_shares(cube, "x")) for role, cube in ready.items()
    }


def _check(role: str, cube: xr.DataArray | None) -> xr.DataArray:
    if not isinstance(cube, xr.DataArray) or set(cube.dims) != set(DIMS):
        got = str(cube.dims) if isinstance(cube, xr.DataArray) else type(cube).__name__
        raise CubeError(f"cube '{role}'", expected=f"a DataArray with dims {DIMS}", got=got)
    for name in ("time", "wavelength"):
        if name not in cube.coords:
            raise CubeError(
                f"cube '{role}'", expected=f"a coordinate '{name}'", mend="Add it before drawing."
            )
    cube = cube.transpose(*DIMS)
    return cube.where(cube["valid"]) if "valid" in cube.coords else cube


def _shares(cube: xr.DataArray, dim: str) -> tuple[str, NDArray[np.float64]]:
    size = cube.sizes[dim]
    return dim, (np.arange(size) + 0.5) / size


def days(cube: xr.DataArray) -> Days:
    """(time,) the calendar day of every date."""
    return np.asarray(cube["time"].values, dtype="datetime64[D]")


def union(cubes: Cubes) -> Days:
    """Every day that any of the cubes has, rising."""
    return np.unique(np.concatenate([days(cube) for cube in cubes.values()]))


def column(cube: xr.DataArray, day: np.datetime64) -> xr.DataArray | None:
    """(band, y, x) of one day; None when the cube does not have it."""
    found = np.flatnonzero(days(cube) == day)
    return cube.isel(time=int(found[0])) if found.size else None


def spread(whole: Days, most: int, gaps: NDArray[np.bool_] | None = None) -> Days:
    """At most this many of the days, evenly spread, the first and the last among them.

    Parameters
    ----------
    gaps
        (time,) days of another kind: as far as there are any, each kind then gives half of the days.
    """
    if whole.size <= most:
        return whole
    if gaps is None or gaps.all() or not gaps.any():
        return whole[np.unique(np.linspace(0, whole.size - 1, most).round().astype(int))]
    few, many = sorted((whole[gaps], whole[~gaps]), key=len)
    first = spread(few, most // 2)
    return np.sort(np.concatenate([first, spread(many, most - first.size)]))


def thin(cube: xr.DataArray, size: int) -> xr.DataArray:
    """Every n-th row and column, so that neither side has more than this many pixels."""
    step = max(1, -(-max(cube.sizes["y"], cube.sizes["x"]) // size))
    return cube.isel(y=slice(step // 2, None, step), x=slice(step // 2, None, step))


def at(cube: xr.DataArray, point: Point) -> xr.DataArray:
    """The cube at the pixel nearest to the point."""
    return cube.sel(y=point.y, x=point.x, method="nearest")


def missed(cubes: Cubes, whole: Sequence[np.datetime64] | Days) -> NDArray[np.bool_]:
    """(time,) which of the days the rich sensor did not see; all False when there is no rich cube."""
    if "rich" not in cubes:
        return np.zeros(len(whole), dtype=bool)
    return ~np.isin(np.asarray(whole), days(cubes["rich"]))
