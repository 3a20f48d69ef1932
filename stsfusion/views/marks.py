"""Marks: what is known against the pixels of an image, each counted once under what weighs most.

::

    qa, valid, marks  ─►  kinds (y, x)  ─►  shares, an overlay on a grey image, bars by date
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from stsfusion.views.palette import EMPTY, INK, QUIET, RULE, legend, sheet, tidy

__all__ = ["Kind", "kinds_of", "overlay", "share_bars", "shares", "sorted_out"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """One thing that a pixel can be."""

    key: str
    """As a store's marks call it, or 'clear' or 'no_data'."""

    words: str
    """For people."""

    colour: str
    """Hexadecimal; told apart by colour-blind readers, and by lightness alone."""


CLEAR = Kind("clear", "clear", "#b3bac4")
NO_DATA = Kind("no_data", "nothing seen", EMPTY)
KNOWN = (
    Kind("cloud", "cloud", "#56b4e9"),
    Kind("shadow", "cloud shadow", "#5d3a9b"),
    NO_DATA,
    Kind("saturated", "saturated in a band", "#d55e00"),
    Kind("dead", "dead line", "#cc79a7"),
    Kind("partial", "some bands missing", "#f0c000"),
)
"""What weighs most first; a pixel that is nothing of it is clear."""

_SPARE = ("#009e73", "#a6761d", "#4d4d4d")
"""Colours of marks that are not known here."""


def kinds_of(marks: Mapping[str, int]) -> tuple[Kind, ...]:
    """All that a pixel can be by these marks, what weighs most first, 'clear' last."""
    known = tuple(kind for kind in KNOWN if kind is NO_DATA or kind.key in marks)
    others = [name for name in marks if name not in {kind.key for kind in KNOWN}]
    spare = [Kind(name, name.replace("_", " "), _SPARE[i % 3]) for i, name in enumerate(others)]
    return (*known, *spare, CLEAR)


def sorted_out(
    qa: NDArray[np.uint16], seen: NDArray[np.bool_], marks: Mapping[str, int]
) -> NDArray[np.uint8]:
    """(y, x) number of each pixel's kind in `kinds_of(marks)`.

    Parameters
    ----------
    qa
        (y, x) bits as `marks` names them.
    seen
        (y, x) whether any band holds a value.
    """
    kinds = kinds_of(marks)
    found = np.full(qa.shape, len(kinds) - 1, dtype=np.uint8)
    for number in reversed(range(len(kinds) - 1)):
        key = kinds[number].key
        found[~seen if key == NO_DATA.key else (qa & np.uint16(marks[key])) > 0] = number
    return found


def shares(found: NDArray[np.uint8], marks: Mapping[str, int]) -> dict[str, float]:
    """Share of the pixels by kind, 0 to 1; they add up to one."""
    kinds = kinds_of(marks)
    counts = np.bincount(found.ravel(), minlength=len(kinds))
    return {kind.key: float(count) / max(found.size, 1) for kind, count in zip(kinds, counts, strict=True)}


def overlay(grey: Values, found: NDArray[np.uint8], marks: Mapping[str, int]) -> Values:
    """(y, x, 3) a grey image with all that is not clear in its colour.

    Parameters
    ----------
    grey
        (y, x) between 0 and 1; not looked at where nothing was seen.
    """
    kinds = kinds_of(marks)
    colours = np.array([to_rgb(kind.colour) for kind in kinds])
    pale = np.repeat(0.35 + 0.6 * np.clip(np.nan_to_num(grey), 0, 1)[..., None], 3, axis=-1)
    return np.where((found == len(kinds) - 1)[..., None], pale, colours[found])


def share_bars(
    names: Sequence[str], found: Sequence[Mapping[str, float]], marks: Mapping[str, int]
) -> Figure:
    """A bar a date and role: which share of its pixels is what; clear first.

    Parameters
    ----------
    names
        (bar,) what stands beside it.
    found
        (bar,) from `shares`.
    """
    kinds = (CLEAR, *(kind for kind in kinds_of(marks) if kind is not CLEAR))
    shown = [kind for kind in kinds if kind is CLEAR or any(one.get(kind.key, 0) > 0 for one in found)]
    figure = sheet(8.6, 0.3 * len(names) + 1.05)
    axes = tidy(figure.subplots(), x="share of the cube's pixels (%)")
    left = np.zeros(len(names))
    for kind in shown:
        values = np.array([100 * one.get(kind.key, 0.0) for one in found])
        axes.barh(range(len(names)), values, left=left, color=kind.colour, edgecolor=RULE, linewidth=0.5)
        left = left + values
    for row, one in enumerate(found):
        axes.text(1.0, row, f"{100 * one.get('clear', 0.0):.1f}", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set(xlim=(0, 100), ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    legend(
        figure, {kind.words: Patch(facecolor=kind.colour, edgecolor=QUIET, linewidth=0.5) for kind in shown}
    )
    return figure
