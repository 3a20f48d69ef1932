"""Curves of a score over the dates, one line for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stsfusion.views.palette import EMPTY, HUES, legend, plain, sheet, stamp, tidy
from stsfusion.views.profiles import calendar
from stsfusion.views.sampling import Days

__all__ = ["score_curves"]

MARKERS = "osD^vP*X"


def score_curves(
    dates: Days, curves: Mapping[str, Sequence[float]], gaps: NDArray[np.bool_], *, label: str, note: str = ""
) -> Figure:
    """A score over the dates; a shade behind the dates that the rich sensor missed.

    Parameters
    ----------
    dates
        (time,) rising.
    curves
        Method -> (time,) values, NaN where nothing can be said.
    gaps
        (time,) whether the rich sensor missed the date.
    label
        Name and unit of the score, for the axis.
    """
    figure = sheet(6.2, 3.3)
    axes = tidy(figure.subplots(), y=label)
    where = dates.astype("datetime64[h]")
    half = np.timedelta64(12, "h") * (
        max(2, int(np.diff(dates).min() / np.timedelta64(1, "D"))) if gaps.size > 1 else 10
    )
    for day in where[gaps]:
        axes.axvspan(day - half, day + half, color=EMPTY, linewidth=0)
    handles = {}
    for i, (method, values) in enumerate(curves.items()):
        (line,) = axes.plot(
            where,
            np.asarray(values, dtype=float),
            marker=MARKERS[i % len(MARKERS)],
            color=HUES[i % len(HUES)],
            linewidth=1.5,
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        handles[plain(method)] = line
    calendar(axes)
    legend(figure, handles)
    stamp(figure, ["shaded: missed by rich" if gaps.any() else "", note])
    return figure
