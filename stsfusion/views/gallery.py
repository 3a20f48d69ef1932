"""Gallery: a picture for each of many methods, side by side on one scale: composites, or maps of an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from stsfusion.views.composite import GAMMA
from stsfusion.views.maps import HEAT
from stsfusion.views.palette import EMPTY, HUES, INK, QUIET, RULE, plain, sheet, stamp

__all__ = ["Tile", "common_top", "painted", "wall"]

Values = NDArray[np.floating[Any]]

ACROSS = 6
"""Pictures in one row."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a wall."""

    title: str
    """Whose it is."""

    words: str
    """What is said under the title, such as a score."""

    image: Values
    """(y, x) of a quantity, NaN where nothing is known, or (y, x, 3) between 0 and 1."""

    own: bool = False
    """Whether it is of the method that matters."""


def wall(
    tiles: Sequence[Tile], *, label: str = "", top: float = 1.0, across: int = ACROSS, note: str = ""
) -> Figure:
    """Pictures in rows; where they are maps, a bar at the side says what the colours mean.

    Parameters
    ----------
    label
        Name and unit of the maps' quantity; '' for composites.
    top
        The quantity's value that is shown darkest, and all above it.
    across
        Pictures in one row, at most.
    note
        Written under the figure.
    """
    down = math.ceil(len(tiles) / across)
    across = math.ceil(len(tiles) / down)
    cell = 9.4 / max(across, 3)
    rows, cols = tiles[0].image.shape[:2]
    figure = sheet(
        cell * across + (0.9 if label else 0.1),
        down * (cell * min(max(rows / cols, 0.3), 2.0) + 0.42) + 0.25,
        close=True,
    )
    grid = figure.subplots(down, across, squeeze=False)
    drawn = [_draw(axes, tile, top) for axes, tile in zip(grid.flat, tiles, strict=False)]
    for axes in grid.flat[len(tiles) :]:
        axes.set_axis_off()
    if label:
        _bar(figure, drawn[0], grid, label)
    stamp(figure, [note])
    return figure


def common_top(maps: Sequence[Values]) -> float:
    """A top for maps of which some are far worse: the median over the maps of the 98th percentile of each."""
    finite = [values[np.isfinite(values)] for values in maps]
    tops = [float(np.percentile(values, 98)) for values in finite if values.size]
    return max(float(np.median(tops)), 1e-6) if tops else 1.0


def painted(look: Values, limits: Values) -> Values:
    """(3, y, x) reflectance to (y, x, 3) colours, as in `composite.paint`; limits (3, 2) black and white."""
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    colours = np.clip((look - low) / (high - low), 0, 1) ** GAMMA
    colours[:, ~np.isfinite(look).all(0)] = np.array(to_rgb(EMPTY))[:, None]
    return np.moveaxis(colours, 0, -1)


def _draw(axes: Axes, tile: Tile, top: float) -> AxesImage:
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(EMPTY)
    axes.spines[:].set_color(HUES[0] if tile.own else RULE)
    axes.spines[:].set_linewidth(2.0 if tile.own else 0.8)
    colour, weight = (HUES[0], "bold") if tile.own else (INK, "normal")
    axes.set_title(plain(tile.title), fontsize=8.5, color=colour, fontweight=weight, pad=14)
    axes.text(0.5, 1.02, plain(tile.words), transform=axes.transAxes, fontsize=8, color=QUIET, ha="center")
    return axes.imshow(tile.image, cmap=HEAT, vmin=0, vmax=top, interpolation="nearest")


def _bar(figure: Figure, drawn: AxesImage, grid: NDArray[np.object_], label: str) -> None:
    bar = figure.colorbar(drawn, ax=grid.ravel().tolist(), extend="max", pad=0.01, fraction=0.025, aspect=30)
    bar.set_label(label, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8.5, colors=INK)
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
