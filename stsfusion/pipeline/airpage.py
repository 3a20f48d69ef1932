"""Air page: how much haze was taken away from each scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.scenenotes import SceneNote

__all__ = ["air_part"]

_STEP = (
    "The reflectance of a scene's darkest pixels, less what dark ground has, is taken for haze, and is taken "
    "away from the whole scene, band by band."
)


def air_part(scenes: Sequence[SceneNote]) -> Part:
    """A list by scene, and one of every band; what was not done is said."""
    told = [note for note in scenes if "atmosphere" in note.told]
    words = [_STEP]
    lacking = [note.name for note in scenes if note not in told]
    if lacking:
        words.append(f"Nothing was noted of {', '.join(lacking)}.")
    tables = (_summary(told), _every(told)) if told else ()
    return Part("Atmosphere", tuple(words), tables)


def _bands(note: SceneNote) -> Mapping[str, Mapping[str, float | None]]:
    bands: Mapping[str, Any] = note.told["atmosphere"].get("bands") or {}
    return bands


def _summary(told: Sequence[SceneNote]) -> Rows:
    heads = ("role", "date", "what came of it", "bands", "haze, least to most (reflectance)")
    return Rows("Haze by scene", heads, "ttwnn", tuple(_line(note) for note in told))


def _line(note: SceneNote) -> tuple[str, ...]:
    haze = [one["haze"] or 0.0 for one in _bands(note).values()]
    status = str(note.told["atmosphere"]["status"])
    words = "taken away" if status == "good" else f"left: {status}"
    span = f"{min(haze):.4f} to {max(haze):.4f}" if haze else "–"
    return note.date.role, note.date.date, words, str(len(haze)), span


def _every(told: Sequence[SceneNote]) -> Rows:
    heads = ("role", "date", "band", "darkest pixels (reflectance)", "haze (reflectance)")
    lines = tuple(
        (note.date.role, note.date.date, band, _reflectance(one["dark"]), _reflectance(one["haze"]))
        for note in told
        for band, one in _bands(note).items()
    )
    return Rows("Every band's haze", heads, "tttnn", lines, folded=True)


def _reflectance(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
