"""Assemble: labelled cubes and the instruments behind them become a target and its sources."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import torch
from xarray import DataArray

from stsfusion.cube.days import days_meant
from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.engine.plan import Source
from stsfusion.errors import CubeError, PlanError, RecipeError
from stsfusion.forward.optics import point_spread
from stsfusion.fusion.problem import ROLES, Role, Target
from stsfusion.pipeline.responses import responses
from stsfusion.pipeline.sections import Roles, RoleSpec
from stsfusion.sensing.sensor import Sensor, load_sensor

__all__ = ["Assembly", "assemble", "chosen_dates"]

_DAY = np.timedelta64(1, "D")

_APART = 100.0
"""Wavelengths that are farther apart, nm, are not those of one band."""

_CLOSE = np.timedelta64(12, "h")
"""Images nearer to each other than this were hardly meant as two dates."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """What is asked, and of whom."""

    target: Target
    """Shape, wavelengths and days of the fused series."""

    sources: tuple[Source, ...]
    """The observations; a source's cube is named like its role."""

    grid: Grid
    """The finest grid, on which the series is made."""

    times: np.ndarray
    """(time,) datetime64[ns] of the target's dates: the union of all that were observed."""

    names: tuple[str, ...]
    """(band,) names of the target's bands."""

    fwhm: np.ndarray
    """(band,) nm."""

    published: tuple[int, ...]
    """Indices of the dates that are published unless others are asked for."""

    lead: Role
    """The role whose bands the result has."""


def assemble(cubes: Mapping[Role, DataArray], roles: Roles, near: Path | None = None) -> Assembly:
    """Fit the cubes' grids, dates and bands together.

    The result has the hyperspectral bands; without such a cube those of the sharp one, which the dense one
    must then have too; of a dense cube alone, its own.

    Parameters
    ----------
    cubes
        (time, band, y, x) with their coordinates, as the schema asks; no pixel is read.
    roles
        Which instrument plays which role.
    near
        Folder whose catalogs are searched first.

    Raises
    ------
    PlanError
        When there is no cube.
    CubeError
        When the grids do not nest, a cube saw a day twice, or bands differ that must not.
    SensorError
        When a band is not the sensor's, or a known response lies outside the target's wavelengths.
    RecipeError
        When it cannot be known how a cube's bands see the target's.

    Warns
    -----
    UserWarning
        When two cubes share no day, though less than twelve hours part them, or bands look where the
        hyperspectral cube has none.
    """
    lead = _leader(cubes)
    grids = {role: grid_of(cube) for role, cube in cubes.items()}
    fine = min(grids.values(), key=lambda grid: grid.pixel)
    times, seen = _dates(cubes)
    led = cubes[lead]
    nm = np.asarray(led["wavelength"].values, np.float64)
    fwhm = np.asarray(led["fwhm"].values, np.float64) if "fwhm" in led.coords else np.full(nm.shape, np.nan)
    shape = (len(times), len(nm), *fine.shape)
    days = torch.from_numpy((times - times[0]) / _DAY)
    sources = tuple(
        _source(
            role,
            cubes[role],
            roles.spec(role),
            grids[role].ratio_to(fine),
            fine,
            seen[role],
            (nm, fwhm) if lead == "rich" != role else None,
            near,
        )
        for role in ROLES
        if role in cubes
    )
    published = seen.get("dense", tuple(range(len(times))))
    names = tuple(str(name) for name in led["band"].values)
    target = Target(shape, torch.from_numpy(nm), days)
    return Assembly(target, sources, fine, times, names, fwhm, published, lead)


def _leader(cubes: Mapping[Role, DataArray]) -> Role:
    """The role whose bands the result has.

    Raises
    ------
    PlanError
        When there is no cube.
    CubeError
        When it is the sharp one and the dense one has other bands.
    """
    if not cubes:
        raise PlanError(
            "input",
            expected="a cube for the role 'rich', whose bands the result will have, or for 'sharp'",
            got="none",
            mend="Give the hyperspectral series as 'rich', or the finest multispectral one as 'sharp'.",
        )
    if "rich" in cubes or "sharp" not in cubes:
        return "rich" if "rich" in cubes else "dense"
    own = [[str(name) for name in cubes[r]["band"].values] for r in ("sharp", "dense") if r in cubes]
    if len(own) == 2 and own[0] != own[1]:
        raise CubeError(
            "cube 'dense'",
            expected=f"the bands of 'sharp', {', '.join(own[0])}, as there is no hyperspectral cube",
            got=", ".join(own[1]),
            mend="Select and rename the bands that both have, or give the hyperspectral series as 'rich'.",
        )
    if len(own) == 2:
        _refuse_apart(cubes)
    return "sharp"


def _refuse_apart(cubes: Mapping[Role, DataArray]) -> None:
    """Bands of one name that look elsewhere are not the same: one sensor's first is another's third."""
    nm = [np.asarray(cubes[role]["wavelength"].values, np.float64) for role in ("sharp", "dense")]
    apart = np.abs(nm[0] - nm[1])
    worst = int(apart.argmax())
    if apart[worst] > _APART:
        name = cubes["dense"]["band"].values[worst]
        raise CubeError(
            f"cube 'dense', band {name}",
            expected=f"the wavelength of the band of 'sharp' that is called so, {nm[0][worst]:g} nm",
            got=f"{nm[1][worst]:g} nm",
            mend="Give bands that look at the same the same name, and select those that both have.",
        )


def _dates(cubes: Mapping[Role, DataArray]) -> tuple[np.ndarray, dict[Role, tuple[int, ...]]]:
    """The target's dates, and for each role the index of each of its own; a calendar day (UTC) is a date."""
    own = {role: cube["time"].values.astype("datetime64[ns]") for role, cube in cubes.items()}
    for role, times in own.items():
        days = times.astype("datetime64[D]")
        if len(np.unique(days)) < len(days):
            twice = next(day for day, after in pairwise(days) if day == after)
            raise CubeError(
                f"cube '{role}'",
                expected="one image a day",
                got=f"two on {twice}",
                mend="Keep one of them, or mosaic them first.",
            )
    _warn_of_midnight(own)
    by_day = {
        day: time
        for role in ("sharp", "rich", "dense")
        if role in own
        for day, time in zip(own[role].astype("datetime64[D]"), own[role], strict=True)
    }
    union = sorted(by_day)
    place = {day: i for i, day in enumerate(union)}
    seen = {role: tuple(place[day] for day in times.astype("datetime64[D]")) for role, times in own.items()}
    return np.array([by_day[day] for day in union]), seen


def _warn_of_midnight(own: Mapping[Role, np.ndarray]) -> None:
    """Tell of roles that share no day, though midnight alone parts their images."""
    for one, other in combinations(own, 2):
        if np.isin(own[one].astype("datetime64[D]"), own[other].astype("datetime64[D]")).any():
            continue
        apart = np.abs(own[one][:, None] - own[other][None, :])
        if apart.min() < _CLOSE:
            i, j = np.unravel_index(apart.argmin(), apart.shape)
            seen = [str(times.astype("datetime64[m]")) for times in (own[one][i], own[other][j])]
            warnings.warn(
                f"cubes '{one}' and '{other}' share no day in UTC, yet saw {' and '.join(seen)}: "
                "give both the same day if these belong together",
                UserWarning,
                stacklevel=4,
            )


def _source(
    role: Role,
    cube: DataArray,
    spec: RoleSpec,
    ratio: int,
    fine: Grid,
    dates: Sequence[int],
    told: tuple[np.ndarray, np.ndarray] | None,
    near: Path | None,
) -> Source:
    """One observation; `told`: the target's wavelengths and widths, None where it has the target's bands."""
    sensor = load_sensor(spec.sensor, near) if spec.sensor else None
    psf = "gaussian" if sensor is None and spec.psf == "optics" else spec.psf
    pixel = fine.pixel if fine.crs else None
    kernel = point_spread(psf, ratio, sensor=sensor, pixel=pixel).numpy()
    # On the finest grid only an instrument's own optics blur; named kernels speak of coarser pixels.
    sharp = ratio == 1 and psf != "optics"
    known = bool(cube.attrs.get("simulated", False)) if spec.known is None else spec.known
    return Source(
        role,
        role,
        tuple(dates),
        ratio,
        np.ones((1, 1)) if sharp else kernel,
        None if told is None else responses(role, cube, sensor, *told, known),
        _noise(cube, sensor),
        known,
    )


def _noise(cube: DataArray, sensor: Sensor | None) -> np.ndarray | None:
    """(band',) standard deviations: the cube's attribute 'noise', else the sensor's figures, else None."""
    stated = cube.attrs.get("noise")
    if stated is not None and len(stated) == cube.sizes["band"]:
        return np.asarray(stated, np.float64)
    known = {} if sensor is None else {band.name: band.noise for band in sensor.bands}
    levels = [known.get(str(name)) for name in cube["band"].values]
    return None if None in levels else np.array(levels, np.float64)


def chosen_dates(assembly: Assembly, asked: Sequence[str] | None) -> tuple[int, ...]:
    """Indices of the dates to publish: those asked for by day or by span, else the assembly's own.

    Parameters
    ----------
    asked
        'YYYY-MM-DD', 'YYYY-MM' or 'FIRST/LAST' (both inclusive).

    Raises
    ------
    RecipeError
        When a text is no date, or no sensor saw one in it.
    """
    if not asked:
        return assembly.published
    return days_meant(assembly.times, asked, RecipeError, "what sensors observed")
