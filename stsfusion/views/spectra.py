"""Spectra at a point: what was true, what was observed and what was fused, with the water bands left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stsfusion.views.palette import QUIET, ROLES, Role, legend, sheet, stamp, tidy
from stsfusion.views.sampling import Cubes, Point, at, column, missed

__all__ = ["MANY", "WATER", "broken", "spectra"]

WATER = ((1350.0, 1430.0), (1800.0, 1950.0))
"""Where water vapour leaves no light at the ground, nm: lines are not drawn there."""

MANY = 16
"""From this many bands on a spectrum is a line, below it is dots."""

Values = NDArray[np.float64]


def broken(wavelength: Values, values: Values) -> tuple[Values, Values]:
    """Both sorted by wavelength, with NaN where a line must not be drawn across.

    Inside the water bands, and wherever the step between neighbouring bands is more than 60 nm and more
    than four times the usual one.
    """
    order = np.argsort(wavelength)
    nm, values = wavelength[order], values[order].astype(float)
    for low, high in WATER:
        values = np.where((nm >= low) & (nm <= high), np.nan, values)
    steps = np.diff(nm)
    wide = np.flatnonzero(steps > max(60.0, 4 * float(np.median(steps)))) if steps.size else np.array([], int)
    middle = (nm[wide] + nm[wide + 1]) / 2
    return np.insert(nm, wide + 1, middle), np.insert(values, wide + 1, np.nan)


def spectra(
    cubes: Cubes,
    point: Point,
    dates: Sequence[np.datetime64],
    *,
    sigma: xr.DataArray | None = None,
    note: str = "",
) -> Figure:
    """The spectra of one point, a panel for each date.

    Parameters
    ----------
    cubes
        Role -> (time, band, y, x) reflectance.
    sigma
        Standard deviation of the fused cube, reflectance, on its grid; drawn as a band of ±1σ.
    """
    figure = sheet(6.2, 2.45 * len(dates) + 0.75)
    panels = figure.subplots(len(dates), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    handles: dict[str, Artist] = {}
    for axes, day, gap in zip(panels, dates, missed(cubes, list(dates)), strict=True):
        when = day.astype("datetime64[s]").item()
        seen = "" if "rich" not in cubes else ", not seen by rich" if gap else ", seen by rich"
        tidy(axes, y="reflectance (1)", title=f"{point.name}: {when.day} {when:%b %Y}{seen}")
        handles |= _panel(axes, cubes, point, day, sigma)
    panels[-1].set_xlabel("wavelength (nm)", fontsize=9.5)
    _frame(panels[0], cubes)
    ordered = {name: handles[name] for name in (*ROLES, "±1σ") if name in handles}
    legend(figure, ordered)
    stamp(figure, [note])
    return figure


def _panel(
    axes: Axes, cubes: Cubes, point: Point, day: np.datetime64, sigma: xr.DataArray | None
) -> Mapping[str, Artist]:
    handles: dict[str, Artist] = {}
    for role, cube in cubes.items():
        image = column(cube, day)
        if image is None:
            continue
        here = at(image, point)
        values = np.asarray(here.values, dtype=float)
        if not np.isfinite(values).any():
            continue
        spread = _sigma(sigma, point, day) if role == "fused" else None
        handles |= _draw(axes, role, np.asarray(here["wavelength"].values, dtype=float), values, spread)
    for low, high in WATER:
        axes.axvspan(low, high, color=QUIET, alpha=0.10, linewidth=0)
    return handles


def _sigma(sigma: xr.DataArray | None, point: Point, day: np.datetime64) -> Values | None:
    if sigma is None:
        return None
    image = column(sigma, day)
    return None if image is None else np.asarray(at(image, point).values, dtype=float)


def _draw(axes: Axes, role: Role, nm: Values, values: Values, spread: Values | None) -> Mapping[str, Artist]:
    style = ROLES[role]
    name = style.words.split(" (")[0]
    if nm.size < MANY:
        (dots,) = axes.plot(
            nm,
            values,
            style.marker,
            color=style.colour,
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=4,
        )
        return {name: dots}
    x, y = broken(nm, values)
    handles: dict[str, Artist] = {}
    if spread is not None:
        band = broken(nm, spread)[1]
        handles["±1σ"] = axes.fill_between(x, y - band, y + band, color=style.colour, alpha=0.18, linewidth=0)
    looks = {"truth": (2.6, 0.45), "fused": (1.4, 1.0)}
    width, alpha = looks.get(role, (1.1, 0.9))
    (line,) = axes.plot(x, y, color=style.colour, linewidth=width, alpha=alpha, solid_capstyle="round")
    return {name: line, **handles}


def _frame(axes: Axes, cubes: Cubes) -> None:
    """From the shortest to the longest wavelength of any cube; reflectance from zero, the panels alike."""
    own = np.concatenate([np.asarray(cube["wavelength"].values, dtype=float) for cube in cubes.values()])
    margin = 0.02 * float(np.ptp(own)) + 5
    axes.set_xlim(own.min() - margin, own.max() + margin)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
