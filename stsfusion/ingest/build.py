"""Build: from chosen scenes to one cube a role, tile by tile through an executor, and kept in a ledger.

::

    scenes ─► plan ─► each shard of each date: warped, calibrated, masked, mosaicked ─► cubes, published
              once    by whichever worker; killed, it goes on where it was

Of pixels no more is held than one shard. Cubes are made beside the store, and take its place when they are
whole; dates that the cubes before show as they would be made again are carried over.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from stsfusion.cube.generations import Generations
from stsfusion.cube.layout import listing_of
from stsfusion.cube.publication import Publication
from stsfusion.cube.staging import admit_place
from stsfusion.cube.store import CubeStore
from stsfusion.errors import PlanError
from stsfusion.ingest.carrying import carried_over, forsaken, is_begun, is_sound, place_of, shown
from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Plan, load_plan, save_plan
from stsfusion.ingest.prepare import Tell, prepare
from stsfusion.ingest.room import Room
from stsfusion.ingest.tile import ingest_tile, let_go
from stsfusion.running.executor import Inline
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Executor, Failure, Outcome, Success
from stsfusion.running.rounds import run_in_rounds
from stsfusion.sensing.scene import Scene

__all__ = ["Built", "build_cubes"]

_LEDGER, _SCENES, _MEASURED, _BEFORE = "ledger.sqlite", "scenes", "measured", "before"

_MEASURING = 0.3
"""Part of the work that is told of as measuring."""


@dataclass(frozen=True)
class Built:
    """What was made."""

    lineage: dict[str, list[dict[str, Any]]]
    """By role and date, the scenes with their files, steps, gains and offsets."""

    scenes: dict[str, list[list[Scene]]]
    """By role and date, those that were used."""

    missing: tuple[str, ...]
    """Deliveries that were left out, with the reasons."""

    made: int
    """Tiles that were made now."""

    tiles: int
    """Tiles in all."""

    carried: int
    """Tiles of dates that were taken over from the cubes before, as they are."""


def build_cubes(
    chosen: Chosen,
    store: CubeStore,
    options: Options | None = None,
    *,
    owner: str | None = None,
    work: Path | None = None,
    stamp: str = "",
    version: str = "",
    missing: Sequence[str] = (),
    executor: Executor | None = None,
    tell: Tell = lambda done, words: None,
) -> Built:
    """Write and publish a cube for each role.

    Parameters
    ----------
    chosen
        The scenes and their grids.
    owner
        Of the store.
    work
        Where the plan, the ledger and unpacked archives lie, so that a run that was killed goes on; a refusal
        before the first tile is made leaves nothing of it. None: a folder beside the store, gone afterwards.
    stamp
        Of all that the cubes depend on; what `work` holds of another one is not used.
    version
        Of the code, and of what is known of the instruments; dates that another made are not carried over.
        '': none are.
    missing
        Deliveries that were left out before, with the reasons; the cubes tell of them.
    executor
        Where tiles are made; None: in this process.
    tell
        Told of the share that is done, and of what.

    Raises
    ------
    DeliveryError
        When a scene is not what it was when it was catalogued, or lacks gains.
    PlanError
        When tiles failed; those that were made are kept.
    KeyboardInterrupt
        When the executor was stopped; tiles that were made are kept.
    """
    job = _Job(chosen, store, options or Options(), owner, work or Path(), stamp, version, tuple(missing))
    if work is None:
        store.path.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".ingest-", dir=store.path.parent))
        try:
            return _build(replace(job, work=place), executor, tell)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    try:
        return _build(job, executor, tell)
    except Exception:
        if not _is_begun(job):
            shutil.rmtree(work / _SCENES if store.path.exists() else work, ignore_errors=True)
        raise


def _is_begun(job: _Job) -> bool:
    with Ledger.open(job.work / _LEDGER, job.stamp, readonly=True) as ledger:
        return ledger.summary()["done"] > 0


@dataclass(frozen=True)
class _Job:
    """What is asked."""

    chosen: Chosen
    store: CubeStore
    options: Options
    owner: str | None
    work: Path
    stamp: str
    version: str
    missing: tuple[str, ...]


def _build(job: _Job, executor: Executor | None, tell: Tell) -> Built:
    room = Room(job.work / _SCENES, job.options.limits)
    place = place_of(job.store.path, job.stamp)
    generations = Generations(job.store.path, job.work / _BEFORE)
    generations.recover()
    for role in job.chosen.days:
        admit_place(Publication(job.store.path), role, job.owner)
    plan = load_plan(job.work, job.stamp)
    if plan is None or plan.store != place:
        words = job.missing, job.version, job.work / _MEASURED
        plan = prepare(job.chosen, place, job.options, room, _first(tell), *words)
        save_plan(plan, job.work, job.stamp)
    made = carried = 0
    if not _shows(job.store, plan, job.owner):
        with Ledger.open(job.work / _LEDGER, job.stamp) as ledger:
            made, carried = _make(job, plan, room, ledger, executor or Inline(), tell)
        generations.succeed(place, keep=False)
    for left in (*forsaken(job.store.path), generations.shelf):
        shutil.rmtree(left, ignore_errors=True)
    room.clear()
    return _built(plan, made, carried)


def _shows(store: CubeStore, plan: Plan, owner: str | None) -> bool:
    """Whether a store is what the plan says, file by file."""
    wanted = {cube.role: listing_of(cube.spec, owner) for cube in plan.cubes}
    return shown(store) == wanted and is_sound(store)


def _first(tell: Tell) -> Tell:
    """Tells of the measuring alone."""
    return lambda done, words: tell(_MEASURING * done, words)


def _built(plan: Plan, made: int, carried: int) -> Built:
    """What there is to tell."""
    scenes = {cube.role: [[piece.scene for piece in day] for day in cube.days] for cube in plan.cubes}
    lineage = {cube.role: cube.spec.attributes["lineage"] for cube in plan.cubes}
    missing = tuple(plan.cubes[0].spec.attributes["missing"])
    return Built(lineage, scenes, missing, made, len(plan.tiles), carried)


def _unpack(plan: Plan, room: Room, keys: Sequence[str]) -> None:
    """What some tiles are made of, where it is not there from the measuring."""
    tiles = plan.tiles
    wanted = [tiles[key] for key in keys]
    dates = {(cube.role, window.dates[0]): cube.days[window.dates[0]] for cube, window in wanted}
    for piece in (piece for day in dates.values() for piece in day):
        room.home(piece.scene)


def _begin(job: _Job, plan: Plan) -> CubeStore:
    """Cubes that are being made, with those that were begun before."""
    new = CubeStore(plan.store)
    for left in forsaken(job.store.path, plan.store):
        shutil.rmtree(left)
    if new.path.exists() and not (is_begun(new) or _shows(new, plan, job.owner)):
        shutil.rmtree(new.path)
    for cube in plan.cubes:
        new.create(cube.role, cube.spec, owner=job.owner, replace=True)
    return new


def _make(
    job: _Job, plan: Plan, room: Room, ledger: Ledger, executor: Executor, tell: Tell
) -> tuple[int, int]:
    """Make every tile that is not made, and publish; how many were made, and how many carried over."""
    new, tiles = _begin(job, plan), plan.tiles
    if new.names():
        return 0, 0
    kept = carried_over(plan, job.store, new, lambda: tell(_MEASURING, "comparing the cubes before"))
    wanted = [key for key, (cube, window) in tiles.items() if (cube.role, window.dates[0]) not in kept]
    ledger.plan(wanted)
    done = ledger.still_done(_checksum(plan, new))
    left = [key for key in wanted if key not in done]
    _unpack(plan, room, left)
    count = _counter(tell, len(tiles) - len(left), len(tiles))

    def ended(key: str, end: Success[dict[str, Any]] | Failure) -> None:
        ledger.record(key, end)
        count(key)

    folder = str(job.work.resolve())
    try:
        work = partial(ingest_tile, folder, job.stamp)
        where = executor if left else Inline()
        outcome = run_in_rounds(where, work, left, ended, ledger, _checksum(plan, new))
    finally:
        let_go(folder, job.stamp)
    _all_well(outcome, ledger, len(tiles))
    new.publish()
    return outcome.done, len(tiles) - len(wanted)


def _checksum(plan: Plan, new: CubeStore) -> Callable[[str], str]:
    """Of a tile as it is now."""
    tiles = plan.tiles

    def checksum(key: str) -> str:
        cube, window = tiles[key]
        return new.checksum(cube.role, window)

    return checksum


def _counter(tell: Tell, done: int, tiles: int) -> Callable[[str], None]:
    """Tells of one more tile each time."""
    ended = [done]

    def count(key: str) -> None:
        ended[0] = min(ended[0] + 1, tiles)
        tell(_MEASURING + (1 - _MEASURING) * ended[0] / tiles, f"ingesting '{key.split()[0]}'")

    return count


def _all_well(outcome: Outcome[str], ledger: Ledger, tiles: int) -> None:
    """Nothing is published unless every tile was made."""
    if outcome.interrupted:
        raise KeyboardInterrupt
    failed = ledger.failures()
    if failed:
        shown = "; ".join(f"{key}: {why}" for key, why in list(failed.items())[:3])
        raise PlanError(
            "ingest",
            expected=f"all of {tiles} tiles",
            got=f"{len(failed)} failed: {shown}",
            mend="Mend it and run the same command again: tiles that were made are kept.",
        )
