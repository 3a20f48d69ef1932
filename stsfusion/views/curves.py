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
    dates: Days,
    curves: Mapping[str, Sequence[float]],
    gaps: NDArray[np.bool_],
    *,
    label: str,
    own: str = "",
    note: str = "",
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
    own
        The method that matters: it takes the colour of the fused cube and a stronger line.
    """
    figure = sheet(6.2, 3.3)
    axes = tidy(figure.subplots(), y=label)
    where = dates.astype("datetime64[h]")
    step = int(np.diff(where).min().astype(int)) if where.size > 1 else 480
    half = np.timedelta64(max(step // 2, 12), "h")
    for day in where[gaps]:
        axes.axvspan(day - half, day + half, color=EMPTY, linewidth=0)
    handles = {}
    ordered = sorted(curves.items(), key=lambda item: item[0] != own)
    for i, (method, values) in enumerate(ordered, start=int(own not in curves)):
        (line,) = axes.plot(
            where,
            np.asarray(values, dtype=float),
            marker=MARKERS[i % len(MARKERS)],
            color=HUES[i % len(HUES)],
            linewidth=2.4 if method == own else 1.3,
            markersize=5.5,
            zorder=3 if method == own else 2,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        handles[plain(method)] = line
    calendar(axes)
    legend(figure, handles)
    stamp(figure, ["shaded: missed by rich" if gaps.any() else "", note])
    return figure
