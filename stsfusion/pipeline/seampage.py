"""Seam page: how two detectors of one instrument fit where both see the same wavelengths."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.scenenotes import SceneNote
from stsfusion.pipeline.scenesections import Ingest
from stsfusion.views.palette import Picture, png
from stsfusion.views.seams import Meeting, Side, seam_curves

__all__ = ["meeting_of", "seam_part"]

TITLE = "Seam of the detectors"

_AROUND = 60.0
"""Wavelengths that are shown beside the overlap, nm."""


def seam_part(scenes: Sequence[SceneNote], ingest: Ingest, *, pictures: bool) -> Part:
    """Curves and a list; what was not compared is said."""
    two = [note for note in scenes if _overlap(note)]
    if not two:
        return Part(TITLE, ("No instrument of this run has two detectors that overlap.",))
    if not ingest.detectors:
        return Part(TITLE, ("Not asked for (ingest.detectors: false): the second detector is as delivered.",))
    told = [note for note in two if "detectors" in note.told]
    words = [
        "Both detectors saw the overlap in the same light, so their ratio there should be one and their "
        "offset none. The second is divided by the ratio and moved back by the offset where these can be "
        "told from nothing."
    ]
    lacking = [note.name for note in two if note not in told]
    if lacking:
        words.append(f"Not compared: {', '.join(lacking)}.")
    meetings = [meeting for note in told if (meeting := meeting_of(note)) is not None]
    drawn = [_picture(meetings)] if pictures and meetings else []
    if pictures and told and not meetings:
        words.append("No pixel was seen by both detectors, so there is no spectrum to show.")
    return Part(TITLE, tuple(words), (_table(told),), tuple(drawn))


def meeting_of(note: SceneNote) -> Meeting | None:
    """Mean spectra on both sides; None where no picture was taken or no pixel was seen by both."""
    seen, told, spec = note.date.seen, note.told["detectors"], note.date.spec
    if seen is None or not seen.pixels:
        return None
    nm = np.asarray(spec.wavelength)
    low, high = _overlap(note) or (0.0, 0.0)
    near = (nm >= low - _AROUND) & (nm <= high + _AROUND) & np.isfinite(seen.spectrum)
    second = np.array([name.startswith(told["detector"]) for name in spec.bands])
    names = [name for name, own in zip(spec.bands, second, strict=True) if not own]
    one, other = (
        Side(name, nm[order], seen.spectrum[order])
        for chosen, name in ((~second, names[0].rstrip("0123456789")), (second, told["detector"]))
        for order in [np.flatnonzero(near & chosen)[np.argsort(nm[near & chosen])]]
    )
    ratio = float(told["ratio"]) if told["dimmed"] else 1.0
    return Meeting(note.date.title, _words(note), one, other, ratio, (low, high))


def _overlap(note: SceneNote) -> tuple[float, float] | None:
    """The wavelengths of the bands that are flagged so; None where fewer than two are."""
    spec = note.date.spec
    flags = spec.attributes.get("band_flags") or {}
    nm = [
        nm for name, nm in zip(spec.bands, spec.wavelength, strict=True) if "overlap" in flags.get(name, ())
    ]
    return (min(nm), max(nm)) if len(nm) > 1 else None


def _words(note: SceneNote) -> str:
    told = note.told["detectors"]
    gain = f"ratio {told['ratio']:.4f} ({'put right' if told['dimmed'] else 'left'})"
    length = math.hypot(told["down"], told["right"])
    moved = f"offset {length:.2f} px ({'put right' if told['moved'] else 'left'})"
    return f"{gain}, {moved}; mean of {note.date.seen.pixels if note.date.seen else 0} pixels"


def _picture(meetings: Sequence[Meeting]) -> Picture:
    low, high = meetings[0].overlap
    caption = (
        "Mean reflectance of the pixels that every band saw, by wavelength in nm, around the overlap of "
        f"{low:.0f} to {high:.0f} nm. Circles: first detector; squares: second; dotted: the second "
        "before it was divided by the ratio, where it was."
    )
    return Picture(
        TITLE, "Mean spectra on both sides", caption, png(seam_curves(meetings)), len(meetings) > 1
    )


def _table(told: Sequence[SceneNote]) -> Rows:
    heads = (
        "date", "second detector", "ratio", "spread", "pixels", "ratio used", "down (px)", "right (px)",
        "offset used", "step at the seam before", "step now",
    )  # fmt: skip
    return Rows("Ratio and offset by scene", heads, "ttnnntnntnn", tuple(_line(note) for note in told))


def _line(note: SceneNote) -> tuple[str, ...]:
    told = note.told["detectors"]
    used = "divided by it" if told["dimmed"] else _left(told["status"])
    moved = "moved back" if told["moved"] else _left(told["shift"])
    meeting = meeting_of(note)
    gaps = ("–", "–") if meeting is None else (_percent(_gap(meeting, before=True)), _percent(_gap(meeting)))
    return (
        note.date.date, told["detector"], f"{told['ratio']:.4f}", f"{told['spread']:.4f}",
        f"{told['pixels']}", used, _number(told["down"]), _number(told["right"]), moved, *gaps,
    )  # fmt: skip


def _number(value: float) -> str:
    """Without a minus before nothing."""
    return f"{round(value, 3) + 0.0:.3f}"


def _left(status: str) -> str:
    return "left: too little" if status == "good" else f"left: {status}"


def _gap(meeting: Meeting, *, before: bool = False) -> float:
    """Second over first minus one, mean over the second's bands in the overlap; NaN where there are none."""
    low, high = meeting.overlap
    one, other = meeting.first, meeting.second
    inside = (other.wavelength >= low) & (other.wavelength <= high)
    if not inside.any() or one.wavelength.size < 2:
        return math.nan
    first = np.interp(other.wavelength[inside], one.wavelength, one.mean)
    return float((other.mean[inside].mean() * (meeting.ratio if before else 1.0)) / first.mean() - 1)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:+.2f} %"
