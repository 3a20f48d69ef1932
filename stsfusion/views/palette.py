"""Palette: the colours, marks and sheet that every picture shares."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = [
    "EMPTY",
    "HUES",
    "INK",
    "QUIET",
    "ROLES",
    "RULE",
    "Picture",
    "Role",
    "RoleStyle",
    "legend",
    "plain",
    "png",
    "sheet",
    "stamp",
    "tidy",
]

INK = "#1f2430"
"""Text and axes."""

QUIET = "#6b7280"
"""Text that stands back."""

RULE = "#d9dde3"
"""Grid lines and borders."""

EMPTY = "#f1f3f6"
"""Where nothing was observed."""

DOTS = 160
"""Dots per inch: sharp at 100 % on a screen of double density."""

HUES = ("#5d3a9b", "#0072b2", "#d55e00", "#009e73", "#a6761d", "#cc79a7", "#56b4e9", "#4d4d4d")
"""Colours told apart by colour-blind readers (after Okabe and Ito, 2008), for methods."""

Role = str
"""'truth', 'rich', 'sharp', 'dense' or 'fused'."""


@dataclass(frozen=True)
class RoleStyle:
    """How one role looks in every picture."""

    colour: str
    """Hexadecimal colour."""

    marker: str
    """Matplotlib marker."""

    words: str
    """What the role is called."""


ROLES = MappingProxyType(
    {
        "truth": RoleStyle("#1f2430", ".", "truth"),
        "rich": RoleStyle("#d55e00", "o", "rich (hyperspectral)"),
        "sharp": RoleStyle("#009e73", "s", "sharp (fine pixels)"),
        "dense": RoleStyle("#3f9bd8", "^", "dense (many dates)"),
        "fused": RoleStyle("#5d3a9b", "o", "fused"),
    }
)
"""The roles in the order in which they are shown."""


@dataclass(frozen=True)
class Picture:
    """One picture with the words that belong to it."""

    section: str
    """Heading under which it stands, such as 'Spectra'."""

    title: str
    """A few words."""

    caption: str
    """What is shown, in which units, and what was left out."""

    png: bytes
    """The image file."""

    wide: bool = True
    """Takes the whole width of a page; otherwise two stand side by side."""


def sheet(width: float, height: float, *, close: bool = False, gap: float = 0.02) -> Figure:
    """An empty light sheet of this size in inches, outside any global state.

    Parameters
    ----------
    close
        Set axes close together, as in a grid of pictures.
    gap
        Between rows of axes that are not close, in parts of their height.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0.005 if close else gap)
    figure = Figure(figsize=(width, height), dpi=DOTS, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> Axes:
    """Give axes the house look and their labels, which must name the unit."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.grid(visible=True, color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, length=3, color=QUIET)
    axes.set_xlabel(x, fontsize=9.5, color=INK)
    axes.set_ylabel(y, fontsize=9.5, color=INK)
    if title:
        axes.set_title(title, fontsize=10.5, color=INK, loc="left", fontweight="bold")
    return axes


def legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """One legend above all axes."""
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper center",
        ncols=6,
        fontsize=8.5,
        frameon=False,
        columnspacing=1.4,
        handlelength=1.5,
    )


def plain(text: str) -> str:
    """The text with dollar signs kept from being read as mathematics."""
    return text.replace("$", r"\$")


def stamp(figure: Figure, words: Sequence[str]) -> None:
    """Write a quiet line under a figure, so that a picture says what it is when it is passed on alone."""
    line = " · ".join(word for word in words if word)
    if line:
        figure.supxlabel(plain(line), fontsize=8, color=QUIET, x=0.995, ha="right")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
