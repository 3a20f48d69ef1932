"""Time profiles at a point: vegetation indices, observed ● against fused ○."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stsfusion.views.composite import nearest_band
from stsfusion.views.palette import QUIET, ROLES, Role, legend, sheet, stamp, tidy
from stsfusion.views.sampling import Cubes, Point, at, days

__all__ = ["NDRE", "NDVI", "Index", "calendar", "index", "profiles"]


@dataclass(frozen=True)
class Index:
    """A normalised difference (a − b) / (a + b) of two wavelengths."""

    name: str
    """Its usual name."""

    plus: float
    """Wavelength of a, nm."""

    minus: float
    """Wavelength of b, nm."""

    tolerance: float
    """How far a band may lie from its wavelength, nm."""


NDVI = Index("NDVI", 835.0, 656.0, 30.0)
"""Rouse et al. (1974)."""

NDRE = Index("red edge index", 835.0, 740.0, 9.0)
"""Barnes et al. (2000), with the red edge at 740 nm; the edge is too steep to compare bands farther off."""


def index(cube: xr.DataArray, kind: Index) -> NDArray[np.float64] | None:
    """The index of a cube, without its band axis; None when no band lies near enough.

    NaN where a band is missing or both are zero.
    """
    (a, near), (b, far) = (nearest_band(cube, wavelength) for wavelength in (kind.plus, kind.minus))
    if max(abs(near - kind.plus), abs(far - kind.minus)) > kind.tolerance or a == b:
        return None
    plus, minus = (np.asarray(cube.isel(band=i).values, dtype=float) for i in (a, b))
    total = plus + minus
    return np.divide(plus - minus, total, out=np.full_like(total, np.nan), where=np.abs(total) > 1e-6)


def profiles(
    cubes: Cubes, point: Point, *, kinds: tuple[Index, ...] = (NDVI, NDRE), note: str = ""
) -> Figure | None:
    """The history of one point, a panel for each index that any role can give; None when none can."""
    series = {kind: _series(cubes, point, kind) for kind in kinds}
    shown = [kind for kind in kinds if series[kind]]
    if not shown:
        return None
    figure = sheet(6.2, 1.95 * len(shown) + 0.85)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    handles: dict[str, Artist] = {}
    for axes, kind in zip(panels, shown, strict=True):
        tidy(
            axes,
            y=f"{kind.name} (1)",
            title=f"{point.name}: {kind.name} ({kind.plus:.0f}, {kind.minus:.0f} nm)",
        )
        for role, values in series[kind].items():
            handles[_name(role)] = _draw(axes, role, days(cubes[role]), values)
    calendar(panels[-1])
    legend(figure, handles)
    stamp(figure, [note])
    return figure


def _series(cubes: Cubes, point: Point, kind: Index) -> dict[Role, NDArray[np.float64]]:
    found = {role: index(at(cube, point), kind) for role, cube in cubes.items()}
    return {
        role: values for role, values in found.items() if values is not None and np.isfinite(values).any()
    }


def _name(role: Role) -> str:
    return role if role in ("truth", "fused") else f"{role}, observed"


def _draw(axes: Axes, role: Role, when: NDArray[np.datetime64], values: NDArray[np.float64]) -> Artist:
    style = ROLES[role]
    looks = {
        "truth": {"linestyle": "-", "linewidth": 2.4, "alpha": 0.40, "markersize": 9},
        "fused": {
            "linestyle": "--",
            "linewidth": 1.2,
            "markersize": 9,
            "markerfacecolor": "none",
            "markeredgewidth": 1.6,
        },
    }
    own = looks.get(
        role, {"linestyle": "none", "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    )
    (line,) = axes.plot(when, values, marker=style.marker, color=style.colour, **own)  # type: ignore[arg-type]
    return line


def calendar(axes: Axes) -> None:
    """Make the x axis, and all that share it, one of dates; a single date gets room on both sides."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set(fontsize=9, color=QUIET)
    axes.set_xlabel("date (UTC)", fontsize=9.5)
    drawn = [panel.dataLim for panel in axes.get_shared_x_axes().get_siblings(axes)]
    first, last = min(box.x0 for box in drawn), max(box.x1 for box in drawn)
    if last - first < 1:
        axes.set_xlim(first - 10, last + 10)
