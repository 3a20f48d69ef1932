"""Looks page: quick looks of each date with its masks, and which share of it is what."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from stsfusion.pipeline.facts import Part, Rows
from stsfusion.pipeline.scenenotes import DateNote
from stsfusion.views.composite import GAMMA
from stsfusion.views.marks import kinds_of, share_bars
from stsfusion.views.palette import Picture, png
from stsfusion.views.scenelooks import Look, scene_looks

__all__ = ["looks_part"]

TITLE = "Quick looks and masks"

_BARS = 40
"""Dates that bars are drawn for at most."""


def looks_part(dates: Sequence[DateNote], *, pictures: bool) -> Part:
    """A picture a role, bars of all dates, and the figures behind them."""
    if not dates:
        return Part(TITLE, ("No cube tells of its scenes.",))
    words = [] if pictures else ["Pictures were not asked for (report.pictures: false)."]
    drawn = (
        [_picture(list(group)) for _, group in groupby(dates, key=lambda note: note.role)] if pictures else []
    )
    if pictures and len(dates) <= _BARS:
        drawn.append(_bars(dates))
    elif pictures:
        words.append(f"There are more than {_BARS} dates: their shares are listed, not drawn.")
    return Part(TITLE, tuple(words), (_shares(dates),), tuple(drawn))


def _picture(dates: Sequence[DateNote]) -> Picture:
    role, spec = dates[0].role, dates[0].spec
    looks = [
        Look(_title(note), _words(note), note.seen.image, note.seen.kinds)
        for note in dates
        if note.seen is not None
    ]
    fewer = f" {len(looks)} of {len(dates)} dates are shown." if len(looks) < len(dates) else ""
    caption = (
        f"Cube '{role}', pixels of {spec.grid.pixel:g} m{_thinned(dates)}. Each date has a stretch of its "
        f"own: 2nd to 98th percentile, exponent {GAMMA:g}. The last column shows, on grey, "
        "what is known against a pixel, once, by what weighs most. "
        f"Shares are of all pixels of the cube.{fewer}"
    )
    return Picture(TITLE, f"Scenes of '{role}'", caption, png(scene_looks(looks, spec.marks)))


def _thinned(dates: Sequence[DateNote]) -> str:
    step = max(note.seen.step for note in dates if note.seen is not None)
    return "" if step == 1 else f", one in {step} along each side"


def _title(note: DateNote) -> str:
    return note.date if len(note.scenes) == 1 else f"{note.date} ({len(note.scenes)} scenes)"


def _words(note: DateNote) -> str:
    """What is against it, the largest shares first, two of them at most."""
    against = {kind.words: note.shares.get(kind.key, 0.0) for kind in kinds_of(note.spec.marks)[:-1]}
    first = sorted((kv for kv in against.items() if kv[1] > 0), key=lambda kv: -kv[1])[:2]
    return "\n".join([f"clear {_percent(note.shares['clear'])}", *(f"{w} {_percent(s)}" for w, s in first)])


def _bars(dates: Sequence[DateNote]) -> Picture:
    marks = {name: bit for note in dates for name, bit in note.spec.marks.items()}
    figure = share_bars([note.title for note in dates], [note.shares for note in dates], marks)
    caption = (
        "Share of each cube's pixels by what is known of them, in percent; the number is the clear share."
    )
    return Picture(TITLE, "Valid share by role and date", caption, png(figure))


def _shares(dates: Sequence[DateNote]) -> Rows:
    marks = {name: bit for note in dates for name, bit in note.spec.marks.items()}
    kinds = [kind for kind in kinds_of(marks) if kind.key != "clear"]
    lost = ("no_data", "cloud", "shadow")
    lines = tuple(
        (
            note.role,
            note.date,
            _percent(1 - sum(note.shares.get(key, 0.0) for key in lost), unit=""),
            *(_percent(note.shares[kind.key], unit="") if kind.key in note.shares else "–" for kind in kinds),
        )
        for note in dates
    )
    heads = ("role", "date", "valid (%)", *(f"{kind.words} (%)" for kind in kinds))
    return Rows("Share of pixels by role and date", heads, "tt" + "n" * (len(heads) - 2), lines)


def _percent(share: float, unit: str = " %") -> str:
    """With a digit more where rounding would make it nothing."""
    percent = 100 * share
    digits = 1 if percent >= 0.05 or percent == 0 else 3
    return f"{percent:.{digits}f}{unit}"
