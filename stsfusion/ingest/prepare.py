"""Prepare: from chosen scenes to a plan of every tile: unpacked, measured, told of."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.atmosphere import corrected
from stsfusion.ingest.choose import Chosen, Day
from stsfusion.ingest.heights import check_terrain, terrain_notes
from stsfusion.ingest.known import looked_at_by, measured_or_known, seen_of
from stsfusion.ingest.level import levelled
from stsfusion.ingest.masks import named_masks
from stsfusion.ingest.measure import SHARP, Bench, Found, Series, beside, measured
from stsfusion.ingest.missing import check_gains
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Cube, Plan
from stsfusion.ingest.plausible import looked_at
from stsfusion.ingest.readers import Readers
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.room import Room
from stsfusion.ingest.seen import unseen
from stsfusion.ingest.stamps import STAMP, frame_of, stamp_of, unplaced
from stsfusion.ingest.steps import laid_together
from stsfusion.ingest.together import check_together
from stsfusion.sensing.scene import Scene

__all__ = ["Tell", "prepare"]

Tell = Callable[[float, str], None]
"""Told of the share that is done, and of what."""


def prepare(
    chosen: Chosen,
    store: Path,
    options: Options,
    room: Room,
    tell: Tell,
    missing: Sequence[str] = (),
    version: str = "",
    kept: Path | None = None,
) -> Plan:
    """Look at every scene, and say how each tile is made.

    Parameters
    ----------
    store
        The folder of the cubes.
    missing
        Deliveries that were left out before, with the reasons.
    version
        Of the code, and of what is known of the instruments; dates are stamped with it. '': none is stamped.
    kept
        Where it is kept what was measured, so that it need not be measured again; None: nowhere.

    Raises
    ------
    DeliveryError
        When a scene is not what it was when it was catalogued, or lacks gains; when the model of heights is
        none, or knows nothing of a scene's ground.
    """
    check_terrain(options.terrain)
    check_gains(chosen, options.gains)
    check_together(chosen, options)
    options = replace(options, masks=named_masks(chosen, options.masks))
    done: dict[str, Series] = {}
    lost = list(missing)
    roles = sorted(chosen.days, key=lambda role: role != SHARP)
    before = Remembered(kept, version)
    with Readers(options.gains, options.limits, room) as readers:
        for at, role in enumerate(roles):
            bench = Bench(options, room, readers, done.get(SHARP), before)
            done[role] = _series(bench, chosen, role, _part(tell, at, len(roles)), lost)
        if options.atmosphere == "dark-object":
            done = {role: _each(bench, series) for role, series in done.items()}
        if options.normalise == "pif":
            done = levelled(bench, done)
    before.forget()
    cubes = tuple(_cube(series, lost, options, version) for series in done.values())
    return Plan(store, cubes, options.gains, options.clouds, options.limits)


def _part(tell: Tell, before: int, roles: int) -> Tell:
    return lambda done, words: tell((before + done) / roles, words)


def _series(bench: Bench, chosen: Chosen, role: str, tell: Tell, lost: list[str]) -> Series:
    """Every scene of a cube, measured; those that are bad are told of in `lost` where that is allowed."""
    series, days, found = Series.of(chosen, role), [], []
    for at, day in enumerate(series.days):
        tell(at / len(series.days), f"measuring '{role}', {day.time:%Y-%m-%d}")
        good = []
        for scene in day.scenes:
            try:
                good.append(_known(bench, series, day, scene))
            except DeliveryError as fault:
                if not bench.options.allow_missing:
                    raise
                lost.append(f"{scene.name}: {fault}".replace(f"{Path(scene.delivery).parent}{os.sep}", ""))
        if good:
            days.append(Day(tuple(one.piece.scene for one in good)))
            others = len(good) - 1
            found.append(tuple(replace(one, told=laid_together(one.told, others)) for one in good))
    if not days:
        raise DeliveryError(f"role '{role}'", expected="a scene that can be used", got=" | ".join(lost))
    left = replace(chosen, days={**chosen.days, role: tuple(days)})
    return replace(Series.of(left, role), found=tuple(found))


def _known(bench: Bench, series: Series, day: Day, scene: Scene) -> Found:
    """One scene, measured now or before."""
    against, others = beside(bench, series, day)
    scenes = [scene, *(piece.scene for piece in others)]
    frame = [frame_of(series.spec), series.ratio]
    what = ["measured", unplaced(scene), frame, against, looked_at_by(bench.options, scenes)]
    home = bench.room.place(scene)
    return measured_or_known(bench.before, what, scene, home, lambda: _found(bench, series, day, scene))


def _found(bench: Bench, series: Series, day: Day, scene: Scene) -> Found:
    """One scene, measured and looked at; what is odd is in its lineage, and the user is warned of it."""
    notes = terrain_notes(bench.options.terrain, scene, series.spec.grid)
    one = looked_at(bench, series, measured(bench, series, day, scene))
    (member,) = bench.readers.members([one.piece])
    notes += unseen(member.view, series.spec.grid)
    for words in notes:
        warnings.warn(f"scene {scene.name}: {words}", UserWarning, stacklevel=2)
    return replace(one, told={**one.told, "notes": [*one.told["notes"], *notes]})


def _each(bench: Bench, series: Series) -> Series:
    """A cube's scenes without haze."""
    found = tuple(tuple(_clear(bench, series, one) for one in day) for day in series.found)
    return replace(series, found=found)


def _clear(bench: Bench, series: Series, one: Found) -> Found:
    """One scene without haze, now or before."""
    scene = one.piece.scene
    looked = looked_at_by(bench.options, [scene])
    what = ["corrected", seen_of([one]), frame_of(series.spec), series.ratio, looked]
    home = one.piece.home
    return measured_or_known(bench.before, what, scene, home, lambda: corrected(bench, series, one))


def _cube(series: Series, lost: Sequence[str], options: Options, version: str) -> Cube:
    """A cube that tells of its scenes, and of those that it lacks."""
    quantities = {one.told["quantity"] for found in series.found for one in found}
    said = {
        "quantity": quantities.pop() if len(quantities) == 1 else "mixed, see lineage",
        "lineage": [
            _date(series.spec, day, found, options, version)
            for day, found in zip(series.days, series.found, strict=True)
        ],
        "missing": list(lost),
    }
    spec = replace(series.spec, attributes={**series.spec.attributes, **said})
    return Cube(series.role, spec, tuple(tuple(one.piece for one in found) for found in series.found))


def _date(spec: CubeSpec, day: Day, found: Sequence[Found], options: Options, version: str) -> dict[str, Any]:
    """The lineage of one date, with its stamp."""
    pieces, told = [one.piece for one in found], [one.told for one in found]
    stamp = {STAMP: stamp_of(spec, pieces, told, options, version)} if version else {}
    return {"date": f"{day.time:%Y-%m-%d}", **stamp, "scenes": told}
