"""Scene page: the section of a report that tells how deliveries became cubes, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stsfusion.cube.store import CubeStore
from stsfusion.pipeline.airpage import air_part
from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.levelpage import level_part
from stsfusion.pipeline.lookspage import looks_part
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.scenenotes import SceneNote, date_notes, scene_notes
from stsfusion.pipeline.seampage import seam_part
from stsfusion.pipeline.shiftpage import shift_part

__all__ = ["delivery_parts"]


def delivery_parts(store: CubeStore, recipe: Recipe, facts: Mapping[str, Any]) -> list[Part]:
    """What there is to tell; nothing where a run began with no deliveries.

    Parameters
    ----------
    store
        The input cubes, whose attributes hold the lineage.
    facts
        Of the intake: `refused` holds the deliveries that could not be used, `unrecognised` the images and
        archives beside them that are none, with the reasons.
    """
    if recipe.scenes is None:
        return []
    pictures = recipe.report.pictures
    dates = date_notes(store, pictures=pictures)
    scenes = scene_notes(dates)
    return [
        _scenes(scenes, _refused(store, facts), facts.get("unrecognised", ())),
        *([air_part(scenes)] if recipe.ingest.atmosphere != "none" else []),
        looks_part(dates, pictures=pictures),
        shift_part(scenes, recipe.ingest, pictures=pictures),
        level_part(store, scenes, recipe.ingest, pictures=pictures),
        seam_part(scenes, recipe.ingest, pictures=pictures),
    ]


def _refused(store: CubeStore, facts: Mapping[str, Any]) -> Sequence[str] | None:
    """What could not be used, by the intake or by the cubes themselves; None where neither tells."""
    told = [store.spec(name).attributes.get("missing") for name in store.names()]
    own = [tuple(one) for one in told if one is not None]
    return facts.get("refused", list(dict.fromkeys(line for one in own for line in one)) if own else None)


def _scenes(scenes: Sequence[SceneNote], refused: Sequence[str] | None, strange: Sequence[str]) -> Part:
    """What came in, and what could not be used."""
    words = [f"{_count(len(scenes), 'scene')} became dates of the cubes."]
    if refused is None:
        words.append("What the catalog refused was not noted.")
    elif not refused:
        words.append("No delivery was refused.")
    else:
        words.append(f"{_count(len(refused), 'delivery')} could not be used; the reasons stand below.")
    if strange:
        words.append(
            f"{_count(len(strange), 'file')} beside them {_was(strange)} not recognised, and left alone."
        )
    tables = [_bad("Deliveries that were refused", refused)] if refused else []
    tables += [_bad("What was not recognised", strange)] if strange else []
    tables.append(_listed(scenes))
    tables.append(_made(scenes))
    return Part("Scenes", tuple(words), tuple(tables))


def _was(these: Sequence[str]) -> str:
    return "was" if len(these) == 1 else "were"


def _bad(title: str, refused: Sequence[str]) -> Rows:
    lines = tuple((str(i + 1), " ".join(reason.split())) for i, reason in enumerate(refused))
    return Rows(title, ("", "what is wrong, and what to do"), "tw", lines)


def _listed(scenes: Sequence[SceneNote]) -> Rows:
    heads = ("role", "date", "scene", "taken (UTC)", "level", "sun zenith (°)", "view zenith (°)")
    lines = tuple(
        (
            note.date.role,
            note.date.date,
            note.name,
            str(note.told.get("time", ""))[11:19] or "–",
            str(note.told.get("level") or "–"),
            _degrees(note.told.get("sun_zenith")),
            _degrees(note.told.get("view_zenith")),
        )
        for note in scenes
    )
    return Rows("Scenes that were used", heads, "tthttnn", lines)


def _made(scenes: Sequence[SceneNote]) -> Rows:
    heads = ("scene", "steps", "gains", "remarks", "sha256")
    lines = tuple(
        (
            note.name,
            "; ".join(note.told.get("steps", ())) or "–",
            _gains(note.told.get("gains", ())) or "–",
            "; ".join(note.told.get("notes", ())) or "–",
            str(note.told.get("sha256") or _files(note)),
        )
        for note in scenes
    )
    return Rows("How each scene was made, and from which file", heads, "hwwwh", lines, folded=True)


def _gains(told: Sequence[str]) -> str:
    """'LAYER: where from', layers of the same source together."""
    layers: dict[str, list[str]] = {}
    for one in told:
        layer, _, source = one.partition(": ")
        layers.setdefault(source, []).append(layer)
    return "; ".join(f"{', '.join(names)}: {source}" for source, names in layers.items())


def _files(note: SceneNote) -> str:
    return " ".join(str(file["sha256"]) for file in note.told.get("files", ())) or "–"


def _degrees(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, (int, float)) else "–"


def _count(number: int, what: str) -> str:
    """'1 scene', '2 deliveries'."""
    many = what[:-1] + "ies" if what.endswith("y") else what + "s"
    return f"{number} {what if number == 1 else many}"
