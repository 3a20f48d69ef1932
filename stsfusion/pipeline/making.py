"""Making: from what was learned to a published series, whole, grown at its end, or changed in part.

::

    whole    tiles of all dates ─► .fused-….zarr ─► takes the place of fused.zarr
    grown    tiles of new dates ─► fused.zarr, beyond its last date ─► shown at once
    changed  tiles of new and changed dates, links to all others ─► .fused-….zarr ─► takes its place
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from stsfusion.cube.factors import Factors
from stsfusion.cube.generations import carry
from stsfusion.cube.publication import Publication
from stsfusion.cube.spec import CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import damages_of
from stsfusion.engine.plan import Plan
from stsfusion.errors import StoreError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.learnt import FILE, Learnt
from stsfusion.pipeline.madefrom import Difference, published
from stsfusion.pipeline.product import factors_for, size_of
from stsfusion.pipeline.provenance import inherited
from stsfusion.pipeline.readable import is_damaged, is_replaced, shows
from stsfusion.pipeline.reciperun import DONE, FAILED, LATER, End, RecipeRun
from stsfusion.pipeline.room import left, of_dates, upcoming
from stsfusion.pipeline.words import failures, tile_facts
from stsfusion.running.ledger import Ledger

__all__ = ["make", "settle"]

_DAY = 86_400_000


def make(
    run: RecipeRun, draft: Draft, learnt: Learnt, said: Mapping[str, Any], change: Difference | None = None
) -> End | None:
    """Make a series and publish it; an end when the run cannot go on from here.

    Parameters
    ----------
    draft
        The plan of the whole series.
    said
        Its attributes.
    change
        From the published series to this one; None: all of it is made.
    """
    folder, begun = run.folder, time.perf_counter()
    grows = change is not None and change.appends
    place = folder.fused if grows else folder.staging(learnt.made.identity)
    plan = _planned(run, draft, learnt, change, place)
    factors = _factors(run, plan, change)
    shard, sigma = run.recipe.fuse.shard_size, plan.method.card.sigma
    said = {**inherited(folder.cubes, draft.assembly.lead), **said}
    spec = fusing.frame(draft.assembly, plan, shard, said, sigma, factors)
    left(run, plan, learnt.made).require_disk(draft.need.disk if factors is None else size_of(spec))
    _sweep(folder, place)
    finished = not grows and _is(place, learnt.made.identity)
    if finished:
        CubeStore(place).recover()  # its checksums are told by the documents that readers see
    if finished and not _is_sound(place):
        shutil.rmtree(place)  # a disk changed it since: its tiles go round again
        finished = False
    with Ledger.open(folder.ledger, learnt.made.identity, told=run.journal.tile) as ledger:
        if not finished:
            _begin(folder, place, spec, learnt, change)
            with run.step("Fusing tiles", len(plan.tiles)) as bar:
                end = fusing.fuse_tiles(
                    plan, spec, folder, run.recipe.fuse, learnt.made.identity, ledger, bar, run.orders
                )
            if end.interrupted:
                return run.tell(_stopped(run, len(end.left), len(plan.tiles)))
        keys = {tile.key for tile in plan.tiles}
        records = [record for record in ledger.records() if record["key"] in keys]
        failed = {key: why for key, why in ledger.failures().items() if key in keys}
    unfinished = None if finished else _unfinished(run, plan, len(records), failed)
    if unfinished is not None:
        return run.tell(unfinished)
    folder.unmark("fuse")
    with run.step("Publishing"):
        _publish(folder, place, learnt.made.identity, grows=grows)
    run.journal.say("published", series=learnt.made.identity, dates=len(plan.written))
    facts = {
        "seconds": round(time.perf_counter() - begun, 3),
        "tiles": tile_facts(plan, records),
        "need": asdict(draft.need),
    }
    folder.mark("fuse", learnt.made.identity, [folder.fused], **facts)
    return None


def _stopped(run: RecipeRun, left: int, count: int) -> End:
    words = f"{left} of {count} tiles left"
    run.facts["tiles"] = {"planned": count, "left": left}
    if run.recipe.fuse.prepares:
        return End(DONE, f"Prepared: workers may begin; {words} for them.")
    return End(LATER, f"Stopped with {words}; the same command goes on.")


def _unfinished(run: RecipeRun, plan: Plan, done: int, failed: Mapping[str, str]) -> End | None:
    """How the run ends where tiles failed, or were not asked for; None: all are done."""
    count = len(plan.tiles)
    left = count - done - len(failed)
    run.facts["tiles"] = {"planned": count, "done": done, "failed": len(failed), "left": left}
    if failed:
        run.facts["failures"] = [{"tile": key, "why": why} for key, why in failed.items()]
        return End(FAILED, failures(failed, count))
    if left:
        return End(DONE, f"Done as asked; {left} of {count} tiles are left, nothing was published.")
    return None


def _planned(run: RecipeRun, draft: Draft, learnt: Learnt, change: Difference | None, place: Path) -> Plan:
    """The tiles that are left to be fused, their days counted as when the method learned."""
    whole = draft.plan
    days = (milliseconds(draft.assembly.times) - learnt.made.origin) / _DAY
    target = replace(whole.target, days=torch.from_numpy(days).to(whole.target.days))
    plan = replace(whole, method=learnt.method, output=place, target=target)
    if change is None:
        return plan
    dates = [plan.written[at] for at in (*change.new, *change.changed)]
    return of_dates(plan, run.recipe.fuse.neighbours, dates)


def _factors(run: RecipeRun, plan: Plan, change: Difference | None) -> Factors | None:
    """What a compact series keeps once: in an update, or with what another learned, the same as there."""
    before = [] if change is None else [run.folder.fused]
    known = [plan.output, *before, *([] if run.orders.learned is None else [run.orders.learned])]
    return factors_for(plan, run.recipe.fuse.product, run.recipe.fuse.shard_size, known)


def _begin(folder: Folder, place: Path, spec: CubeSpec, learnt: Learnt, change: Difference | None) -> None:
    """Make room for the tiles; what is there of an earlier try that was cut off stays."""
    store = CubeStore(place)
    if change is not None and change.appends:
        if upcoming(place) != learnt.made.identity:
            store.discard()
        store.extend("", spec.times[len(change.kept) :], spec.attributes)
        return
    store.create("", spec, owner=folder.owner)
    beside = place / f"{FILE}.new"
    shutil.copyfile(learnt.file, beside)
    beside.replace(place / FILE)
    if change is not None:
        carry(folder.fused, place, change.kept)


def _publish(folder: Folder, place: Path, identity: str, *, grows: bool) -> None:
    CubeStore(place).publish()  # or finish what was cut off after the new series became visible
    if grows:
        return
    _let_go(folder.fused)
    folder.generations.succeed(place, keep=not _is(folder.fused, identity), damaged=is_damaged(folder.fused))


def _let_go(series: Path) -> None:
    """Forget dates that were being written at the end of a series that is replaced."""
    if shows(series):
        CubeStore(series).discard()


def settle(folder: Folder) -> None:
    """Finish what a kill cut off in the midst of a publication; nothing is lost and nothing computed."""
    folder.generations.recover()
    if shows(folder.fused):
        CubeStore(folder.fused).recover()
    for path in folder.stagings:
        if Publication(path).lost and not shows(path):
            shutil.rmtree(path)  # nobody knows what was being made there
        elif is_replaced(folder, path):
            folder.generations.shelve(path, damaged=is_damaged(path))
        elif _is_twin(folder.fused, path) and _is_sound(folder.fused):
            shutil.rmtree(path)  # what it was made in place of, or what is no longer needed


def _is_twin(series: Path, path: Path) -> bool:
    """Whether two published stores were made of the same: a series, and what a disk lost parts of."""
    there = published(path)
    return there is not None and _is(series, there.identity)


def _is_sound(series: Path) -> bool:
    """Whether all files of a published store are what they were."""
    try:
        return not damages_of(series)
    except StoreError:
        return False


def _is(series: Path, identity: str) -> bool:
    there = published(series)
    return there is not None and there.identity == identity


def _sweep(folder: Folder, place: Path) -> None:
    """Take away what earlier settings left half done."""
    for path in folder.stagings:
        if path != place:
            shutil.rmtree(path)
