"""From cubes to the pictures of a report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from stsfusion.views.composite import FALSE, GAMMA, SWIR, TRUE, Composite
from stsfusion.views.maps import band_curves, departures, error_maps, valid_share
from stsfusion.views.palette import Picture, png
from stsfusion.views.profiles import NDVI, index, profiles
from stsfusion.views.quicklooks import DATES, locator, quicklooks, reference
from stsfusion.views.sampling import Cubes, Days, Point, column, days, missed, prepare, thin, union
from stsfusion.views.spectra import spectra

__all__ = ["figures", "pick_dates", "pick_points"]


def figures(
    truth: xr.DataArray | None = None,
    rich: xr.DataArray | None = None,
    sharp: xr.DataArray | None = None,
    dense: xr.DataArray | None = None,
    fused: xr.DataArray | None = None,
    *,
    sigma: xr.DataArray | None = None,
    points: tuple[Point, ...] | None = None,
    simulated: bool = False,
) -> list[Picture]:
    """Every picture of a report that these cubes can give, in the order in which they are shown.

    Parameters
    ----------
    truth, rich, sharp, dense, fused
        (time, band, y, x) reflectance, gaps NaN (or said by a `valid` coordinate), with `time` and
        `wavelength` (nm); any may be missing.
    sigma
        Standard deviation of the fused cube, reflectance, on its grid.
    points
        Places for spectra and time profiles; three are picked when none are given.
    simulated
        Written on every picture.

    Raises
    ------
    CubeError
        When a cube lacks a dimension or coordinate, or truth and fused do not fit.
    """
    cubes = prepare({"truth": truth, "rich": rich, "sharp": sharp, "dense": dense, "fused": fused})
    if not cubes:
        return []
    note = "simulated scene" if simulated else ""
    if points is None:
        points = pick_points(reference(cubes))
    return [
        *_looks(cubes, note),
        *_spectra(cubes, points, sigma, note),
        *_profiles(cubes, points, note),
        *_shares(cubes, note),
        *_errors(cubes, note),
    ]


def pick_points(cube: xr.DataArray, letters: str = "ABC") -> tuple[Point, ...]:
    """Places that differ: the pixels whose NDVI changes least, middling and most over the dates.

    Where NDVI cannot be had, or there is one date, brightness or the level itself takes its place.
    """
    small = thin(cube, 128)
    values = index(small, NDVI)
    if values is None:
        values = np.asarray(small.isel(band=cube.sizes["band"] // 2).values, dtype=float)
    finite = np.where(np.isfinite(values), values, 0.0)
    change = finite.std(0) if len(finite) > 1 else finite[0]
    # Away from the border, where a label would be cut.
    my, mx = (min(size // 8, (size - 1) // 2) for size in change.shape)
    inner = change[my : change.shape[0] - my, mx : change.shape[1] - mx]
    order = np.argsort(inner, axis=None, kind="stable")
    ranks = np.linspace(0.05, 0.95, len(letters)) * (order.size - 1)
    rows, columns = np.unravel_index(order[ranks.astype(int)], inner.shape)
    return tuple(
        Point(letter, float(small["y"].values[row + my]), float(small["x"].values[col + mx]))
        for letter, row, col in zip(letters, rows, columns, strict=True)
    )


def pick_dates(cubes: Cubes) -> Days:
    """Up to two telling days: the one farthest from what the rich sensor saw, and one that it saw."""
    whole = days(cubes["fused"]) if "fused" in cubes else union(cubes)
    gaps = missed(cubes, whole)
    seen = whole[~gaps]
    chosen = [seen[len(seen) // 2]] if seen.size else []
    if gaps.any() and seen.size:
        distance = np.abs(whole[gaps][:, None] - seen[None, :]).min(1)
        chosen.append(whole[gaps][int(distance.argmax())])
    elif not seen.size:
        chosen.append(whole[len(whole) // 2])
    return np.sort(np.array(chosen, dtype="datetime64[D]"))


def _looks(cubes: Cubes, note: str) -> Iterator[Picture]:
    total = union(cubes).size
    fewer = f" {DATES} of {total} dates are shown." if total > DATES else ""
    for composite in (TRUE, FALSE, SWIR):
        figure = quicklooks(cubes, composite, note=note)
        if figure is not None:
            yield Picture("Quick looks", composite.title, _look_words(composite) + fewer, png(figure))


def _look_words(composite: Composite) -> str:
    red, green, blue = (f"{wavelength:.0f}" for wavelength in composite.wavelengths)
    return (
        f"Red, green and blue are {red}, {green} and {blue} nm (nearest band of each sensor). "
        "One stretch for every picture: 2nd to 98th percentile of the first row over all dates, "
        f"exponent {GAMMA:g}. Empty cells say why; dates in grey were missed by the rich sensor."
    )


def _spectra(
    cubes: Cubes, points: tuple[Point, ...], sigma: xr.DataArray | None, note: str
) -> Iterator[Picture]:
    dates = pick_dates(cubes)
    base = reference(cubes)
    day = dates[-1] if column(base, dates[-1]) is not None else days(base)[-1]
    where = png(locator(base, TRUE, day, points, note=note))
    yield Picture("Spectra", "Where the points are", f"True colour, {day}.", where, wide=False)
    band = " The shaded band is ±1σ as the method states it." if sigma is not None else ""
    for point in points:
        figure = spectra(cubes, point, list(dates), sigma=sigma, note=note)
        words = (
            "Lines are hyperspectral, marks multispectral. Each observation is the pixel of its own grid "
            f"that covers the point, so coarse pixels may be mixed. Lines are open at the water bands.{band}"
        )
        yield Picture("Spectra", f"Spectra at {point.name}", words, png(figure), wide=False)


def _profiles(cubes: Cubes, points: tuple[Point, ...], note: str) -> Iterator[Picture]:
    for point in points:
        figure = profiles(cubes, point, note=note)
        if figure is not None:
            words = "Filled marks are observed, open circles fused; sensors differ in bands and so in level."
            yield Picture("Time profiles", f"Profiles at {point.name}", words, png(figure), wide=False)


def _errors(cubes: Cubes, note: str) -> Iterator[Picture]:
    if "truth" not in cubes or "fused" not in cubes:
        return
    errors = departures(cubes["truth"], cubes["fused"])
    gaps = missed(cubes, errors.dates)
    words = (
        "Fused against truth. RMSE over bands in reflectance, spectral angle in degrees; "
        "each row has one colour scale, cut at its 98th percentile."
    )
    yield Picture("Errors", "Error maps", words, png(error_maps(errors, gaps, note=note)))
    curves = (
        ("RMSE by wavelength", errors.by_band, "RMSE (reflectance)", "Root mean square over pixels"),
        ("CC by wavelength", errors.correlation, "CC (1)", "Pearson's correlation over pixels"),
    )
    for title, values, label, what in curves:
        figure = band_curves(errors.wavelength, values, gaps, label=label, note=note)
        words = f"{what}, mean over dates, fused against truth."
        yield Picture("Errors", title, words, png(figure), wide=False)


def _shares(cubes: Cubes, note: str) -> Iterator[Picture]:
    words = "Share of values that are valid, by role and date."
    yield Picture("Time profiles", "Valid data", words, png(valid_share(cubes, note=note)), wide=False)
