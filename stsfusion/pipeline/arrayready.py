"""Array ready: what all workers of an array need before the first tile; one makes it, the others wait."""

from __future__ import annotations

import json
import time
from pathlib import Path

from stsfusion.cube.store import CubeStore
from stsfusion.errors import LockedError
from stsfusion.pipeline.clustersections import PREPARE
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.madefrom import published
from stsfusion.pipeline.prints import input_print
from stsfusion.pipeline.reciperun import DONE, LATER, End, RecipeRun
from stsfusion.pipeline.room import places
from stsfusion.pipeline.steps import run_recipe
from stsfusion.running.array import Share
from stsfusion.running.brake import Brake
from stsfusion.running.guest import Guest

__all__ = ["LOOK", "all_steps", "guest_of", "prepare", "prepared", "stamp_of", "until_prepared"]

LOOK = 0.5
"""Seconds between two looks whether others are ready."""


def all_steps(run: RecipeRun, worker: str | None = None) -> End:
    """All steps; with `prepare` for a worker, those before the first tile."""
    settings = run.recipe.fuse.model_copy(update={"worker": worker})
    recipe = run.recipe.model_copy(update={"fuse": settings})
    return run_recipe(recipe, run.file, quiet=run.quiet, said=run.said, orders=run.orders)


def prepared(run: RecipeRun) -> str | None:
    """Fingerprint of the series that workers of this recipe may work on; None: they must wait."""
    try:
        said = json.loads(_mark(run.folder).read_text())
        ready = run.folder.ready.read_text()
    except (OSError, ValueError):
        return None
    asked_for = said == {"recipe": run.recipe.result_digest, "series": ready}
    return ready if asked_for and any(places(run.folder, ready)) else None


def _mark(folder: Folder) -> Path:
    return folder.notes() / "prepared.json"


def prepare(run: RecipeRun) -> End:
    """Cubes, learning, plan and frame; done when nothing is left for workers."""
    folder, before = run.folder, stamp_of(run.folder.ready)
    end = all_steps(run, PREPARE)
    if end.code != DONE or stamp_of(folder.ready) == before:
        return end
    said = {"recipe": run.recipe.result_digest, "series": folder.ready.read_text()}
    folder.notes().mkdir(parents=True, exist_ok=True)
    write_text(_mark(folder), json.dumps(said))
    return end


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Tells one writing of a file from the next."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def until_prepared(run: RecipeRun, share: Share) -> End | None:
    """Wait for another to prepare, or do it; an end when there is nothing for a worker to do."""
    if prepared(run) is None and share.number == 1:
        end = prepare(run)
        return None if prepared(run) is not None else end
    patience = time.monotonic() + run.recipe.fuse.patience
    with Brake() as brake:
        while prepared(run) is None:
            if brake.pulled:
                return run.tell(End(LATER, f"Worker {share}: stopped while it waited."))
            if time.monotonic() > patience and _is_alone(run.folder):
                return run.tell(_unprepared(run, share))
            time.sleep(LOOK)
    return None


def _unprepared(run: RecipeRun, share: Share) -> End:
    """Nobody prepared anything: either all was over before this worker came, or it came too early."""
    if _is_over(run):
        return End(DONE, f"Worker {share}: the series is published; nothing to do.", shows=True)
    words = f"Worker {share}: nothing is prepared for it, and nobody is preparing it. "
    return End(
        LATER,
        f"{words}Begin worker 1/{share.count}, or the same with '--worker {PREPARE}' before all others.",
    )


def _is_over(run: RecipeRun) -> bool:
    """Whether the published series is what the recipe makes of the input as it is now."""
    folder, was = run.folder, published(run.folder.fused)
    if was is None or not folder.is_done("cubes", input_print(run.recipe, run.near), [folder.cubes]):
        return False
    made_by = CubeStore(folder.fused).spec("").attributes.get("recipe_sha256")
    # Input that is read anew takes the mark of the series away, until one is made from it.
    return made_by == run.recipe.result_digest and folder.is_done("fuse", was.identity, [folder.fused])


def _is_alone(folder: Folder) -> bool:
    """Whether no run has the folder for itself."""
    if not folder.work.exists():
        return True
    try:
        with guest_of(folder):
            return True
    except LockedError:
        return False


def guest_of(folder: Folder) -> Guest:
    """Of the folder's lock: inside together with other workers, while no run has it for itself."""
    return Guest(folder.work / "lock")
