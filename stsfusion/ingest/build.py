"""Build: from chosen scenes to one cube a role, tile by tile through an executor, and kept in a ledger.

::

    scenes ─► plan ─► each shard of each date: warped, calibrated, masked, mosaicked ─► cubes, published
              once    by whichever worker; killed, it goes on where it was

Of pixels no more is held than one shard.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from stsfusion.cube.publication import Publication
from stsfusion.cube.store import CubeStore
from stsfusion.errors import PlanError
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

__all__ = ["Built", "build_cubes", "is_planned"]

_LEDGER, _SCENES = "ledger.sqlite", "scenes"

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


def build_cubes(
    chosen: Chosen,
    store: CubeStore,
    options: Options | None = None,
    *,
    owner: str | None = None,
    work: Path | None = None,
    stamp: str = "",
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
    job = _Job(chosen, store, options or Options(), owner, work or Path(), stamp, tuple(missing))
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
            shutil.rmtree(work, ignore_errors=True)
        raise


def is_planned(work: Path, stamp: str) -> bool:
    """Whether a folder holds the plan of this very job, so that what was made by it can be gone on from."""
    return load_plan(work, stamp) is not None


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
    missing: tuple[str, ...]


def _build(job: _Job, executor: Executor | None, tell: Tell) -> Built:
    room = Room(job.work / _SCENES, job.options.limits)
    plan = load_plan(job.work, job.stamp)
    if plan is None:
        plan = prepare(job.chosen, job.store.path, job.options, room, _first(tell), job.missing)
        save_plan(plan, job.work, job.stamp)
    _begin(job, plan)
    with Ledger.open(job.work / _LEDGER, job.stamp) as ledger:
        made = _make(job, plan, room, ledger, executor or Inline(), tell)
    job.store.publish()
    room.clear()
    return _built(plan, made)


def _first(tell: Tell) -> Tell:
    """Tells of the measuring alone."""
    return lambda done, words: tell(_MEASURING * done, words)


def _built(plan: Plan, made: int) -> Built:
    """What there is to tell."""
    scenes = {cube.role: [[piece.scene for piece in day] for day in cube.days] for cube in plan.cubes}
    lineage = {cube.role: cube.spec.attributes["lineage"] for cube in plan.cubes}
    missing = tuple(plan.cubes[0].spec.attributes["missing"])
    return Built(lineage, scenes, missing, made, len(plan.tiles))


def _unpack(plan: Plan, room: Room, keys: Sequence[str]) -> None:
    """What some tiles are made of, where it is not there from the measuring."""
    tiles = plan.tiles
    wanted = [tiles[key] for key in keys]
    dates = {(cube.role, window.dates[0]): cube.days[window.dates[0]] for cube, window in wanted}
    for piece in (piece for day in dates.values() for piece in day):
        room.home(piece.scene)


def _begin(job: _Job, plan: Plan) -> None:
    for cube in plan.cubes:
        job.store.create(cube.role, cube.spec, owner=job.owner, replace=True)


def _make(job: _Job, plan: Plan, room: Room, ledger: Ledger, executor: Executor, tell: Tell) -> int:
    """Make every tile that is not made, and say how many these were."""
    tiles = plan.tiles
    ledger.plan(list(tiles))
    left = _left(job, plan, ledger)
    spoilt = {tiles[key][0].role for key in left} & set(job.store.names())
    if spoilt:
        # What is published is not written again: it is taken away, and made anew.
        for role in sorted(spoilt):
            Publication(job.store.path).withdraw(role)
        _begin(job, plan)
        left = _left(job, plan, ledger)
    _unpack(plan, room, left)
    count = _counter(tell, len(tiles) - len(left), len(tiles))

    def ended(key: str, end: Success[dict[str, Any]] | Failure) -> None:
        ledger.record(key, end)
        count(key)

    folder = str(job.work.resolve())
    try:
        work = partial(ingest_tile, folder, job.stamp)
        outcome = run_in_rounds(executor, work, left, ended, ledger, _checksum(job, plan))
    finally:
        let_go(folder, job.stamp)
    _all_well(outcome, ledger, len(tiles))
    return outcome.done


def _left(job: _Job, plan: Plan, ledger: Ledger) -> list[str]:
    """Tiles that were not made, or are not any more what was noted."""
    done = ledger.still_done(_checksum(job, plan))
    return [key for key in plan.tiles if key not in done]


def _checksum(job: _Job, plan: Plan) -> Callable[[str], str]:
    """Of a tile as it is now."""
    tiles, published = plan.tiles, set(job.store.names())

    def checksum(key: str) -> str:
        cube, window = tiles[key]
        return job.store.checksum(cube.role, window, staged=cube.role not in published)

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
