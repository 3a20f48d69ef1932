"""Rehearsal: what a run would do, planned without doing it; nothing is left behind."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.outlook import outlook
from stsfusion.pipeline import fusing
from stsfusion.pipeline.chosen import require_tiles
from stsfusion.pipeline.comparerun import intended
from stsfusion.pipeline.delivered import choose_scenes
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.intake import open_own, take_in
from stsfusion.pipeline.madefrom import asked, published
from stsfusion.pipeline.prints import input_print
from stsfusion.pipeline.readable import shows
from stsfusion.pipeline.reciperun import DONE, End, RecipeRun
from stsfusion.pipeline.room import left, of_dates
from stsfusion.pipeline.soundcubes import are_legible
from stsfusion.pipeline.todo import ToDo, to_do
from stsfusion.pipeline.words import promise

__all__ = ["foresee", "plan_early", "rehearse"]


def plan_early(run: RecipeRun) -> Draft:
    """Plan on the user's own cubes where they are, so that a refusal comes before a byte is copied."""
    draft = fusing.draft(run.recipe, open_own(run.recipe, run.near), run.folder, run.near, run.folder.fused)
    return _required(run, draft)


def foresee(run: RecipeRun, draft: Draft, found: ToDo | None) -> None:
    """Refuse, as far as can be told before anything is read or learned, what memory or disk cannot do.

    Parameters
    ----------
    found
        The dates that would be made; None: all.

    Raises
    ------
    PlanError
        With the numbers.
    """
    folder, recipe, plan = run.folder, run.recipe, draft.plan
    if found is not None:
        plan = of_dates(plan, recipe.fuse.neighbours, (*found.new, *found.changed))
    series = None
    if folder.is_done("cubes", input_print(recipe, run.near), [folder.cubes]) and are_legible(folder.cubes):
        learned, was = folder.marks().get("fit", {}).get("weights", ""), published(folder.fused)
        wanted = asked(recipe, draft.assembly, draft.plan, folder.marks()["cubes"]["content"])
        series = replace(wanted, weights=learned) if was is None else wanted.with_learning_of(was)
    left(run, plan, series).require(draft.need.disk if recipe.fuse.product == "full" else None)


def _required(run: RecipeRun, draft: Draft) -> Draft:
    """The draft, unless a tile is asked for that it does not have, or it is known to be too much."""
    require_tiles(draft.plan, run.orders)
    found, orders = to_do(run, draft), run.orders
    anew = orders.overwrite or orders.refit or orders.learned is not None
    if not shows(run.folder.fused) or (found is not None and not anew):
        foresee(run, draft, found)
    return draft  # what else becomes of a series that is there is known when the input was read


def rehearse(run: RecipeRun) -> End:
    """Plan and say; leave nothing behind.

    Raises
    ------
    StsfusionError
        When the recipe cannot be carried out.
    """
    run.journal.mute = True
    if run.recipe.compares:
        return run.tell(End(DONE, intended(run.recipe, run.file, run.folder)))
    if run.recipe.cubes is not None:
        return run.tell(End(DONE, promise(plan_early(run), run.recipe.fuse.neighbours)))
    folder = run.folder
    if folder.is_done("cubes", input_print(run.recipe, run.near), [folder.cubes]):
        drafted = _required(
            run, fusing.draft(run.recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
        )
        return run.tell(End(DONE, promise(drafted, run.recipe.fuse.neighbours)))
    if run.recipe.scenes is not None:
        return _scenes(run)
    with tempfile.TemporaryDirectory(prefix="stsfusion-") as name:
        trial = Folder(Path(name), folder.owner, run.file)
        with run.step("Simulating the scene") as bar:
            take_in(run.recipe, CubeStore(trial.cubes), trial.owner, run.near, bar.at)
        drafted = _required(
            run, fusing.draft(run.recipe, fusing.cubes_of(trial), trial, run.near, trial.fused)
        )
        return run.tell(End(DONE, promise(drafted, run.recipe.fuse.neighbours)))


def _scenes(run: RecipeRun) -> End:
    """Choose the scenes, and read none."""
    with (
        tempfile.TemporaryDirectory(prefix="stsfusion-") as name,
        run.step("Looking at the deliveries"),
    ):
        found = choose_scenes(run.recipe, run.near, Path(name) / "catalog")
    ahead = outlook(found.chosen, CubeStore(run.folder.cubes))
    return run.tell(End(DONE, "\n".join(filter(None, (str(found), ahead)))))
