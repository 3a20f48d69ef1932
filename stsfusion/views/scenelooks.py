"""Scene looks: each scene on its own stretch, and below it what is known against its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from stsfusion.views.composite import FALSE, SWIR, TRUE, Composite, choose, paint, stretch
from stsfusion.views.marks import CLEAR, kinds_of, overlay
from stsfusion.views.palette import EMPTY, INK, QUIET, RULE, legend, plain, sheet

__all__ = ["Look", "colours", "grey", "scene_looks"]

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Look:
    """One date of one cube, thinned out."""

    title: str
    """The date."""

    words: str
    """What stands under it, such as shares."""

    image: xr.DataArray
    """(band, y, x) reflectance with `wavelength` (nm), gaps NaN."""

    kinds: NDArray[np.uint8]
    """(y, x) from `marks.sorted_out`."""


def scene_looks(looks: Sequence[Look], marks: Mapping[str, int]) -> Figure:
    """A row a date: true, false and short-wave infrared colour as the bands allow, then the masks."""
    shown = _composites(looks[0].image)
    rows, cols = looks[0].kinds.shape
    aspect = min(max(rows / cols, 0.3), 2.0)
    side = min(9.2 / (len(shown) + 1), 2.9, max(1.5, 11 / len(looks)) / aspect)
    figure = sheet(1.9 + side * (len(shown) + 1), len(looks) * side * aspect + 0.8, close=True)
    grid = figure.subplots(len(looks), len(shown) + 1, squeeze=False)
    for axes, composite in zip(grid[0], shown, strict=False):
        axes.set_title(_words(composite, looks[0].image), fontsize=9, color=INK, pad=5)
    grid[0][-1].set_title("Masks", fontsize=9, color=INK, pad=5)
    for axes, look in zip(grid, looks, strict=True):
        for one, composite in zip(axes, shown, strict=False):
            _show(one, colours(look.image, composite), aspect)
        _show(axes[-1], overlay(grey(look.image), look.kinds, marks), aspect)
        words = plain(f"{look.title}\n{look.words}")
        axes[0].set_ylabel(words, rotation=0, ha="right", va="center", fontsize=9, color=INK, labelpad=6)
    there = set(np.unique(np.concatenate([look.kinds.ravel() for look in looks])).tolist())
    kinds = [kind for i, kind in enumerate(kinds_of(marks)) if i in there and kind is not CLEAR]
    legend(figure, {k.words: Patch(facecolor=k.colour, edgecolor=QUIET, linewidth=0.5) for k in kinds})
    return figure


def colours(image: xr.DataArray, composite: Composite) -> Values:
    """(y, x, 3) between 0 and 1, stretched from the 2nd to the 98th percentile of this image alone."""
    choice = choose(image, composite)
    return paint(image, choice, stretch(image.expand_dims("time"), choice.wavelengths))


def grey(image: xr.DataArray) -> Values:
    """(y, x) between 0 and 1: the band nearest to red, stretched in the same way."""
    return colours(image.isel(band=[choose(image, TRUE).bands[0]]), TRUE)[..., 0]


def _composites(image: xr.DataArray) -> list[Composite]:
    """Those whose bands are there; where there are none, the nearest bands as they are."""
    return [one for one in (TRUE, FALSE, SWIR) if choose(image, one).exact] or [TRUE]


def _words(composite: Composite, image: xr.DataArray) -> str:
    choice = choose(image, composite)
    shown = choice.words or ", ".join(f"{nm:.0f}" for nm in choice.wavelengths) + " nm"
    return plain(f"{composite.title if choice.exact else 'Nearest bands'}\n{shown}")


def _show(axes: Axes, image: Values, aspect: float) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor(EMPTY)
    axes.spines[:].set_color(RULE)
    axes.set_box_aspect(aspect)
    axes.imshow(image, interpolation="nearest", aspect="auto")
