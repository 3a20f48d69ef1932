"""Quick looks: every role on every date, on one stretch, gaps shown as gaps."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stsfusion.views.composite import Choice, Composite, choose, paint, stretch
from stsfusion.views.palette import EMPTY, INK, QUIET, ROLES, RULE, plain, sheet, stamp
from stsfusion.views.sampling import Cubes, Days, Point, column, missed, spread, thin, union

__all__ = ["DATES", "locator", "pixels", "quicklooks", "reference", "rows"]

DATES = 8
"""Most dates in one grid."""

SIDE = 320
"""Most pixels along a side of one cell."""


def reference(cubes: Cubes) -> xr.DataArray:
    """The cube whose percentiles set the stretch: the truth, else the first role that is there."""
    return next(iter(cubes.values()))


def rows(cubes: Cubes, composite: Composite) -> dict[str, Choice]:
    """The roles that can be shown, with the bands they use.

    A cube that lacks the composite's bands is shown with its nearest ones, and says so; but where a
    channel is in the short-wave infrared nothing near would mean the same, and the role is left out.
    """
    choices = {role: choose(cube, composite) for role, cube in cubes.items()}
    infrared = max(composite.wavelengths) > 1000
    return {role: choice for role, choice in choices.items() if choice.exact or not infrared}


def quicklooks(
    cubes: Cubes, composite: Composite, *, most: int = DATES, note: str = "", points: tuple[Point, ...] = ()
) -> Figure | None:
    """A grid of pictures, a row for each role and a column for each date; None when no role has the bands.

    Parameters
    ----------
    cubes
        Role -> (time, band, y, x).
    most
        Dates shown at most.
    note
        Written under the figure.
    points
        Places marked in the first row.
    """
    choices = rows(cubes, composite)
    if not choices:
        return None
    dates = spread(union(cubes), most, missed(cubes, union(cubes)))
    shape = reference(cubes).sizes
    width, label = 11.0, 1.6
    # A single date must not fill the page.
    cell = min((width - label) / len(dates), 2.4)
    height = cell * min(shape["y"] / shape["x"], 2.0)
    figure = sheet(label + cell * len(dates), height * len(choices) + 0.62, close=True)
    grid = figure.subplots(len(choices), len(dates), squeeze=False)
    for axes, (role, choice) in zip(grid, choices.items(), strict=True):
        limits = stretch(reference(cubes), choice.wavelengths)
        _name(axes[0], role, choice, cubes[role])
        for cell_axes, day in zip(axes, dates, strict=True):
            image = column(thin(cubes[role], SIDE), day)
            empty = "not asked for" if role == "fused" else "not observed"
            _cell(cell_axes, image, choice, limits, shape["y"] / shape["x"], empty)
    _head(grid[0], dates, missed(cubes, dates))
    for point in points:
        _mark(grid[0][0], reference(cubes), point)
    stamp(figure, [note])
    return figure


def _name(axes: Axes, role: str, choice: Choice, cube: xr.DataArray) -> None:
    size = pixels(cube)
    lines = [ROLES[role].words.replace(" (", "\n("), size, choice.words.replace(": ", ":\n")]
    axes.set_ylabel(
        plain("\n".join(line for line in lines if line)),
        rotation=0,
        ha="right",
        va="center",
        fontsize=9,
        color=INK,
        labelpad=6,
    )


def pixels(cube: xr.DataArray) -> str:
    """The size of a pixel, such as '30 m'; nothing where the cube has no coordinates in metres."""
    if cube.sizes["x"] < 2:
        return ""
    step = abs(float(cube["x"].values[1]) - float(cube["x"].values[0]))
    return f"{step:g} m" if step >= 0.1 else ""


def _cell(
    axes: Axes,
    image: xr.DataArray | None,
    choice: Choice,
    limits: NDArray[np.float64],
    aspect: float,
    empty: str = "not observed",
) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(RULE)
    axes.set_box_aspect(aspect)
    axes.set_anchor("W")
    if image is None:
        _blank(axes, empty)
        return
    colours = paint(image, choice, limits)
    if not np.isfinite(np.asarray(image.isel(band=choice.bands[1]).values, dtype=float)).any():
        _blank(axes, "no valid pixel")
        return
    axes.imshow(colours, interpolation="nearest", aspect="auto", extent=(0, 1, 1, 0))


def _blank(axes: Axes, words: str) -> None:
    axes.set_facecolor(EMPTY)
    axes.text(
        0.5,
        0.5,
        words.replace(" ", "\n", 1),
        transform=axes.transAxes,
        fontsize=8,
        color=QUIET,
        ha="center",
        va="center",
    )


def _head(top: NDArray[np.object_], dates: Days, gaps: NDArray[np.bool_]) -> None:
    for axes, day, gap in zip(top, dates, gaps, strict=True):
        when = day.astype("datetime64[s]").item()
        axes.set_title(f"{when.day} {when:%b %Y}", fontsize=9, color=QUIET if gap else INK, pad=5)


def _mark(axes: Axes, cube: xr.DataArray, point: Point) -> None:
    across = _share(cube["x"].values, point.x)
    down = _share(cube["y"].values, point.y)
    axes.plot(
        [across],
        [down],
        "o",
        markersize=7,
        markerfacecolor="none",
        markeredgecolor="white",
        markeredgewidth=2.6,
    )
    axes.plot(
        [across], [down], "o", markersize=7, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.2
    )
    left = across > 0.85
    axes.annotate(
        point.name,
        (across, down),
        xytext=(-7 if left else 7, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=10,
        fontweight="bold",
        color=INK,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )


def _share(coordinate: NDArray[np.float64], value: float) -> float:
    return (int(np.abs(coordinate - value).argmin()) + 0.5) / len(coordinate)


def locator(
    cube: xr.DataArray, composite: Composite, day: np.datetime64, points: tuple[Point, ...], *, note: str = ""
) -> Figure:
    """One picture of the scene with the points on it."""
    small = thin(cube, 2 * SIDE)
    image = column(small, day)
    choice = choose(cube, composite)
    aspect = cube.sizes["y"] / cube.sizes["x"]
    height = min(max(5.0 * aspect, 2.0), 5.0)
    figure = sheet(min(height / aspect, 6.2), height + 0.25, close=True)
    axes = figure.subplots()
    _cell(axes, image, choice, stretch(cube, choice.wavelengths), aspect)
    for point in points:
        _mark(axes, cube, point)
    stamp(figure, [note])
    return figure
