"""Bandscores: a score by wavelength, one line for each method, a panel for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stsfusion.views.palette import HUES, INK, legend, plain, sheet, stamp, tidy
from stsfusion.views.spectra import broken

__all__ = ["band_scores"]

Values = NDArray[np.floating[Any]]

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
"""Of the lines of which a colour is used again."""


def band_scores(
    wavelength: NDArray[np.float64],
    panels: Mapping[str, Mapping[str, Values]],
    *,
    label: str,
    own: str = "",
    note: str = "",
) -> Figure:
    """A score by wavelength on one scale.

    Parameters
    ----------
    wavelength
        (band,) nm.
    panels
        Heading -> method -> (band,) score; a method that stands in several keeps its colour.
    label
        Name and unit of the score.
    own
        The method that matters: a stronger line in front, in every panel.
    """
    figure = sheet(9.8, 3.1 * len(panels) + 0.75)
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    handles: dict[str, Artist] = {}
    styles = _styles([method for lines in panels.values() for method in lines], own)
    for axes, (words, lines) in zip(grid, panels.items(), strict=True):
        tidy(axes, y=label, title=words if len(panels) > 1 else "")
        for method, values in lines.items():
            handles.setdefault(plain(method), _line(axes, wavelength, values, styles[method]))
    grid[-1].set_xlabel("wavelength (nm)", fontsize=9.5, color=INK)
    legend(figure, handles)
    stamp(figure, [note])
    return figure


def _styles(methods: list[str], own: str) -> dict[str, dict[str, Any]]:
    others = [name for name in dict.fromkeys(methods) if name != own]
    hues = HUES[1:]
    found: dict[str, dict[str, Any]] = {
        name: {
            "color": hues[i % len(hues)],
            "linestyle": DASHES[i // len(hues) % len(DASHES)],
            "linewidth": 1.2,
        }
        for i, name in enumerate(others)
    }
    return {**found, own: {"color": HUES[0], "linewidth": 2.6, "zorder": 4}}


def _line(axes: Axes, wavelength: NDArray[np.float64], values: Values, style: dict[str, Any]) -> Artist:
    (line,) = axes.plot(*broken(wavelength, np.asarray(values, dtype=float)), **style)
    return line
