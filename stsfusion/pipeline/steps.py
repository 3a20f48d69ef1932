"""Steps: from a recipe to a report. Each step has a fingerprint; what is done is not done again."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Source, require_roles
from stsfusion.errors import StsfusionError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.assemble import assemble
from stsfusion.pipeline.comparerun import Comparing
from stsfusion.pipeline.crew import lock_of
from stsfusion.pipeline.delivered import sensors_of
from stsfusion.pipeline.evaluate import Costs, evaluate
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.ingesting import work_of
from stsfusion.pipeline.intake import Intake, take_in
from stsfusion.pipeline.making import settle
from stsfusion.pipeline.noroom import no_room
from stsfusion.pipeline.page import make_page
from stsfusion.pipeline.prints import Prints, content_of, input_print
from stsfusion.pipeline.product import require_factored
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.reciperun import DONE, FAILED, LATER, End, Orders, RecipeRun
from stsfusion.pipeline.rehearsal import plan_early, rehearse
from stsfusion.pipeline.renewal import renew
from stsfusion.pipeline.soundcubes import (
    SpoiltCubes,
    can_go_on,
    forsake,
    require_labels,
    require_sound,
)
from stsfusion.pipeline.termination import termination_as_interrupt
from stsfusion.pipeline.words import duration, phases, unfinished

__all__ = ["DONE", "FAILED", "LATER", "End", "folder_of", "run_recipe", "sources_of"]

_KEPT = "steps and tiles are kept, a learning begins anew"
"""What a stopped run does not do again, in words."""


def run_recipe(
    recipe: Recipe,
    file: Path,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    said: Sequence[str] = (),
    orders: Orders | None = None,
) -> End:
    """Run every step that is not done.

    Parameters
    ----------
    recipe, file
        What to do, and the file it was read from.
    dry_run
        Plan and say; leave nothing behind.
    quiet
        No progress bars, and no words.
    said
        The overrides that were given, for the report.
    orders
        What else is said: whether to update, what may be replaced; None: nothing.

    Raises
    ------
    StsfusionError
        When the recipe cannot be carried out; a folder that this run began is taken away again.
    """
    run = RecipeRun(recipe, file, folder_of(recipe, file), said, quiet, orders or Orders())
    try:
        with termination_as_interrupt():
            return rehearse(run) if dry_run else _locked(run)
    except KeyboardInterrupt:
        kept = "rows and long trainings are kept" if run.recipe.compares else _KEPT
        words = f"Stopped. The same command goes on: finished {kept}."
        return run.tell(End(LATER, words))
    except OSError as error:
        full = no_room(error, run.folder.root)
        run.fail(full or error)
        if full is None:
            raise
        raise full from error
    except Exception as error:
        run.fail(error)
        raise


def _locked(run: RecipeRun) -> End:
    """Carry the run out while no other can; a refusal leaves nothing of a folder that was begun for it."""
    if run.recipe.cubes is not None:
        plan_early(run)
    if run.recipe.scenes is not None:
        method = methods.create(run.recipe.fuse.method)
        require_roles(method, sensors_of(run.recipe).keys())
        require_factored(method, run.recipe.fuse.product)
    run.folder.admit()
    with lock_of(run.folder):
        fresh = run.folder.claim()
        try:
            return _carry_out(run)
        except StsfusionError:
            if fresh and not run.folder.marks() and not work_of(run.folder.work).exists():
                shutil.rmtree(run.folder.root, ignore_errors=True)
            raise


def folder_of(recipe: Recipe, file: Path) -> Folder:
    """Where a recipe's results are."""
    return Folder(Path(recipe.output or f"{file.stem}-out"), file.stem, file)


# ---------------------------------------------------------------- the steps


def _carry_out(run: RecipeRun) -> End:
    folder, start = run.folder, time.perf_counter()
    if run.recipe.compares:
        failed = Comparing(run.recipe, run.file, folder).run(run.step, run.recipe_text)
        return run.tell(End(FAILED, unfinished(failed))) if failed else _over(run, start)
    settle(folder)
    try:
        return _go_on(run, start)
    except SpoiltCubes as spoilt:
        forsake(run, spoilt)
        return _go_on(run, start)


def _go_on(run: RecipeRun, start: float) -> End:
    """Every step that is not done."""
    folder = run.folder
    intake, content = _cubes(run)
    marks = Prints(run.recipe, content, sources_of(run.recipe, folder, run.near))
    end = renew(run, marks, intake)
    if end is not None:
        return end
    judged = replace(marks, series=folder.marks()["fuse"]["fingerprint"])
    _evaluate(run, judged)
    _report(run, judged, intake)
    return _over(run, start)


def _over(run: RecipeRun, start: float) -> End:
    """The end of a run in which all went well."""
    if not run.worked:
        words = f"Nothing to do: {run.folder.root} is what the recipe asks for."
        return run.tell(End(DONE, words, shows=True))
    besides = "".join(f"\n{words}" for words in run.besides)
    words = f"Done in {duration(time.perf_counter() - start)}.{besides}"
    return run.tell(End(DONE, words, shows=True))


def _cubes(run: RecipeRun) -> tuple[Intake, str]:
    """What came in, and the fingerprint of its content.

    Raises
    ------
    SpoiltCubes
        When what came in before is not what it was.
    """
    folder, wanted = run.folder, input_print(run.recipe, run.near)
    known = folder.marks().get("cubes", {})
    if known.get("fingerprint") != wanted:
        _make_cubes(run, wanted)
        known = folder.marks()["cubes"]
    else:
        require_labels(folder.cubes)
    if not folder.is_done("cubes", wanted, [folder.cubes]):
        require_sound(run)
        folder.mark("cubes", **{**known, "made": [folder.cubes]})  # files of someone else came or went
    return Intake(**known["intake"]), known["content"]


def _make_cubes(run: RecipeRun, wanted: str) -> None:
    folder, begun = run.folder, time.perf_counter()
    folder.unmark("cubes")
    # Scenes know which of their tiles are good.
    if folder.cubes.exists() and (run.recipe.scenes is None or not can_go_on(folder.cubes)):
        shutil.rmtree(folder.cubes)
    words = "Ingesting the scenes" if run.recipe.scenes else "Reading the cubes"
    words = "Simulating the scene" if run.recipe.simulate else words
    with run.step(words) as bar:
        intake = take_in(run.recipe, CubeStore(folder.cubes), folder.owner, run.near, bar.at)
    _tell_of_tiles(run, intake)
    content = content_of(CubeStore(folder.cubes))
    run.sound = True
    facts = {"seconds": _since(begun), "intake": asdict(intake), "content": content}
    folder.mark("cubes", wanted, [folder.cubes], **facts)


def _tell_of_tiles(run: RecipeRun, intake: Intake) -> None:
    """How much of the scenes was ingested now; the rest was good as it is."""
    tiles = intake.facts.get("tiles")
    if tiles is None:
        return
    run.facts["ingested"] = tiles
    run.journal.say("ingested", **tiles)
    if tiles["carried"]:
        run.besides.append(
            f"Ingested {tiles['made']} of {tiles['all']} tiles of the input; dates of scenes that stayed as "
            "they were are as before."
        )


def sources_of(recipe: Recipe, folder: Folder, near: Path) -> tuple[Source, ...]:
    """How the sensors saw the target, by the input cubes and the catalogs as they are now."""
    return assemble(fusing.cubes_of(folder), recipe.roles, near).sources


def _evaluate(run: RecipeRun, marks: Prints) -> None:
    folder, recipe = run.folder, run.recipe
    if folder.is_done("evaluate", marks.evaluate, [folder.scores]):
        return
    require_sound(run)
    begun = time.perf_counter()
    folder.unmark("evaluate")
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
    done = folder.marks()
    tiles = done["fuse"]["tiles"]
    costs = Costs(done["fit"]["seconds"], tiles["fuse_s"], tiles["grown_mb"])
    with run.step("Scoring") as bar:
        scores = evaluate(
            draft.plan,
            draft.assembly,
            CubeStore(folder.fused),
            recipe.evaluate.compare,
            size=recipe.evaluate.size,
            coarser=recipe.evaluate.coarser,
            hidden=recipe.evaluate.hidden,
            costs=costs,
            cache=folder.work / "rows",
            tell=bar.at,
        )
    facts = done["cubes"]["intake"]["facts"]
    write_text(folder.scores, json.dumps({"protocol": facts.get("protocol"), **scores}, indent=1))
    folder.mark("evaluate", marks.evaluate, [folder.scores], seconds=_since(begun))


def _report(run: RecipeRun, marks: Prints, intake: Intake) -> None:
    folder = run.folder
    if folder.is_done("report", marks.report, [folder.report]):
        return
    begun = time.perf_counter()
    folder.unmark("report")
    done = folder.marks()
    with run.step("Writing the report"):
        make_page(
            folder,
            run.recipe,
            title=run.recipe.report.title or run.file.stem,
            recipe_text=run.recipe_text,
            intake=intake,
            scores=json.loads(folder.scores.read_text()),
            phases=phases(done),
            hashes={
                "recipe": run.recipe.result_digest,
                "inputs": marks.content,
                "weights": done["fit"]["weights"],
            },
            tiles=done["fuse"]["tiles"],
            made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {socket.gethostname()}",
        )
    folder.mark("report", marks.report, [folder.report], seconds=_since(begun))


def _since(begun: float) -> float:
    return round(time.perf_counter() - begun, 3)
