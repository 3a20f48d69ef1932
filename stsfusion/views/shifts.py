"""Shifts: where a scene lay beside the reference before it was moved, as arrows, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.quiver import Quiver
from numpy.typing import NDArray

from stsfusion.views.palette import EMPTY, HUES, INK, QUIET, RULE, legend, plain, sheet

__all__ = ["Shift", "State", "arrows", "shift_maps"]

State = Literal["moved", "left", "told", "failed"]

Line = Literal["-", ":"]

COLOURS: dict[State, tuple[str, Line, str]] = {
    "moved": (HUES[1], "-", "moved back"),
    "left": (HUES[3], "-", "too little to be moved"),
    "told": (HUES[2], "-", "beyond the threshold: told, not moved"),
    "failed": (HUES[7], ":", "not measured for sure: not moved"),
}
"""Colour, line and words of what came of a scene."""

ACROSS = 4
"""Maps in one row."""

_LEAST = 0.5
"""Pixels drawn at full length even where all arrows are shorter: noise must not look like a shift."""

_LONG = 0.16
"""Length of the longest arrow in parts of the map's longer side."""


@dataclass(frozen=True, eq=False)
class Shift:
    """One scene against the reference."""

    title: str
    """Role and date."""

    words: str
    """What came of it, with the offset in pixels."""

    state: State
    """In one word."""

    shape: tuple[int, int]
    """Rows and columns of the scene's cube."""

    vectors: NDArray[np.float64]
    """(window, 4) middle of the window (row, column), and how far the scene lay down and right, pixels."""

    seen: NDArray[np.bool_] | None = None
    """(y, x) where the scene holds data, thinned out."""


def shift_maps(shifts: Sequence[Shift]) -> Figure:
    """A map a scene with an arrow a window; the length of each map's own key is told."""
    down = math.ceil(len(shifts) / ACROSS)
    across = min(ACROSS, len(shifts))
    aspect = max(min(max(one.shape[0] / one.shape[1], 0.4), 1.6) for one in shifts)
    side = min(10.4 / across, 3.2)
    figure = sheet(side * across, down * (side * aspect + 0.5) + 0.35)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, one in zip(grid.flat, shifts, strict=False):
        _frame(axes, one)
        arrows(axes, one)
    for axes in grid.flat[len(shifts) :]:
        axes.set_axis_off()
    there = [state for state in COLOURS if any(one.state == state for one in shifts)]
    legend(
        figure,
        {
            COLOURS[state][2]: Line2D(
                [], [], color=COLOURS[state][0], linestyle=COLOURS[state][1], linewidth=2
            )
            for state in there
        },
    )
    return figure


def arrows(axes: Axes, shift: Shift) -> Quiver:
    """The arrows of one map, in pixels of the cube, all longer than they are by one factor."""
    row, col, down, right = np.asarray(shift.vectors, dtype=float).reshape(-1, 4).T
    longest = max([_LEAST, *np.hypot(down, right).tolist()])
    factor = _LONG * max(shift.shape) / longest
    colour, line, _ = COLOURS[shift.state]
    drawn = axes.quiver(
        col, row, right, down, angles="xy", scale_units="xy", scale=1 / factor, color=colour, width=0.012,
        headwidth=4, headlength=4.5, headaxislength=4,
    )  # fmt: skip
    axes.plot(col, row, "o", color=colour, markersize=3, linestyle="none")
    key = _round(longest)
    reach = _LONG * key / longest * max(shift.shape) / shift.shape[1]
    axes.quiverkey(
        drawn, 0.96 - reach, 0.05, key, f"{key:g} px", angle=0, labelpos="W", color=INK,
        fontproperties={"size": 8.5}, labelcolor=INK, coordinates="axes", zorder=5,
    )  # fmt: skip
    axes.spines[:].set_color(colour)
    axes.spines[:].set_linestyle(line)
    return drawn


def _frame(axes: Axes, shift: Shift) -> None:
    rows, cols = shift.shape
    axes.set(xticks=[], yticks=[], xlim=(0, cols), ylim=(rows, 0))
    axes.set_facecolor(EMPTY)
    axes.set_aspect("equal")
    axes.spines[:].set_linewidth(1.6)
    if shift.seen is not None:
        ground = np.where(
            shift.seen[..., None], np.array([1.0, 1.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0])
        )
        axes.imshow(ground, extent=(0, cols, rows, 0), interpolation="nearest", zorder=0)
    if not shift.vectors.size:
        axes.text(0.5, 0.5, "no window\nto compare", transform=axes.transAxes, ha="center", va="center",
                  fontsize=9, color=QUIET)  # fmt: skip
    axes.set_title(plain(shift.title), fontsize=9.5, color=INK, pad=4)
    axes.set_xlabel(plain(shift.words), fontsize=8.5, color=INK, loc="left", labelpad=4)
    axes.spines[:].set_edgecolor(RULE)


def _round(length: float) -> float:
    """1, 2 or 5 times a power of ten, not above the length."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (5, 2, 1) if step * power <= length * (1 + 1e-9))
