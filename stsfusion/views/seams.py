"""Seams: mean spectra of two detectors of one instrument on both sides of where they meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from stsfusion.views.palette import HUES, INK, QUIET, legend, plain, sheet, tidy

__all__ = ["Meeting", "Side", "seam_curves"]

Values = NDArray[np.float64]

ACROSS = 2
"""Curves in one row."""


@dataclass(frozen=True, eq=False)
class Side:
    """One detector near the seam."""

    name: str
    """Of the detector."""

    wavelength: Values
    """(band,) nm, rising."""

    mean: Values
    """(band,) reflectance, mean over the same pixels on both sides."""


@dataclass(frozen=True, eq=False)
class Meeting:
    """Two detectors of one scene."""

    title: str
    """The date."""

    words: str
    """Ratio and shift, and whether they were used."""

    first: Side
    """The detector that was left as it is."""

    second: Side
    """The one that was fitted to it, as it is kept."""

    ratio: float
    """Factor by which the second was divided; 1 where it was left."""

    overlap: tuple[float, float]
    """Wavelengths that both see, nm."""


def seam_curves(meetings: Sequence[Meeting]) -> Figure:
    """A curve a scene: both detectors as kept, and the second before it was fitted where that differs."""
    down, across = math.ceil(len(meetings) / ACROSS), min(ACROSS, len(meetings))
    width = 5.4 if across > 1 else 7.2
    figure = sheet(width * across, 3.5 * down + 0.3)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, one in zip(grid.flat, meetings, strict=False):
        tidy(axes, x="wavelength (nm)", y="mean reflectance")
        axes.axvspan(*one.overlap, color=HUES[6], alpha=0.16, linewidth=0)
        if one.ratio != 1:
            axes.plot(one.second.wavelength, one.second.mean * one.ratio, "s:", color=QUIET, markersize=3.5)
        for side, mark, colour in ((one.first, "o-", HUES[1]), (one.second, "s-", HUES[2])):
            axes.plot(side.wavelength, side.mean, mark, color=colour, markersize=4, linewidth=1.6)
        axes.set_title(f"{plain(one.title)}\n", fontsize=10, color=INK, loc="left", fontweight="bold")
        axes.text(0.0, 1.03, plain(one.words), transform=axes.transAxes, fontsize=8.5, color=QUIET)
        axes.margins(y=0.25)
    for axes in grid.flat[len(meetings) :]:
        axes.set_axis_off()
    legend(figure, _handles(meetings))
    return figure


def _handles(meetings: Sequence[Meeting]) -> dict[str, Line2D | Patch]:
    first, second = meetings[0].first.name, meetings[0].second.name
    said: dict[str, Line2D | Patch] = {
        f"{first}": Line2D([], [], color=HUES[1], marker="o", markersize=4, linewidth=1.6),
        f"{second} as it is kept": Line2D([], [], color=HUES[2], marker="s", markersize=4, linewidth=1.6),
    }
    if any(one.ratio != 1 for one in meetings):
        said[f"{second} before it was fitted"] = Line2D(
            [], [], color=QUIET, marker="s", markersize=3.5, linestyle=":"
        )
    return {**said, "seen by both": Patch(facecolor=HUES[6], alpha=0.16)}
