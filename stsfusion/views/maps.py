"""Where and at which wavelength a result departs from the truth, and where there was data at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.views.palette import EMPTY, HUES, INK, QUIET, ROLES, RULE, legend, sheet, stamp, tidy
from stsfusion.views.sampling import Cubes, Days, column, days, spread, thin, union
from stsfusion.views.spectra import MANY, broken

__all__ = ["Errors", "band_curves", "departures", "error_maps", "valid_share", "valid_shares"]

SIDE = 256
"""Most pixels along a side of a map."""

HEAT = LinearSegmentedColormap.from_list("heat", ["#fdfbf5", "#f6d08b", "#d9792b", "#8c2d4f", "#2b1147"])
"""Light where the error is small; lightness falls all the way, so it reads without colour."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """How far a result is from the truth, date by date."""

    dates: Days
    """(time,) days that both have."""

    rmse: Values
    """(time, y, x) root mean square over bands, reflectance."""

    sam: Values
    """(time, y, x) spectral angle, degrees; NaN where a spectrum is zero."""

    by_band: Values
    """(time, band) root mean square over pixels, reflectance."""

    correlation: Values
    """(time, band) Pearson's correlation over pixels; NaN where either is constant."""

    wavelength: Values
    """(band,) nm."""


def departures(truth: xr.DataArray, fused: xr.DataArray) -> Errors:
    """Errors of a result, on every n-th pixel of a large scene, held one date at a time.

    Raises
    ------
    CubeError
        When the two have not the same bands, rows and columns, or share no date.
    """
    sizes = [tuple(cube.sizes[dim] for dim in ("band", "y", "x")) for cube in (truth, fused)]
    if sizes[0] != sizes[1]:
        raise CubeError(
            "cube 'fused'", expected=f"(band, y, x) = {sizes[0]} like the truth", got=f"{sizes[1]}"
        )
    common = np.intersect1d(days(truth), days(fused))
    if not common.size:
        raise CubeError("cube 'fused'", expected="a date in common with the truth", got="none")
    parts = [_depart(*(_values(cube, day) for cube in (truth, fused))) for day in common]
    rmse, sam, by_band, cc = (np.stack(part) for part in zip(*parts, strict=True))
    return Errors(common, rmse, sam, by_band, cc, np.asarray(truth["wavelength"].values, dtype=float))


def _values(cube: xr.DataArray, day: np.datetime64) -> Values:
    image = column(thin(cube, SIDE), day)
    return np.asarray([] if image is None else image.values, dtype=float)


def _depart(true: Values, made: Values) -> tuple[Values, Values, Values, Values]:
    both = np.isfinite(true) & np.isfinite(made)
    a, b = np.where(both, true, 0.0), np.where(both, made, 0.0)
    square = np.where(both, (a - b) ** 2, 0.0)
    # cos = a·b / (|a| |b|)
    lengths = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    cosine = np.divide((a * b).sum(0), lengths, out=np.full_like(lengths, np.nan), where=lengths > 0)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    count = both.sum((1, 2))
    band = _root(square.sum((1, 2)), count)
    return _root(square.sum(0), both.sum(0)), angle, band, _correlate(a, b, both, count)


def _correlate(a: Values, b: Values, both: NDArray[np.bool_], count: NDArray[np.int_]) -> Values:
    """cov(a, b) / (sd(a) sd(b)) over the pixels of each band."""
    many = np.maximum(count, 1)[:, None, None]
    a, b = (np.where(both, v - v.sum((1, 2), keepdims=True) / many, 0.0) for v in (a, b))
    power = np.sqrt((a**2).sum((1, 2)) * (b**2).sum((1, 2)))
    return np.divide((a * b).sum((1, 2)), power, out=np.full(power.shape, np.nan), where=power > 1e-12)


def _root(total: Values, count: NDArray[np.int_]) -> Values:
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.asarray(np.sqrt(mean))


def error_maps(errors: Errors, gaps: NDArray[np.bool_], *, most: int = 8, note: str = "") -> Figure:
    """RMSE and SAM maps, a column for each date, one colour scale for each row.

    Parameters
    ----------
    gaps
        (time,) whether the rich sensor missed the date.
    """
    shown = np.flatnonzero(np.isin(errors.dates, spread(errors.dates, most, gaps)))
    _, y, x = errors.rmse.shape
    cell = min(9.6 / len(shown), 2.6)
    figure = sheet(cell * len(shown) + 1.4, 2 * cell * min(y / x, 2.0) + 0.75, close=True)
    grid = figure.subplots(2, len(shown), squeeze=False)
    quantities = ((errors.rmse, "RMSE (reflectance)"), (errors.sam, "SAM (degrees)"))
    for row, (values, words) in zip(grid, quantities, strict=True):
        top = _top(values)
        for axes, i in zip(row, shown, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(RULE)
            axes.set_facecolor(EMPTY)
            image = axes.imshow(values[i], cmap=HEAT, vmin=0, vmax=top, interpolation="nearest")
        bar = figure.colorbar(image, ax=list(row), extend="max", pad=0.008, fraction=0.03, aspect=14)
        bar.set_label(words, fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, colors=INK)
        bar.locator = MaxNLocator(4)
        bar.update_ticks()
    for axes, i in zip(grid[0], shown, strict=True):
        when = errors.dates[i].astype("datetime64[s]").item()
        seen = "missed by rich" if gaps[i] else "seen by rich"
        words = f"{when.day} {when:%b %Y}" + (f"\n{seen}" if gaps.any() else "")
        axes.set_title(words, fontsize=9, color=QUIET if gaps[i] else INK)
    stamp(figure, [note])
    return figure


def _top(values: Values) -> float:
    finite = values[np.isfinite(values)]
    return max(float(np.percentile(finite, 98)), 1e-6) if finite.size else 1.0


def band_curves(
    wavelength: Values, values: Values, gaps: NDArray[np.bool_], *, label: str, note: str = ""
) -> Figure:
    """A quantity by wavelength, averaged over the dates the rich sensor saw and over those it missed.

    Parameters
    ----------
    wavelength
        (band,) nm.
    values
        (time, band).
    gaps
        (time,) whether the rich sensor missed the date.
    label
        Name and unit.
    """
    figure = sheet(6.2, 3.3)
    axes = tidy(figure.subplots(), x="wavelength (nm)", y=label)
    style = ".-" if wavelength.size < MANY else "-"
    handles = {}
    for choice, words, colour in ((~gaps, "seen by rich", HUES[1]), (gaps, "missed by rich", HUES[2])):
        if choice.any():
            curve = broken(wavelength, values[choice].mean(0))
            dates = f"{choice.sum()} date{'s' if choice.sum() > 1 else ''}"
            (line,) = axes.plot(*curve, style, color=colour, linewidth=1.6)
            handles[f"{words} ({dates})" if gaps.any() else f"all, {dates}"] = line
    legend(figure, handles)
    stamp(figure, [note])
    return figure


def valid_shares(cubes: Cubes) -> tuple[Days, Values]:
    """Every day, and (role, time) the share of valid pixels from 0 to 1; NaN where nothing was observed."""
    whole = union(cubes)
    shares = np.full((len(cubes), whole.size), np.nan)
    for i, cube in enumerate(cubes.values()):
        for j, day in enumerate(whole):
            image = column(thin(cube, SIDE), day)
            if image is not None:
                shares[i, j] = np.isfinite(np.asarray(image.values)).mean()
    return whole, shares


def valid_share(cubes: Cubes, *, note: str = "") -> Figure:
    """A table of the share of valid pixels, a row for each role and a column for each date."""
    whole, shares = valid_shares(cubes)
    wide = whole.size > 14
    figure = sheet(6.2, 0.42 * len(cubes) + 1.35)
    axes = figure.subplots()
    cmap = LinearSegmentedColormap.from_list("valid", ["#e8a35c", "#f8e3c3", "#d6e6f3"]).with_extremes(
        bad=EMPTY
    )
    axes.imshow(shares, cmap=cmap, vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(cubes)), [ROLES[role].words.split(" (")[0] for role in cubes], fontsize=9)
    every = max(1, whole.size // 12)
    axes.set_xticks(range(0, whole.size, every), [_short(day) for day in whole[::every]], fontsize=8.5)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(whole.size - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(cubes) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("date (UTC); share of valid values, %; – not observed", fontsize=9, color=INK)
    for (i, j), share in np.ndenumerate(shares):
        words = "–" if np.isnan(share) else f"{100 * share:.0f}"
        if not wide:
            axes.text(j, i, words, ha="center", va="center", fontsize=9, color=INK)
    stamp(figure, [note])
    return figure


def _short(day: np.datetime64) -> str:
    when = day.astype("datetime64[s]").item()
    return f"{when.day} {when:%b}\n{when:%Y}"
