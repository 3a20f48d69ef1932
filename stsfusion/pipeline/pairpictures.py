"""Pairpictures: what a comparison looks like: composites, error maps, scores by band, footprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.pipeline.contest import Table
from stsfusion.pipeline.entrants import Entrant
from stsfusion.pipeline.exhibit import Exhibit
from stsfusion.pipeline.plates import MAPS, Plates
from stsfusion.quality.metrics import metrics
from stsfusion.views.bandscores import band_scores
from stsfusion.views.gallery import Tile, common_top, painted, wall
from stsfusion.views.kernels import Kernel, kernel_rows
from stsfusion.views.palette import Picture, png

__all__ = ["KINDS", "kernel_pictures", "pictures"]

KINDS = {
    "": "point spread function estimated or learnt from the pair",
    "gaussian": "Gaussian of the block's size assumed",
    "box": "plain averaging of the block assumed",
    "hysure": "point spread function by HySure's estimator",
}
"""Kinds of rows, by the point spread function that is assumed."""

_LABELS = {"rmse": "RMSE (reflectance)", "mrae": "MRAE", "sam": "SAM (degrees)"}

_BLACK, _WHITE = 2, 98
"""Percentiles of the truth that are shown as black and as full brightness."""


def pictures(
    exhibit: Exhibit, entrants: Sequence[Entrant], tables: Mapping[str, Table], own: str
) -> list[Picture]:
    """Of one scene under one point spread function; methods that failed are left out, and named.

    Parameters
    ----------
    tables
        Label -> what the contest gave.
    own
        Label of the method that matters.
    """
    shown = [entrant for entrant in entrants if "plates" in tables[entrant.label]]
    plates = {entrant.label: Plates.from_json(tables[entrant.label]["plates"]) for entrant in shown}
    title = f"{exhibit.stage.scene.name}, {exhibit.stage.protocol.psf}"
    lost = [entrant.label for entrant in entrants if entrant.label not in plates]
    tail = f" Failed, and not shown: {', '.join(lost)}." if lost else ""
    if any(entrant.quick for entrant in shown):
        tail += " * shortened."
    if not shown:
        return []
    rows = {label: tables[label]["rows"][0] for label in plates}
    names = {entrant.label: entrant.label + "*" * entrant.quick for entrant in shown}
    return [
        _composites(exhibit, title, tail, plates, rows, names, own),
        *(_maps(name, title, tail, plates, rows, names, own) for name in MAPS),
        _curves(exhibit, title, tail, plates, shown, own),
    ]


def _composites(
    exhibit: Exhibit,
    title: str,
    tail: str,
    plates: Mapping[str, Plates],
    rows: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    own: str,
) -> Picture:
    given, choice = exhibit.given(), exhibit.choice
    limits = _limits(given["truth"])
    words = {"hyperspectral": "given, coarse", "multispectral": "given, sharp"}
    tiles = [
        Tile(name, words.get(name, ""), painted(look, _limits(look) if name == "multispectral" else limits))
        for name, look in given.items()
    ]
    tiles += [
        Tile(
            names[label], f"PSNR {_said(rows[label]['psnr'], 2)} dB", painted(each.look, limits), label == own
        )
        for label, each in plates.items()
    ]
    nm = ", ".join(f"{wavelength:.0f}" for wavelength in choice.wavelengths)
    caption = (
        f"{exhibit.composite.title}, bands at {nm} nm, on the truth's stretch but for the multispectral."
    )
    return Picture("Colour composites", title, caption + tail, png(wall(tiles, note=_NOTE)))


_NOTE = "simulated observations"


def _said(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _limits(look: NDArray[Any]) -> NDArray[np.float64]:
    """(3, 2) reflectance shown as black and as full brightness."""
    low, high = np.percentile(look.reshape(3, -1).astype(float), (_BLACK, _WHITE), axis=1)
    return np.stack([low, np.maximum(high, low + 0.005)], 1)


def _maps(
    name: str,
    title: str,
    tail: str,
    plates: Mapping[str, Plates],
    rows: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    own: str,
) -> Picture:
    metric, maps = metrics()[name], {label: getattr(each, name) for label, each in plates.items()}
    unit = "°" if metric.unit == "degree" else ""
    digits = 2 if unit else 4
    tiles = [
        Tile(names[label], f"{_said(rows[label][name], digits)}{unit}", values, label == own)
        for label, values in maps.items()
    ]
    figure = wall(tiles, label=_LABELS[name], top=common_top([*maps.values()]), note=_NOTE)
    mean = {
        "rmse": "Root mean square over bands",
        "mrae": "Mean relative absolute error over bands",
        "sam": "Spectral angle",
    }[name]
    caption = f"{mean}, pixel by pixel, on one scale; the numbers are those of the tables. Darker is worse."
    return Picture(f"{name.upper()} maps", title, caption + tail, png(figure))


def _curves(
    exhibit: Exhibit,
    title: str,
    tail: str,
    plates: Mapping[str, Plates],
    shown: Sequence[Entrant],
    own: str,
) -> Picture:
    panels: dict[str, dict[str, NDArray[Any]]] = {}
    for entrant in shown:
        name = entrant.label.removesuffix(f":psf={entrant.assumed}")
        panels.setdefault(KINDS[entrant.assumed], {})[name] = plates[entrant.label].psnr
    nm = np.asarray(exhibit.stage.scene.wavelengths, float)
    figure = band_scores(nm, panels, label="PSNR (dB)", own=own, note=f"{title} · {_NOTE}")
    caption = "PSNR of every band against that band's largest true value. Higher is better."
    return Picture("PSNR by band", title, caption + tail, png(figure))


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
