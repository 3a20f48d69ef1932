"""Level: every scene brought to the brightness of one instrument, by pixels that did not change.

::

    the reference's own dates   each against the one in the middle
    the others' dates           each against the reference's nearest in time, as it was levelled

The hyperspectral instrument is the reference where there is one, for it can tell what any other would read.
Gains that are off are mended so; but a change that took all the ground alike is not told from brightness, and
taken away. The step is therefore only made when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.known import looked_at_by, measured_or_known, seen_of
from stsfusion.ingest.matching import matched
from stsfusion.ingest.measure import Bench, Found, Series
from stsfusion.ingest.normalise import Line, normalise
from stsfusion.ingest.plan import Scale
from stsfusion.ingest.sampled import Values, of_day, of_scene, places, sampled
from stsfusion.ingest.stamps import frame_of

__all__ = ["levelled", "reference_role"]

_ORDER = ("rich", "sharp", "dense")
"""Who is the reference, if it is there."""

_HELD = 0.5
"""Part of the pixels of the best band that a band must hold to be looked at."""

_LEFT = "left with the other bands"
"""What is said of a band whose own line is good in a scene that stays as it is."""

_POOR = 0.1
"""Part of a scene's bands that may lack a line; beyond, or where a slope is absurd, it stays as it is."""


def reference_role(series: Mapping[str, Series]) -> str:
    """The role that all are brought to."""
    return next(role for role in _ORDER if role in series)


def levelled(bench: Bench, series: Mapping[str, Series]) -> dict[str, Series]:
    """Every scene with its lines and what was found; one without good lines stays as it is, and says so."""
    leading = reference_role(series)
    own, middle = series[leading], len(series[leading].days) // 2
    found = [
        tuple(_reference(one) if date == middle else _levelled(bench, own, one, own, middle) for one in day)
        for date, day in enumerate(own.found)
    ]
    done = {leading: replace(own, found=tuple(found))}
    for role, other in series.items():
        if role != leading:
            done[role] = _other(bench, other, done[leading])
    return {role: done[role] for role in series}


def _other(bench: Bench, series: Series, reference: Series) -> Series:
    """Another instrument's dates."""
    found = [
        tuple(_levelled(bench, series, one, reference, reference.nearest(day)) for one in scenes)
        for day, scenes in zip(series.days, series.found, strict=True)
    ]
    return replace(series, found=tuple(found))


def _reference(one: Found) -> Found:
    return replace(one, told={**one.told, "normalisation": {"status": "the reference"}})


def _levelled(bench: Bench, series: Series, one: Found, reference: Series, date: int) -> Found:
    """One scene against one date of the reference, now or before."""
    scene, others = one.piece.scene, reference.found[date]
    own = [series.role, frame_of(series.spec), series.ratio, seen_of([one])]
    against = [
        reference.role,
        f"{reference.days[date].time:%Y-%m-%d}",
        frame_of(reference.spec),
        reference.ratio,
        seen_of(others),
    ]
    looked = looked_at_by(bench.options, [scene, *(other.piece.scene for other in others)])
    what = ["levelled", own, against, looked]
    return measured_or_known(
        bench.before, what, scene, one.piece.home, lambda: _level(bench, series, one, reference, date)
    )


def _level(bench: Bench, series: Series, one: Found, reference: Series, date: int) -> Found:
    """One scene against one date of the reference."""
    lines = _lines(bench, series, one, reference, date)
    status = _status({band: line for band, (line, _) in lines.items()})
    used = status == "good"
    bands = {band: _words(line, by, used) for band, (line, by) in lines.items()}
    name = f"{reference.role} {reference.days[date].time:%Y-%m-%d}"
    told = {"against": name, "status": status, "used": used, "bands": bands}
    scales = tuple(Scale(band, said["slope"], said["offset"]) for band, said in bands.items() if used)
    piece = replace(one.piece, scales=(*one.piece.scales, *scales))
    step = [f"brought to the brightness of {name} by pixels that did not change"] if used else []
    return Found(piece, {**one.told, "steps": [*one.told["steps"], *step], "normalisation": told})


def _words(line: Line, by: str, used: bool) -> dict[str, Any]:
    """One band's line for the lineage: what is used, and what was found."""
    slope, offset = (line.slope, line.offset) if used else (1.0, 0.0)
    return {
        "by": by, "slope": round(slope, 6), "offset": round(offset, 6), "r2": round(line.r2, 4),
        "count": line.count, "status": _LEFT if line.status == "good" and not used else line.status,
        "found": None if line.found is None else [round(number, 6) for number in line.found],
    }  # fmt: skip


def _lines(
    bench: Bench, series: Series, one: Found, reference: Series, date: int
) -> dict[str, tuple[Line, str]]:
    """By band, the line and the reference's band; empty where the two share nothing."""
    others = reference.pieces(date)
    *beside, member = bench.readers.members([*others, one.piece])
    match = matched(reference.sensor, reference.spec.bands, series.sensor, member.view.bands)
    grid = series.spec.grid.coarsen(math.lcm(series.ratio, reference.ratio) // series.ratio)
    windows = places([[piece.scene for piece in others], [one.piece.scene]], grid)
    if not windows or not match.bands:
        return {}
    test = bench.options.clouds
    images = (
        of_day(beside, reference.spec, reference.ratio, test, match.weights),
        of_scene(member, series.spec, series.ratio, test),
    )
    (first, known), (second, seen) = sampled(images, windows)
    own = [member.view.bands.index(band) for band in match.bands]
    lines = _through(first, second[own], known & seen[own])
    return dict(zip(match.bands, zip(lines, match.by, strict=True), strict=True))


def _through(reference: Values, image: Values, both: NDArray[np.bool_]) -> list[Line]:
    """A line for each band; those that few pixels hold would leave none to the others, and get none."""
    count = both.sum(axis=1)
    kept = count >= _HELD * count.max()
    found = iter(normalise(reference[kept], image[kept], np.asarray(both[kept].all(axis=0))))
    return [
        next(found) if held else Line(1.0, 0.0, 0.0, int(number), "too few pixels")
        for held, number in zip(kept, count, strict=True)
    ]


def _status(lines: Mapping[str, Line]) -> str:
    """'good', or why the scene stays as it is."""
    if not lines:
        return "nothing to compare"
    absurd = [band for band, line in lines.items() if line.status == "absurd slope"]
    if absurd:
        return f"absurd slope in {', '.join(absurd[:5])}"
    poor: list[Any] = [band for band, line in lines.items() if line.status != "good"]
    if len(poor) > _POOR * len(lines):
        return f"{lines[poor[0]].status} in {', '.join(poor[:5])}"
    return "good"
