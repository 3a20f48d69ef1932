"""Shift page: how each scene lay beside the sharp one, and whether it was moved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.scenenotes import SceneNote
from stsfusion.pipeline.scenesections import Ingest
from stsfusion.views.marks import kinds_of
from stsfusion.views.palette import Picture, png
from stsfusion.views.shifts import Shift, State, shift_maps

__all__ = ["outcome", "shift_part"]

TITLE = "Co-registration"

_MAPS = 12
"""Scenes that a map is drawn for, those that were not moved first."""

_ORDER: tuple[State, ...] = ("failed", "told", "moved", "left")


def shift_part(scenes: Sequence[SceneNote], ingest: Ingest, *, pictures: bool) -> Part:
    """Arrows and a list; what was not measured is said."""
    if not ingest.align:
        return Part(
            TITLE, ("Not asked for (ingest.align: false): scenes lie where their own geometry says.",)
        )
    measured = [note for note in scenes if "registration" in note.told]
    sharp = [note for note in scenes if note.date.role == "sharp"]
    if not sharp:
        return Part(TITLE, ("Not done: there is no 'sharp' cube to lay the others on.",))
    words = [
        "Each scene is measured against the sharp one nearest in time, in windows spread over it. It is "
        f"moved when they agree and the offset is at most {ingest.threshold:g} pixels of its cube; else "
        "it is told of here, and left where it was."
    ]
    lacking = [note.name for note in scenes if note not in measured and note not in sharp]
    if lacking:
        words.append(f"Not measured, for want of a band that both show: {', '.join(lacking)}.")
    if not measured:
        words.append("No scene was measured.")
    bad = [note for note in measured if _state(note) in ("failed", "told")]
    if bad:
        words.append(f"Not laid on the reference: {', '.join(note.name for note in bad)}.")
    maps = _maps(measured, ingest.threshold) if pictures and measured else []
    return Part(TITLE, tuple(words), (_table(measured, sharp, ingest.threshold),), tuple(maps))


def outcome(told: Mapping[str, Any], threshold: float) -> tuple[State, str]:
    """What came of a measurement, in a word and in a sentence.

    Parameters
    ----------
    told
        The lineage's 'registration': status, moved, down and right in pixels.
    threshold
        Pixels.
    """
    length = math.hypot(told["down"], told["right"])
    if told["moved"]:
        return "moved", f"moved back by {length:.2f} px"
    if told["status"] == "good":
        return "left", f"{length:.2f} px: too little to be moved"
    if told["status"] == "large":
        return "told", f"{length:.2f} px, beyond {threshold:g}: not moved"
    return "failed", f"{told['status']}: not moved"


def _state(note: SceneNote) -> State:
    return outcome(note.told["registration"], 0.0)[0]


def _maps(measured: Sequence[SceneNote], threshold: float) -> list[Picture]:
    first = sorted(measured, key=lambda note: _ORDER.index(_state(note)))[:_MAPS]
    fewer = f" {len(first)} of {len(measured)} scenes are shown." if len(first) < len(measured) else ""
    caption = (
        "Where a scene's content lay beside the reference before it was moved: an arrow a window, in pixels "
        "of the scene's cube, drawn longer than it is; the key at the lower right tells by how much. White: "
        f"where the date holds data.{fewer}"
    )
    figure = shift_maps([_shift(note, threshold) for note in first])
    return [Picture(TITLE, "Shift vectors", caption, png(figure), len(first) > 2)]


def _shift(note: SceneNote, threshold: float) -> Shift:
    told, spec = note.told["registration"], note.date.spec
    state, words = outcome(told, threshold)
    vectors = np.asarray(told.get("vectors", ()), dtype=float).reshape(-1, 4)
    seen = None
    if note.date.seen is not None:
        unseen = [kind.key for kind in kinds_of(spec.marks)].index("no_data")
        seen = note.date.seen.kinds != unseen
    return Shift(note.date.title, words, state, spec.grid.shape, vectors, seen)


def _table(measured: Sequence[SceneNote], sharp: Sequence[SceneNote], threshold: float) -> Rows:
    heads = (
        "role", "date", "what came of it", "down (px)", "right (px)", "length (px)", "length (m)",
        "spread (px)", "windows agreed", "against", "by band",
    )  # fmt: skip
    lines: list[tuple[str, ...]] = [
        (note.date.role, note.date.date, "the reference", *("–",) * 8) for note in sharp
    ]
    lines += [(note.date.role, note.date.date, *_figures(note, threshold)) for note in measured]
    return Rows("Offsets by scene", heads, "tttnnnnnntt", tuple(lines))


def _figures(note: SceneNote, threshold: float) -> tuple[str, ...]:
    told = note.told["registration"]
    state, words = outcome(told, threshold)
    windows = f"{len(told.get('vectors', ()))} of {told.get('windows', '?')}"
    if not told.get("vectors"):
        return words, *("–",) * 5, windows, str(told["against"]), str(told["band"])
    length = math.hypot(told["down"], told["right"])
    numbers = tuple(f"{round(one, 3) + 0.0:.3f}" for one in (told["down"], told["right"], length))
    metres = f"{length * note.date.spec.grid.pixel:.1f}"
    short = {
        "moved": "moved back",
        "left": "too little to be moved",
        "told": f"beyond {threshold:g} px: not moved",
    }
    return (
        short.get(state, words), *numbers, metres, f"{told['spread']:.3f}", windows, str(told["against"]),
        str(told["band"]),
    )  # fmt: skip
