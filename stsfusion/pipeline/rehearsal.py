"""Rehearsal: what a run would do, planned without doing it; nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from stsfusion.cube.store import CubeStore
from stsfusion.pipeline import fusing
from stsfusion.pipeline.comparerun import intended
from stsfusion.pipeline.delivered import choose_scenes
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.intake import open_own, take_in
from stsfusion.pipeline.prints import input_print
from stsfusion.pipeline.reciperun import DONE, End, RecipeRun
from stsfusion.pipeline.words import promise

__all__ = ["plan_early", "rehearse"]


def plan_early(run: RecipeRun) -> Draft:
    """Plan on the user's own cubes where they are, so that a refusal comes before a byte is copied."""
    cubes = open_own(run.recipe, run.near)
    return fusing.draft(run.recipe, cubes, run.folder, run.near, run.folder.fused)


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
        drafted = fusing.draft(run.recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
        return run.tell(End(DONE, promise(drafted, run.recipe.fuse.neighbours)))
    if run.recipe.scenes is not None:
        return _scenes(run)
    with tempfile.TemporaryDirectory(prefix="stsfusion-") as name:
        trial = Folder(Path(name), folder.owner, run.file)
        with run.step("Simulating the scene") as bar:
            take_in(run.recipe, CubeStore(trial.cubes), trial.owner, run.near, bar.at)
        drafted = fusing.draft(run.recipe, fusing.cubes_of(trial), trial, run.near, trial.fused)
        return run.tell(End(DONE, promise(drafted, run.recipe.fuse.neighbours)))


def _scenes(run: RecipeRun) -> End:
    """Choose the scenes, and read none."""
    with (
        tempfile.TemporaryDirectory(prefix="stsfusion-") as name,
        run.step("Looking at the deliveries"),
    ):
        found = choose_scenes(run.recipe, run.near, Path(name) / "catalog")
    return run.tell(End(DONE, str(found)))
