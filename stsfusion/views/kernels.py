"""Kernels: point spread functions on the fine grid, the true one first, a row for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from stsfusion.views.maps import HEAT
from stsfusion.views.palette import HUES, INK, QUIET, RULE, plain, sheet, stamp

__all__ = ["Kernel", "common", "kernel_rows", "widened"]

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Kernel:
    """One point spread function."""

    title: str
    """Whose it is; a line break may stand in it."""

    weights: Values
    """(k, k), unit sum."""


def kernel_rows(rows: Mapping[str, Sequence[Kernel]], ratio: int, *, note: str = "") -> Figure:
    """A row of kernels for each question, each row on the scale of its first, the true one.

    Parameters
    ----------
    rows
        Question in words -> kernels, the true one first.
    ratio
        Fine pixels along one side of a coarse one: the block is framed.
    """
    across = max(len(row) for row in rows.values())
    cell = min(8.6 / across, 1.9)
    figure = sheet(cell * across + 1.2, len(rows) * (cell + 0.62) + 0.25, close=True)
    grid = figure.subplots(len(rows), across, squeeze=False)
    size = max(row.weights.shape[0] for some in rows.values() for row in some)
    size = max(size, ratio + 2)
    for axes, (words, kernels) in zip(grid, rows.items(), strict=True):
        truth = kernels[0]
        for place, kernel in zip(axes, kernels, strict=False):
            _draw(place, kernel, truth, ratio, size)
        for place in axes[len(kernels) :]:
            place.set_axis_off()
        axes[0].set_ylabel(plain(words), fontsize=9, color=INK, rotation=0, ha="right", va="center")
    stamp(figure, [f"frame: the coarse pixel's own block of {ratio} × {ratio}", note])
    return figure


def common(a: Values, b: Values) -> float:
    """Share of the weight that two kernels of unit sum have in common, both about their middles."""
    size = max(len(a), len(b))
    return float(np.minimum(widened(a, size), widened(b, size)).sum())


def widened(weights: Values, size: int) -> Values:
    """The kernel in the middle of (size, size), zeros about it."""
    before = (size - len(weights)) // 2
    after = size - len(weights) - before
    return np.pad(weights, ((before, after), (before, after)))


def _draw(axes: Axes, kernel: Kernel, truth: Kernel, ratio: int, size: int) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(HEAT(0.0))
    axes.spines[:].set_color(RULE)
    half = len(kernel.weights) / 2
    axes.imshow(
        kernel.weights,
        cmap=HEAT,
        vmin=0,
        vmax=float(truth.weights.max()),
        interpolation="nearest",
        extent=(-half, half, half, -half),
    )
    axes.set(xlim=(-size / 2, size / 2), ylim=(size / 2, -size / 2))
    frame = Rectangle((-ratio / 2, -ratio / 2), ratio, ratio, fill=False, edgecolor=HUES[1], linewidth=0.9)
    axes.add_patch(frame)
    axes.set_title(plain(kernel.title), fontsize=8.5, color=INK, pad=14)
    words = "" if kernel is truth else f"{100 * common(kernel.weights, truth.weights):.1f} % in common"
    axes.text(0.5, 1.02, words, transform=axes.transAxes, fontsize=8, color=QUIET, ha="center")
