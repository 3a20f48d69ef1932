"""Levels: a scene's values against the reference's at the same places, and the line laid through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from stsfusion.views.palette import HUES, INK, QUIET, legend, plain, sheet, tidy

__all__ = ["Level", "level_clouds"]

Values = NDArray[np.float64]

ACROSS = 3
"""Scatters in one row."""

MOST = 4000
"""Points of each kind in one scatter."""

_GOOD, _CHANGED, _LINE = HUES[1], "#b9c0c9", HUES[2]


@dataclass(frozen=True, eq=False)
class Level:
    """One band of one scene."""

    title: str
    """Role, date and band."""

    words: str
    """Slope, offset, R² and count."""

    scene: Values
    """(pixel,) reflectance before it was brought to the reference."""

    reference: Values
    """(pixel,) reflectance of the reference there."""

    unchanged: NDArray[np.bool_]
    """(pixel,) whether it is one that the line was laid through, or would be."""

    slope: float
    """Of the line that was found, reflectance per reflectance."""

    offset: float
    """Of the line that was found, reflectance."""

    used: bool = True
    """Whether the scene was brought to the reference by it."""


def level_clouds(levels: Sequence[Level]) -> Figure:
    """A scatter a band: changed pixels grey, unchanged ones coloured, the line, the line of equals."""
    down, across = math.ceil(len(levels) / ACROSS), min(ACROSS, len(levels))
    side = min(10.4 / across, 4.2)
    figure = sheet(side * across, down * side + 0.2, gap=0.08)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, level in zip(grid.flat, levels, strict=False):
        _draw(axes, level)
    for axes in grid.flat[len(levels) :]:
        axes.set_axis_off()
    unused = Line2D([], [], color=_LINE, linewidth=1.8, linestyle=":")
    legend(
        figure,
        {
            "unchanged pixel": Line2D([], [], marker="o", linestyle="none", color=_GOOD, markersize=5),
            "changed pixel": Line2D([], [], marker="o", linestyle="none", color=_CHANGED, markersize=5),
            "line used": Line2D([], [], color=_LINE, linewidth=1.8),
            **({} if all(level.used for level in levels) else {"line found, not used": unused}),
            "equal": Line2D([], [], color=INK, linewidth=1, linestyle="--"),
        },
    )
    return figure


def _draw(axes: Axes, level: Level) -> None:
    tidy(axes, x="scene (reflectance)", y="reference (reflectance)")
    for chosen, colour in ((~level.unchanged, _CHANGED), (level.unchanged, _GOOD)):
        at = np.flatnonzero(chosen)
        at = at[:: max(1, -(-at.size // MOST))]
        axes.plot(
            level.scene[at], level.reference[at], "o", color=colour, markersize=2, alpha=0.5,
            linestyle="none", markeredgewidth=0,
        )  # fmt: skip
    low, high = _limits(np.concatenate([level.scene, level.reference]))
    ends = np.array([low, high])
    axes.plot(ends, ends, "--", color=INK, linewidth=1)
    axes.plot(ends, level.slope * ends + level.offset, "-" if level.used else ":", color=_LINE, linewidth=1.8)
    axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.set_title(
        f"{plain(level.title)}\n",
        pad=9,
        fontsize=10,
        color=INK,
        loc="left",
        fontweight="bold",
        linespacing=1.1,
    )
    axes.text(0.0, 1.03, plain(level.words), transform=axes.transAxes, fontsize=8.5, color=QUIET)


def _limits(values: Values) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.2, 99.8))
    edge = max(0.05 * (high - low), 0.005)
    return float(low - edge), float(high + edge)
