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

from stsfusion.cube.generations import carry
from stsfusion.cube.publication import Publication
from stsfusion.cube.spec import CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Plan
from stsfusion.errors import StoreError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.learnt import FILE, Learnt
from stsfusion.pipeline.madefrom import Difference, published
from stsfusion.pipeline.neighbourhood import cut, intervals
from stsfusion.pipeline.reciperun import FAILED, LATER, End, RecipeRun
from stsfusion.pipeline.words import failures, tile_facts
from stsfusion.running.ledger import Ledger

__all__ = ["make", "settle", "shows"]

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
    spec = fusing.frame(draft.assembly, plan, run.recipe.fuse.shard_size, dict(said), plan.method.card.sigma)
    _sweep(folder, place)
    finished = not grows and _is(place, learnt.made.identity)
    with Ledger.open(folder.ledger, learnt.made.identity) as ledger:
        if not finished:
            _begin(folder, place, spec, learnt, change)
            with run.step("Fusing tiles", len(plan.tiles)) as bar:
                end = fusing.fuse_tiles(
                    plan, spec, folder, run.recipe.fuse, learnt.made.identity, ledger, bar
                )
            if end.interrupted:
                left = f"{len(end.left)} of {len(plan.tiles)} tiles left"
                prepares = run.recipe.fuse.prepares
                words = (
                    f"{left} for workers." if prepares else f"Stopped with {left}; the same command goes on."
                )
                return run.tell(End(LATER, words))
        records, failed = ledger.records(), ledger.failures()
    if failed:
        return run.tell(End(FAILED, failures(failed, len(plan.tiles))))
    folder.unmark("fuse")
    with run.step("Publishing"):
        _publish(folder, place, learnt.made.identity, grows=grows)
    facts = {
        "seconds": round(time.perf_counter() - begun, 3),
        "tiles": tile_facts(plan, records),
        "need": asdict(draft.need),
    }
    folder.mark("fuse", learnt.made.identity, [folder.fused], **facts)
    return None


def _planned(run: RecipeRun, draft: Draft, learnt: Learnt, change: Difference | None, place: Path) -> Plan:
    """The tiles that are left to be fused, their days counted as when the method learned."""
    whole = draft.plan
    days = (milliseconds(draft.assembly.times) - learnt.made.origin) / _DAY
    target = replace(whole.target, days=torch.from_numpy(days).to(whole.target.days))
    plan = replace(whole, method=learnt.method, output=place, target=target)
    if change is None:
        return plan
    around = intervals(len(days), plan.sources, plan.method.span(), run.recipe.fuse.neighbours)
    return cut(plan, around, [plan.written[at] for at in (*change.new, *change.changed)])


def _begin(folder: Folder, place: Path, spec: CubeSpec, learnt: Learnt, change: Difference | None) -> None:
    """Make room for the tiles; what is there of an earlier try that was cut off stays."""
    store = CubeStore(place)
    if change is not None and change.appends:
        if _upcoming(place) != learnt.made.identity:
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
    if grows:
        CubeStore(place).publish()
        return
    if not _is(place, identity):
        CubeStore(place).publish()
    if folder.fused.exists():
        _let_go(folder.fused)
    folder.generations.succeed(place, keep=shows(folder.fused) and not _is(folder.fused, identity))


def _let_go(series: Path) -> None:
    """Forget dates that were being written at the end of a series that is replaced."""
    if shows(series):
        CubeStore(series).discard()


def settle(folder: Folder) -> None:
    """Finish what a kill cut off in the midst of a publication; nothing is lost and nothing computed."""
    if shows(folder.fused):
        Publication(folder.fused).recover()
    for path in folder.root.glob(".fused-*.zarr"):
        there = published(path)
        if there is not None and path != folder.staging(there.identity):
            folder.generations.shelve(path)


def shows(series: Path) -> bool:
    """Whether readers find a series there."""
    try:
        return "" in CubeStore(series).names()
    except StoreError:
        return False


def _is(series: Path, identity: str) -> bool:
    there = published(series)
    return there is not None and there.identity == identity


def _upcoming(series: Path) -> str | None:
    """Identity of the series that is being written there."""
    upcoming = Publication(series).upcoming().get("")
    return None if upcoming is None else str(upcoming.attributes.get("series_sha256"))


def _sweep(folder: Folder, place: Path) -> None:
    """Take away what earlier settings left half done."""
    for path in folder.root.glob(".fused-*.zarr"):
        if path != place:
            shutil.rmtree(path)
