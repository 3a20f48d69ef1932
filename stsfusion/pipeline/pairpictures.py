"""Pairpictures: what a comparison looks like: composites, error maps, scores by band, footprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stsfusion.pipeline.contest import Table
from stsfusion.pipeline.entrants import Entrant
from stsfusion.pipeline.plates import Plates
from stsfusion.views.bandscores import band_scores
from stsfusion.views.composite import Choice, Composite
from stsfusion.views.gallery import Tile, common_top, painted, wall
from stsfusion.views.kernels import Kernel, kernel_rows
from stsfusion.views.palette import Picture, png

__all__ = ["KINDS", "Exposed", "kernel_pictures", "pictures"]

KINDS = {
    "": "Point spread function estimated or learnt from the pair",
    "gaussian": "Gaussian of the block's size assumed",
    "box": "Plain averaging of the block assumed",
    "hysure": "Point spread function by HySure's estimator",
}
"""Kinds of rows, by the point spread function that is assumed."""

_LABELS = {"rmse": "RMSE (reflectance)", "mrae": "MRAE", "sam": "SAM (degrees)"}

_MEANS = {
    "rmse": "Root mean square error over bands",
    "mrae": "Mean relative absolute error over bands",
    "sam": "Spectral angle",
}

_NOTE = "simulated observations"

_WIDE = ("multispectral", "dense")
"""Images whose bands are wider than the truth's, and which are stretched on their own."""

_BLACK, _WHITE = 2, 98
"""Percentiles of the truth that are shown as black and as full brightness."""


class Exposed(Protocol):
    """A question of which there are pictures."""

    @property
    def title(self) -> str:
        """Heading."""
        ...

    @property
    def composite(self) -> Composite:
        """How colours are made."""
        ...

    @property
    def choice(self) -> Choice:
        """The truth's bands that are shown as red, green and blue."""
        ...

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """(band,) nm."""
        ...

    @property
    def words(self) -> Mapping[str, str]:
        """What is said of the images that methods were given, by name."""
        ...

    @property
    def maps(self) -> Sequence[str]:
        """Error maps that are shown."""
        ...

    def given(self) -> Mapping[str, NDArray[np.float32]]:
        """(3, y, x) composites of the truth and of what methods were given."""
        ...

    def figure(self, table: Table, name: str) -> float | None:
        """A number of a method's table that goes with its pictures."""
        ...


@dataclass(frozen=True, eq=False)
class _Shown:
    """The answers to one question that can be shown."""

    exhibit: Exposed
    """The question."""

    entrants: Sequence[Entrant]
    """Whose answers they are."""

    tables: Mapping[str, Table]
    """Label -> what the contest gave."""

    own: str
    """Label of the method that matters."""

    tail: str
    """What every caption ends with."""

    @property
    def title(self) -> str:
        """The question in words."""
        return self.exhibit.title

    @cached_property
    def plates(self) -> dict[str, Plates]:
        """By label."""
        return {row.label: Plates.from_json(self.tables[row.label]["plates"]) for row in self.entrants}

    def tile(self, entrant: Entrant, words: str, image: NDArray[Any]) -> Tile:
        """One picture of a wall."""
        return Tile(entrant.label + "*" * entrant.quick, words, image, entrant.label == self.own)

    def score(self, entrant: Entrant, name: str, digits: int) -> str:
        """A number of the tables."""
        value = self.exhibit.figure(self.tables[entrant.label], name)
        return "–" if value is None else f"{value:.{digits}f}"


def pictures(
    exhibit: Exposed, entrants: Sequence[Entrant], tables: Mapping[str, Table], own: str
) -> list[Picture]:
    """Of one question; methods that failed are left out, and named.

    Parameters
    ----------
    tables
        Label -> what the contest gave.
    own
        Label of the method that matters.
    """
    good = [entrant for entrant in entrants if "plates" in tables[entrant.label]]
    if not good:
        return []
    lost = [entrant.label for entrant in entrants if entrant not in good]
    tail = f" Failed, and not shown: {', '.join(lost)}." if lost else ""
    tail += " * shortened." if any(entrant.quick for entrant in good) else ""
    shown = _Shown(exhibit, good, tables, own, tail)
    return [_composites(shown), *(_maps(shown, name) for name in exhibit.maps), _curves(shown)]


def _composites(shown: _Shown) -> Picture:
    given, choice = shown.exhibit.given(), shown.exhibit.choice
    limits, words = _limits(given["truth"]), shown.exhibit.words
    tiles = [
        Tile(name, words.get(name, ""), painted(look, _limits(look) if name in _WIDE else limits))
        for name, look in given.items()
    ]
    for entrant in shown.entrants:
        look = painted(shown.plates[entrant.label].look, limits)
        tiles.append(shown.tile(entrant, f"PSNR {shown.score(entrant, 'psnr', 2)} dB", look))
    nm = ", ".join(f"{wavelength:.0f}" for wavelength in choice.wavelengths)
    caption = (
        f"{shown.exhibit.composite.title}, bands at {nm} nm, on the truth's stretch; multispectral "
        "images, whose bands are wider, on their own."
    )
    return Picture("Colour composites", shown.title, caption + shown.tail, png(wall(tiles, note=_NOTE)))


def _limits(look: NDArray[Any]) -> NDArray[np.float64]:
    """(3, 2) reflectance shown as black and as full brightness."""
    low, high = np.percentile(look.reshape(3, -1).astype(float), (_BLACK, _WHITE), axis=1)
    return np.stack([low, np.maximum(high, low + 0.005)], 1)


def _maps(shown: _Shown, name: str) -> Picture:
    unit, digits = ("°", 2) if name == "sam" else ("", 4)
    maps = {row.label: getattr(shown.plates[row.label], name) for row in shown.entrants}
    tiles = [
        shown.tile(row, shown.score(row, name, digits) + unit, maps[row.label]) for row in shown.entrants
    ]
    figure = wall(tiles, label=_LABELS[name], top=common_top([*maps.values()]), note=_NOTE)
    caption = f"{_MEANS[name]}, pixel by pixel, on one scale; the numbers are the tables'. Darker is worse."
    return Picture(f"{name.upper()} maps", shown.title, caption + shown.tail, png(figure))


def _curves(shown: _Shown) -> Picture:
    panels: dict[str, dict[str, NDArray[Any]]] = {}
    for row in shown.entrants:
        name = row.label.removesuffix(f":psf={row.assumed}")
        panels.setdefault(KINDS[row.assumed], {})[name] = shown.plates[row.label].psnr
    nm = np.asarray(shown.exhibit.wavelengths, float)
    figure = band_scores(nm, panels, label="PSNR (dB)", own=shown.own, note=f"{shown.title} · {_NOTE}")
    caption = "PSNR of every band against that band's largest true value. Higher is better."
    return Picture("PSNR by band", shown.title, caption + shown.tail, png(figure))


def kernel_pictures(result: Mapping[str, Any], ratio: int) -> list[Picture]:
    """One a scene: under every true point spread function those that methods worked with, each once."""
    scenes = list(dict.fromkeys(each["scene"] for each in result["kernels"]))
    return [_kernels(scene, result["kernels"], ratio) for scene in scenes]


def _kernels(scene: str, kernels: Sequence[Mapping[str, Any]], ratio: int) -> Picture:
    rows: dict[str, list[Kernel]] = {}
    for each in kernels:
        if each["scene"] == scene:
            row, weights = rows.setdefault(each["psf"], []), np.array(each["weights"])
            if not any(_same(weights, other.weights) for other in row[1:]):
                row.append(Kernel(_title(each), weights))
    caption = (
        "What a coarse pixel sees of the fine ones: the truth, then what methods worked with, on the truth's "
        "scale. Methods that estimate it do so once from the pair and share it; networks that learn it have "
        "their own. The share in common is the weight that lies where the truth's does."
    )
    return Picture("Point spread functions", scene, caption, png(kernel_rows(rows, ratio, note=_NOTE)))


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, atol=1e-5))


def _title(each: Mapping[str, Any]) -> str:
    if each["method"] == "truth":
        return "truth"
    if each["learnt"]:
        return f"learnt by {each['method']}"
    return f"{each['assumed']}, assumed" if each["assumed"] else "estimated"
