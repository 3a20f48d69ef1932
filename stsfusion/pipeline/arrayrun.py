"""Array run: one worker of several that nobody leads, from its share of the tiles to the published series.

::

    worker 1/N  cubes, learning, plan ─┐
    workers 2/N … N/N wait ────────────┴─► each its own tiles, noted in a file of its own
                                            └─► the last one, or a run without a number: what is missing,
                                                publication, scores, report
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stsfusion.engine.exchange import checksum
from stsfusion.engine.plan import Plan
from stsfusion.errors import LockedError, RecipeError
from stsfusion.pipeline.arrayready import (
    LOOK,
    all_steps,
    guest_of,
    prepare,
    prepared,
    stamp_of,
    until_prepared,
)
from stsfusion.pipeline.chosen import chosen, require_tiles
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.reciperun import DONE, FAILED, LATER, End, Orders, RecipeRun
from stsfusion.pipeline.steps import folder_of
from stsfusion.pipeline.worker import fuse_tile, resident
from stsfusion.running.array import Share
from stsfusion.running.executor import Inline
from stsfusion.running.notes import Notebook, Notes
from stsfusion.running.outcome import Failure, Outcome, Success

__all__ = ["run_or_share"]

_LEAVING = 30.0
"""Seconds that others may take to leave after the last tile."""


def run_or_share(
    recipe: Recipe, file: Path, *, quiet: bool = False, said: Sequence[str] = (), orders: Orders | None = None
) -> End:
    """Run a recipe, or do what one worker of an array has to do. Parameters as of `run_recipe`.

    Raises
    ------
    StsfusionError
        When the recipe cannot be carried out, or another process is this very worker.
    """
    run = RecipeRun(recipe, file, folder_of(recipe, file), said, quiet, orders or Orders())
    try:
        return _carry_out(run)
    except KeyboardInterrupt:
        return run.tell(End(LATER, "Stopped. The same command goes on: tiles that were noted are kept."))
    except Exception as error:
        if "run" not in vars(error):  # else it was told of where it happened
            run.fail(error)
        raise


def _carry_out(run: RecipeRun) -> End:
    """What this process is asked for: prepare, do a share of the tiles, or all of it."""
    if run.recipe.fuse.prepares:
        return prepare(run)
    share = _share_of(run.recipe)
    if share is None:
        return all_steps(run)
    end = until_prepared(run, share)
    if end is not None:
        return end
    try:
        with _admitted(run, share) as series:
            done = _fuse(run, share, series)
    except _Gone:
        return run.tell(End(LATER, f"Worker {share}: its work was taken back; run the same command again."))
    goes_on = done.whole and not done.outcome.interrupted
    return _finish(run, share) if goes_on else run.tell(_words(share, done))


def _share_of(recipe: Recipe) -> Share | None:
    """Which worker of an array this process is; None: none, or the one that ends it."""
    said = recipe.fuse.worker
    if recipe.fuse.executor != "array":
        if said is not None:
            raise RecipeError(
                "'fuse.worker'",
                expected="the executor 'array', which alone has workers that are begun one by one",
                got=f"worker {said} of '{recipe.fuse.executor}'",
                mend="Say --executor array too, or leave the worker out.",
            )
        return None
    return Share.of_environment() if said is None else Share.parse(said)


class _Gone(Exception):
    """What was prepared is not there any more."""


@contextmanager
def _admitted(run: RecipeRun, share: Share) -> Iterator[str]:
    """Inside together with other workers, but with no other of this number; gives the series' fingerprint."""
    deadline = time.monotonic() + _LEAVING
    with ExitStack() as inside:
        while True:
            try:
                inside.enter_context(guest_of(run.folder))
                break
            except LockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK)
        series = prepared(run)
        if series is None:
            raise _Gone
        inside.enter_context(Notes(run.folder.notes(series)).lock(share))
        yield series


@dataclass(frozen=True)
class _Done:
    """What a worker did."""

    outcome: Outcome[str]
    """How its tiles ended."""

    unasked: int
    """Tiles of its share that are left because nobody asked for them."""

    whole: bool
    """Whether all tiles of all shares are done now."""


def _fuse(run: RecipeRun, share: Share, series: str) -> _Done:
    """Fuse those of the share's tiles that nobody has done, or those that are asked for."""
    folder = run.folder
    place, stamp = str(folder.plan.resolve()), f"{series} {stamp_of(folder.ready)}"
    plan = resident(place, stamp).plan
    notes = Notes(folder.notes(series))
    keys = [tile.key for tile in plan.tiles]
    mine = share.among(keys)
    require_tiles(plan, run.orders)
    only = chosen(run.orders, {key for key, end in notes.ends().items() if isinstance(end, Failure)})
    done = _still_done(plan, notes, mine)
    open_ones = [key for key in mine if key not in done]
    left = [key for key in open_ones if only is None or key in only]
    book = Notebook.open(notes.path(share))
    try:
        with run.step(f"Fusing tiles of worker {share}", len(mine)) as bar:
            bar.advance(len(done))

            def ended(key: str, end: Success[dict[str, Any]] | Failure) -> None:
                book.record(key, end)
                bar.advance(1, key if isinstance(end, Success) else f"{key} failed: {end.kind}")

            work = partial(fuse_tile, place, stamp)
            outcome = Inline(limit=run.recipe.fuse.wall).run(work, left, ended)
            if outcome.interrupted:
                bar.stopped()
    finally:
        book.close()
    ends = notes.ends()
    whole = all(isinstance(ends.get(key), Success) for key in keys)
    return _Done(outcome, len(open_ones) - len(left), whole)


def _still_done(plan: Plan, notes: Notes, mine: list[str]) -> set[str]:
    """Which tiles somebody did whose bytes are still there."""
    tiles, ends = {tile.key: tile for tile in plan.tiles}, notes.ends()
    done = {key: end.value["checksum"] for key in mine if isinstance(end := ends.get(key), Success)}
    return {key for key, was in done.items() if checksum(plan, tiles[key]) == was}


def _words(share: Share, done: _Done) -> End:
    outcome = done.outcome
    if outcome.interrupted:
        return End(LATER, f"Worker {share}: stopped with {len(outcome.left)} of its tiles left.")
    if outcome.failed:
        words = f"Worker {share}: {outcome.failed} of its tiles failed; 'stsfusion status' says why."
        return End(FAILED, f"{words} The same command tries them again, without --worker those of all.")
    if done.unasked:
        return End(DONE, f"Worker {share}: done as asked; {done.unasked} of its tiles are left.")
    words = f"Worker {share}: its tiles are done. The last worker publishes; if one was lost, run the same "
    return End(DONE, f"{words}command without --worker when the others have ended.")


def _finish(run: RecipeRun, share: Share) -> End:
    """Publish, now that all tiles are done, unless another worker does."""
    deadline = time.monotonic() + _LEAVING
    while True:
        try:
            return all_steps(run)
        except LockedError:
            if prepared(run) is None:
                return run.tell(End(DONE, f"Worker {share}: all tiles are done; another publishes them."))
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK)
