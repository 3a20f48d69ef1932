"""Draw docs/picture.png for the README: what three sensors keep of a series, and what fusion gives back.

Run it with `python docs/picture.py`. Every cube's pixels, bands and dates are drawn in the demo's own ratios:
hyperspectral pixels three times as large as the target's, those of the dense sensor twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

mpl.use("Agg")
from matplotlib import pyplot as plt

SIZE = 18
"""Target pixels along a side."""

DATES = 7
FACE, LIFT, SLANT = 1.0, 0.30, 0.34
"""Side of a cube's front, and how far up and to the right its back lies."""

STEP, DROP = 1.56, 1.66
"""Distance of dates and of rows."""

LEFT = -3.0
"""Where the lettering begins."""

INK, FAINT, PAPER, BAND = "#1f2a33", "#7b8790", "#ffffff", "#eef3f1"


@dataclass(frozen=True)
class Row:
    """One series of cubes in the picture."""

    name: str
    sensor: str
    virtue: str
    ratio: int
    bands: int
    dates: tuple[int, ...]
    colour: str


SOME, ALL = (0, 2, 4, 6), tuple(range(DATES))
MANY, FEW = 40, 6

ROWS = (
    Row("rich", "hyperspectral, 30 m\nhundreds of bands", "all its bands", 3, MANY, SOME, "#b5502f"),
    Row("sharp", "multispectral, 10 m\na few bands", "its fine pixels", 1, FEW, SOME, "#2f6db5"),
    Row("dense", "multispectral, 16 m\nmany dates", "every date", 2, FEW, ALL, "#7a5ba8"),
    Row("fused", "hyperspectral, 10 m\non every date", "all three", 1, MANY, ALL, "#2e7d5b"),
)


def fields(seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) number of the field that each pixel lies in, and (field,) the week in which it turns green."""
    draw = np.random.default_rng(seed)
    centres = draw.uniform(0, SIZE, (11, 2))
    y, x = np.indices((SIZE, SIZE)) + 0.5
    far = np.abs(y[..., None] - centres[:, 0]) + np.abs(x[..., None] - centres[:, 1])
    return far.argmin(-1), draw.uniform(0.5, 5.5, len(centres))


def scene(date: int) -> np.ndarray:
    """(y, x, 3) the landscape at a date: soil, crops that come and go, and a river."""
    owner, peak = fields()
    green = np.exp(-0.5 * ((date - peak) / 1.3) ** 2)[owner][..., None]
    soil, crop = np.array([0.80, 0.66, 0.47]), np.array([0.22, 0.52, 0.24])
    tone = 0.94 + 0.12 * np.random.default_rng(1).random(len(peak))[owner][..., None]
    image = ((1 - green) * soil + green * crop) * tone
    y, x = np.indices((SIZE, SIZE))
    river = np.abs(y - 4.5 - 0.55 * x + 1.6 * np.sin(x / 3.2)) < 0.8
    image[river] = (0.30, 0.50, 0.66)
    return np.clip(image, 0, 1)


def coarsened(image: np.ndarray, ratio: int) -> np.ndarray:
    """Means of ratio × ratio pixels."""
    size = SIZE // ratio
    return image.reshape(size, ratio, size, ratio, 3).mean((1, 3))


def spectrum(bands: int) -> np.ndarray:
    """(band, 3) colours from violet to the shortwave infrared."""
    names = [
        "#5b4a9c",
        "#3d6fc2",
        "#3f9f8c",
        "#7db34a",
        "#e2b93f",
        "#d9682f",
        "#a8322f",
        "#6b2740",
        "#43202f",
    ]
    ramp = mpl.colors.LinearSegmentedColormap.from_list("spectrum", names)
    return ramp(np.linspace(0, 1, bands))[:, :3]


def cube(axes: Axes, left: float, bottom: float, row: Row, date: int) -> None:
    """A front of pixels, and bands that go back in depth."""
    colours = spectrum(row.bands)
    image = coarsened(scene(date), row.ratio)
    for place, colour in reversed(list(enumerate(colours))):
        near, far = place / row.bands, (place + 1) / row.bands
        ends = [(left + SLANT * s, bottom + LIFT * s) for s in (near, far)]
        top = [(x, y + FACE) for x, y in ends] + [(x + FACE, y + FACE) for x, y in reversed(ends)]
        side = [(x + FACE, y) for x, y in ends] + [(x + FACE, y + FACE) for x, y in reversed(ends)]
        for face, shade in ((top, 1.0), (side, 0.82)):
            edge = shade * colour if row.bands == MANY else PAPER
            axes.add_patch(Polygon(face, facecolor=shade * colour, edgecolor=edge, linewidth=0.35))
    size = SIZE // row.ratio
    edges = np.linspace(0, FACE, size + 1)
    axes.pcolormesh(left + edges, bottom + edges, image[::-1], zorder=3)
    grid = {
        "color": PAPER,
        "linewidth": 0.35 * row.ratio,
        "alpha": 0.35 if row.ratio == 1 else 0.8,
        "zorder": 4,
    }
    axes.hlines(bottom + edges[1:-1], left, left + FACE, **grid)
    axes.vlines(left + edges[1:-1], bottom, bottom + FACE, **grid)
    axes.add_patch(Rectangle((left, bottom), FACE, FACE, fill=False, edgecolor=INK, linewidth=0.8, zorder=5))


def missing(axes: Axes, left: float, bottom: float) -> None:
    """A date that the sensor did not see."""
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.1, bottom + 0.1),
            FACE,
            FACE,
            boxstyle="round,pad=0,rounding_size=0.05",
            fill=False,
            edgecolor="#b9c2c8",
            linestyle=(0, (3, 3)),
            linewidth=0.9,
        )
    )


def timeline(axes: Axes) -> None:
    """The dates, from left to right."""
    height, end = FACE + LIFT + 0.34, STEP * (DATES - 1) + FACE
    axes.annotate(
        "", (end + 0.5, height), (-0.06, height), arrowprops={"arrowstyle": "-|>", "color": FAINT, "lw": 1.0}
    )
    for date in range(DATES):
        axes.plot([STEP * date + FACE / 2] * 2, [height - 0.05, height + 0.05], color=FAINT, linewidth=1.0)
    axes.text(end + 0.62, height, "dates", color=FAINT, size=11, va="center")


def lettering(axes: Axes, row: Row, bottom: float) -> None:
    """Who sees it, on the left; what the target takes from it, on the right."""
    axes.text(LEFT + 0.25, bottom + 0.98, row.name, color=row.colour, size=18, weight="bold", va="center")
    axes.text(LEFT + 0.25, bottom + 0.42, row.sensor, color=INK, size=11, va="center", linespacing=1.4)
    start = STEP * DATES + 0.14
    axes.text(
        start, bottom + 0.80, "has" if row.name == "fused" else "gives", color=FAINT, size=11, va="center"
    )
    axes.text(start, bottom + 0.46, row.virtue, color=row.colour, size=13.5, weight="bold", va="center")


def draw(path: Path) -> None:
    """The whole picture."""
    figure, axes = plt.subplots(figsize=(13, 7))
    right, last = STEP * DATES + 2.55, -DROP * 3 - 0.34
    axes.set(xlim=(LEFT, right), ylim=(last - 0.3, FACE + LIFT + 0.5), aspect="equal")
    axes.axis("off")
    size = right - LEFT, FACE + LIFT + 0.52
    shape = "round,pad=0,rounding_size=0.14"
    axes.add_patch(FancyBboxPatch((LEFT, last - 0.28), *size, boxstyle=shape, fc=BAND, ec="none", zorder=0))
    timeline(axes)
    for number, row in enumerate(ROWS):
        bottom = last if row.name == "fused" else -DROP * number
        lettering(axes, row, bottom)
        for date in range(DATES):
            if date in row.dates:
                cube(axes, STEP * date, bottom, row, date)
            else:
                missing(axes, STEP * date, bottom)
    figure.savefig(path, dpi=140, facecolor=PAPER, bbox_inches="tight", pad_inches=0.1)
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(__file__).with_name("picture.png"))
