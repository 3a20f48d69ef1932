"""Page: gathers what a run left behind into its report and quick looks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xarray import DataArray

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.fusion.problem import ROLES
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.doctor import versions
from stsfusion.pipeline.evaluate import others
from stsfusion.pipeline.facts import Input, MethodCard, Phase, Report, Stored
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.intake import TRUTH, Intake
from stsfusion.pipeline.origins import origin_words, origins
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.report import write_report
from stsfusion.pipeline.runpage import tile_ends, tile_lines, troubles
from stsfusion.pipeline.scenepage import delivery_parts
from stsfusion.pipeline.shorthand import name_of, text_of
from stsfusion.views.palette import Picture
from stsfusion.views.plots import figures

__all__ = ["make_page"]

_SHOWN = 512
"""Pixels along one side above which pictures show the middle of the scene only."""


def make_page(
    folder: Folder,
    recipe: Recipe,
    *,
    title: str,
    recipe_text: str,
    intake: Intake,
    scores: Mapping[str, Any],
    phases: Sequence[Phase],
    hashes: Mapping[str, str],
    tiles: Mapping[str, Any],
    made: str,
) -> Path:
    """Write report.html and its pictures as PNG files beside it."""
    inputs, fused = CubeStore(folder.cubes), CubeStore(folder.fused)
    deliveries, ends = delivery_parts(inputs, recipe, intake.facts), tile_ends(folder)
    pictures = _pictures(inputs, fused, intake) if recipe.report.pictures else figures()
    _hang(folder, (*pictures, *(picture for part in deliveries for picture in part.pictures)))
    cards = _cards(recipe, hashes)
    facts = Report(
        title=title,
        simulated=intake.simulated,
        method=cards[0].name,
        words=" ".join([intake.words, origin_words(origins(fused)), *_remarks(fused, scores)]),
        made=made,
        recipe_text=recipe_text,
        inputs=[_input(inputs, name, intake) for name in inputs.names()],
        versions=versions(),
        hashes=hashes,
        methods=cards,
        scores=scores["rows"],
        per_date=scores["per_date"],
        without_truth=scores["without_truth"],
        phases=phases,
        figures=pictures,
        stores=_stores(folder, inputs, fused),
        tiles=tile_lines(tiles, ends),
        troubles=troubles(ends),
        deliveries=deliveries,
    )
    return write_report(folder.report, facts)


def _pictures(inputs: CubeStore, fused: CubeStore, intake: Intake) -> Sequence[Picture]:
    """The series beside its inputs."""
    shown = _cubes(inputs, fused)
    seen = [shown.get(name) for name in (TRUTH, "rich", "sharp", "dense", "fused")]
    return figures(*seen, simulated=intake.simulated)


def _hang(folder: Folder, pictures: Sequence[Picture]) -> None:
    """Write pictures as PNG files beside the report, in place of those of an earlier run."""
    for path in folder.root.glob("quicklook-*.png"):
        path.unlink()
    for picture in pictures:
        (folder.root / f"quicklook-{_slug(picture)}.png").write_bytes(picture.png)


def _cards(recipe: Recipe, hashes: Mapping[str, str]) -> list[MethodCard]:
    """The series' own method, then those it is compared with."""
    own = methods.create(recipe.fuse.method)
    rivals = others(own, recipe.evaluate.compare)
    named = [(name_of(own), own), *((text_of(rival), methods.create(rival)) for rival in rivals)]
    return [
        MethodCard(
            name,
            method.card.title,
            method.card.source,
            json.dumps({k: v for k, v in settings_of(method).items() if k != "name"}),
            hashes.get("weights", "") if method is own else "",
        )
        for name, method in named
    ]


def _stores(folder: Folder, inputs: CubeStore, fused: CubeStore) -> list[Stored]:
    """Where the series and its inputs lie, and how they are opened."""
    return [
        Stored("The fused series", str(folder.fused), compact=fused.factors() is not None),
        *(Stored(f"The input '{name}'", str(folder.cubes), name) for name in inputs.names()),
    ]


def _remarks(fused: CubeStore, scores: Mapping[str, Any]) -> list[str]:
    """What was shown or scored of a part only."""
    _, _, rows, cols = fused.spec("").shape
    said = []
    if max(rows, cols) > _SHOWN:
        said.append(f"Pictures show the middle {_SHOWN} pixels of the scene.")
    for key, which in (("window", "Scores"), ("coarser_window", "Scores one scale coarser")):
        window = scores.get(key, {"rows": (0, rows), "cols": (0, cols)})
        (top, bottom), (left, right) = window["rows"], window["cols"]
        if (bottom - top, right - left) != (rows, cols):
            place = f"rows {top} to {bottom} and columns {left} to {right}"
            said.append(f"{which} are of {place}, counted from 0.")
    return said


def _cubes(inputs: CubeStore, fused: CubeStore) -> dict[str, DataArray]:
    """Every cube by its role, cut to the same middle when the scene is large."""
    found = {name: inputs.cube(name) for name in (TRUTH, *ROLES) if name in inputs.names()}
    found["fused"] = fused.cube("")
    whole = found["fused"]
    y, x = (whole[axis].values for axis in ("y", "x"))
    if max(len(y), len(x)) <= _SHOWN:
        return found
    pixel = abs(float(y[1] - y[0]))
    half = _SHOWN / 2 * pixel
    middle = float(y[len(y) // 2]), float(x[len(x) // 2])
    return {
        name: cube.isel(
            y=abs(cube["y"].values - middle[0]) <= half, x=abs(cube["x"].values - middle[1]) <= half
        )
        for name, cube in found.items()
    }


def _input(store: CubeStore, name: str, intake: Intake) -> Input:
    spec = store.spec(name)
    time, band, rows, cols = spec.shape
    dates = f"{time} date{'s' if time > 1 else ''}"
    words = f"{dates} × {band} bands × {rows} × {cols} pixels of {spec.grid.pixel:g} m"
    return Input(name, intake.inputs.get(name, intake.inputs.get("rich", "")), words)


def _slug(picture: Picture) -> str:
    words = f"{picture.section} {picture.title}".lower()
    return "-".join("".join(c if c.isalnum() else " " for c in words).split())[:60]
