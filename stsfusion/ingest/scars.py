"""Scars: the dead lines of a scene's raw images, found, and taken from its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stsfusion.ingest.deadlines import DeadLines, dead_lines
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.overlay import Scarred
from stsfusion.ingest.raster import Raster
from stsfusion.ingest.view import View

__all__ = ["dead_of", "dead_words", "scarred"]


def dead_of(view: View) -> tuple[DeadLines, ...]:
    """The dead lines of images in the geometry of their sensor; on a map lines are lines no more."""
    package = known_sensor(view.scene.sensor).package
    top = package.saturation if package is not None and view.scene.values == "counts" else None
    return tuple(
        dead
        for one in view.images
        if one.rational is not None and isinstance(one.raster, Raster)
        for dead in dead_lines(one.raster, one.layer.name, one.layer.bands, fill=one.fill, top=top)
    )


def scarred(view: View, dead: Sequence[DeadLines]) -> View:
    """The scene without its dead lines: they enter no kernel, and what lies on them is no data."""
    by_layer: dict[str, dict[str, DeadLines]] = {}
    for own in dead:
        by_layer.setdefault(own.layer, {})[own.band] = own
    images = []
    for image in view.images:
        lines = by_layer.get(image.layer.name, {})
        places = {image.layer.bands.index(name): (own.rows, own.columns) for name, own in lines.items()}
        images.append(replace(image, raster=Scarred(image.raster, places)) if places else image)
    return replace(view, images=tuple(images))


def dead_words(dead: Sequence[DeadLines]) -> dict[str, Any]:
    """What the lineage says of dead lines; nothing where there are none."""
    if not dead:
        return {}
    bands = [
        {"image": own.layer, "band": own.band, "rows": list(own.rows), "columns": list(own.columns)}
        for own in dead
    ]
    rows, columns = (
        sum(len(own) for own in each) for each in zip(*((d.rows, d.columns) for d in dead), strict=True)
    )
    return {"dead_lines": {"rows": rows, "columns": columns, "bands": bands}}
