"""Level page: how each scene's brightness was brought to the reference's, band by band."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.normalise import unchanged
from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.levelsample import against
from stsfusion.pipeline.scenenotes import SceneNote
from stsfusion.pipeline.scenesections import Ingest
from stsfusion.views.levels import Level, level_clouds
from stsfusion.views.palette import Picture, png

__all__ = ["level_part", "levels_of"]

TITLE = "Normalisation"

_SCENES = 4
"""Scenes whose scatter is drawn, those with the poorest lines first."""

_COLOURS = (560.0, 660.0, 835.0)
"""Bands nearest to these are drawn, nm."""

_STEP = (
    "Each band of a scene is multiplied by its slope and its offset is added, by a line through pixels that "
    "did not change between the scene and the reference. Where lines are poor, or no two calibrated "
    "instruments could differ so, the scene is left as it is."
)

Lines = Mapping[str, Mapping[str, Any]]


def level_part(store: CubeStore, scenes: Sequence[SceneNote], ingest: Ingest, *, pictures: bool) -> Part:
    """Scatters and lists; what was not normalised is said."""
    if ingest.normalise == "none":
        return Part(
            TITLE, ("Not asked for (ingest.normalise: none): scenes keep the brightness of their gains.",)
        )
    told = [note for note in scenes if "against" in _told(note)]
    words = [_STEP, *_said(scenes, told)]
    drawn: list[Picture] = []
    alone = [note for note in told if len(note.date.scenes) == 1 and _lines(note)]
    if pictures and told:
        first = sorted(alone, key=_poorest)[:_SCENES]
        levels = [level for note in first for level in levels_of(store, note)]
        drawn = [_picture(levels, len(first), len(told))] if levels else []
        if not levels:
            words.append("There is no scatter to show: no scene that is alone on its date shares pixels.")
    tables = (_summary(told), _every(told)) if told else ()
    return Part(TITLE, tuple(words), tables, tuple(drawn))


def _said(scenes: Sequence[SceneNote], told: Sequence[SceneNote]) -> Iterator[str]:
    """Which is the reference, and what stayed as it was."""
    leading = [note for note in scenes if _told(note).get("status") == "the reference"]
    if leading:
        yield f"The reference is {', '.join(f'{note.date.title} ({note.name})' for note in leading)}."
    kept = [f"{note.name} ({_told(note)['status']})" for note in told if not _told(note)["used"]]
    if kept:
        yield f"Left as they are: {', '.join(kept)}."
    lacking = [note.name for note in scenes if not _told(note)]
    if lacking:
        yield f"Nothing was noted of {', '.join(lacking)}."


def _told(note: SceneNote) -> Mapping[str, Any]:
    told: Mapping[str, Any] = note.told.get("normalisation", {})
    return told


def _lines(note: SceneNote) -> Lines:
    lines: Lines = _told(note).get("bands", {})
    return lines


def _poorest(note: SceneNote) -> float:
    return min(float(line["r2"]) for line in _lines(note).values())


def levels_of(store: CubeStore, note: SceneNote) -> Iterator[Level]:
    """Up to three bands of a scene against its reference, as stored; the line that was used is taken away."""
    lines = _lines(note)
    role, date = str(_told(note)["against"]).split()[:2]
    found = against(store, (note.date.role, note.date.date), (role, date), list(lines))
    if found is None or not found[0].size:
        return
    stored, reference = found
    slopes, offsets = (np.array([line[key] for line in lines.values()]) for key in ("slope", "offset"))
    scene = (stored - offsets[:, None]) / slopes[:, None]
    still = unchanged(reference, scene, np.ones(scene.shape[1], dtype=bool))
    names, spec = list(lines), note.date.spec
    nm = np.array([spec.wavelength[spec.bands.index(name)] for name in names])
    for i in dict.fromkeys(int(np.abs(nm - colour).argmin()) for colour in _COLOURS):
        line, used = lines[names[i]], bool(_told(note)["used"])
        slope, offset = line["found"] or (line["slope"], line["offset"])
        title = f"{note.date.title}, {names[i]} ({nm[i]:.0f} nm)"
        words = f"slope {slope:.3f}, offset {offset:+.4f}, R² {line['r2']:.4f}, n {line['count']}"
        if not used:
            words = f"not used; {words}"
        yield Level(title, words, scene[i], reference[i], still, slope, offset, used)


def _picture(levels: Sequence[Level], shown: int, count: int) -> Picture:
    fewer = f" {shown} of {count} scenes are shown." if shown < count else ""
    caption = (
        "Reflectance of the scene before the step against what the reference's bands read at the same "
        "places, sampled from the cubes in windows spread over them. Slope, offset, R² and count of the line "
        f"are as they were recorded.{fewer}"
    )
    return Picture(TITLE, "Scene against reference", caption, png(level_clouds(levels)))


def _summary(told: Sequence[SceneNote]) -> Rows:
    heads = (
        "role", "date", "against", "what came of it", "bands with a line", "slope, least to most",
        "offset, least to most (reflectance)", "R², least", "n, least",
    )  # fmt: skip
    return Rows("Lines by scene", heads, "ttttnnnnn", tuple(_line(note) for note in told))


def _line(note: SceneNote) -> tuple[str, ...]:
    lines = list(_lines(note).values())
    good = [line for line in lines if line["status"] == "good"]
    outcome = "brought to it" if _told(note)["used"] else f"left: {_told(note)['status']}"
    head = (
        note.date.role,
        note.date.date,
        str(_told(note)["against"]),
        outcome,
        f"{len(good)} of {len(lines)}",
    )
    if not good:
        return (*head, "–", "–", "–", "–")
    slopes, offsets = zip(*(line["found"] or (line["slope"], line["offset"]) for line in good), strict=True)
    return (
        *head,
        f"{min(slopes):.3f} to {max(slopes):.3f}",
        f"{min(offsets):+.4f} to {max(offsets):+.4f}",
        f"{min(line['r2'] for line in good):.4f}",
        f"{min(line['count'] for line in good)}",
    )


def _every(told: Sequence[SceneNote]) -> Rows:
    heads = (
        "role", "date", "band", "reference's band", "slope used", "offset used (reflectance)", "slope found",
        "offset found (reflectance)", "R²", "n", "status",
    )  # fmt: skip
    lines = tuple(
        (
            note.date.role, note.date.date, band, str(line["by"]), f"{line['slope']:.4f}",
            f"{line['offset']:+.4f}", *_found(line), f"{line['r2']:.4f}", f"{line['count']}",
            str(line["status"]),
        )
        for note in told
        for band, line in _lines(note).items()
    )  # fmt: skip
    return Rows("Every band's line", heads, "ttttnnnnnnt", lines, folded=True)


def _found(line: Mapping[str, Any]) -> tuple[str, str]:
    if line["found"] is None:
        return "–", "–"
    slope, offset = line["found"]
    return f"{slope:.4f}", f"{offset:+.4f}"
