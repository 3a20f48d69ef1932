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
from stsfusion.cube.verification import verify
from stsfusion.engine.plan import Source, require_roles
from stsfusion.errors import StoreError, StsfusionError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.assemble import assemble
from stsfusion.pipeline.comparerun import Comparing
from stsfusion.pipeline.delivered import sensors_of
from stsfusion.pipeline.evaluate import Costs, evaluate
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.ingesting import work_of
from stsfusion.pipeline.intake import Intake, take_in
from stsfusion.pipeline.learnt import Learnt, frozen, learn
from stsfusion.pipeline.madefrom import MadeFrom, asked, published
from stsfusion.pipeline.making import make, settle
from stsfusion.pipeline.noroom import no_room
from stsfusion.pipeline.page import make_page
from stsfusion.pipeline.prints import Prints, content_of, input_print
from stsfusion.pipeline.provenance import provenance
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.reciperun import DONE, FAILED, LATER, End, Orders, RecipeRun
from stsfusion.pipeline.rehearsal import plan_early, rehearse
from stsfusion.pipeline.standing import Deed, Standing, standing
from stsfusion.pipeline.termination import termination_as_interrupt
from stsfusion.pipeline.words import duration, made_from_all, phases, tile_facts, unfinished
from stsfusion.running.ledger import Ledger
from stsfusion.running.lock import Lock

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
        No progress bars.
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
    except StsfusionError as error:
        run.fail(error)
        raise


def _locked(run: RecipeRun) -> End:
    """Carry the run out while no other can; a refusal leaves nothing of a folder that was begun for it."""
    if run.recipe.cubes is not None:
        plan_early(run)
    if run.recipe.scenes is not None:
        require_roles(methods.create(run.recipe.fuse.method), sensors_of(run.recipe).keys())
    run.folder.admit()
    with Lock(run.folder.work / "lock"):
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
    intake, content = _cubes(run)
    marks = Prints(run.recipe, content, sources_of(run.recipe, folder, run.near))
    end = _series(run, marks, intake)
    if end is not None:
        return end
    judged = replace(marks, series=folder.marks()["fuse"]["fingerprint"])
    _evaluate(run, judged)
    _report(run, judged, intake)
    return _over(run, start)


def _over(run: RecipeRun, start: float) -> End:
    """The end of a run in which all went well."""
    if not run.worked:
        return run.tell(End(DONE, f"Nothing to do: {run.folder.root} is what the recipe asks for."))
    besides = "".join(f"\n{words}" for words in run.besides)
    return run.tell(End(DONE, f"Done in {duration(time.perf_counter() - start)}.{besides}"))


def _cubes(run: RecipeRun) -> tuple[Intake, str]:
    """What came in, and the fingerprint of its content."""
    folder, wanted = run.folder, input_print(run.recipe, run.near)
    if not folder.is_done("cubes", wanted, [folder.cubes]):
        begun = time.perf_counter()
        folder.unmark("cubes")
        if run.recipe.scenes is None and folder.cubes.exists():  # scenes know which of their tiles are good
            shutil.rmtree(folder.cubes)
        words = "Ingesting the scenes" if run.recipe.scenes else "Reading the cubes"
        words = "Simulating the scene" if run.recipe.simulate else words
        with run.step(words) as bar:
            intake = take_in(run.recipe, CubeStore(folder.cubes), folder.owner, run.near, bar.at)
        content = content_of(CubeStore(folder.cubes))
        facts = {"seconds": _since(begun), "intake": asdict(intake), "content": content}
        folder.mark("cubes", wanted, [folder.cubes], **facts)
    known = folder.marks()["cubes"]
    return Intake(**known["intake"]), known["content"]


def sources_of(recipe: Recipe, folder: Folder, near: Path) -> tuple[Source, ...]:
    """How the sensors saw the target, by the input cubes and the catalogs as they are now."""
    return assemble(fusing.cubes_of(folder), recipe.roles, near).sources


def _series(run: RecipeRun, marks: Prints, intake: Intake) -> End | None:
    """Bring the published series to what is asked for; an end when the run cannot go on from here."""
    folder, recipe = run.folder, run.recipe
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
    wanted = asked(recipe, draft.assembly, draft.plan, marks.content)
    found = standing(run, wanted)
    there = published(folder.fused)
    run.facts["dates"] = _counted(wanted, found, there)
    if found.deed is Deed.KEEP and found.was is not None and _is_whole(run, draft, found.was):
        return None
    learnt = _learnt(run, draft, marks, wanted, found)
    if there is not None and there.identity == learnt.made.identity and _is_whole(run, draft, there):
        run.facts["dates"] |= {"new": 0, "changed": 0}
        return None
    if recipe.simulate is None:
        run.besides += made_from_all(draft.plan.method, recipe.fuse.neighbours)
    said = provenance(recipe, run.file, marks.content, intake, learnt.made)
    return make(run, draft, learnt, said, found.change if found.deed is Deed.CHANGE else None)


def _counted(wanted: MadeFrom, found: Standing, there: MadeFrom | None) -> dict[str, int]:
    """How many dates are asked for, how many of these nobody has seen yet, and how many change."""
    asked_for = len(wanted.dates)
    if found.change is not None:
        return {"asked": asked_for, "new": len(found.change.new), "changed": len(found.change.changed)}
    new = len(wanted.dates.keys() - (there.dates.keys() if there is not None else ()))
    return {"asked": asked_for, "new": new, "changed": asked_for - new}


def _learnt(run: RecipeRun, draft: Draft, marks: Prints, wanted: MadeFrom, found: Standing) -> Learnt:
    """What the method knows, from where it is to be taken."""
    was = found.was
    if found.deed is Deed.BORROW and was is not None and run.orders.learned is not None:
        return frozen(run, draft, was, run.orders.learned, wanted)
    old = was is not None and was.learned_from != wanted.learned_from
    if was is not None and (found.deed is Deed.CHANGE or (found.deed is Deed.KEEP and old)):
        return frozen(run, draft, was, run.folder.fused, wanted)
    return learn(run, draft, marks, wanted)


def _is_whole(run: RecipeRun, draft: Draft, was: MadeFrom) -> bool:
    """Whether every file of the published series is what it was.

    Known at a glance when it is noted; who says that it may be replaced has every file read.
    """
    folder = run.folder
    known = folder.marks()
    glance = {"fit", "fuse"} <= known.keys() and not run.orders.overwrite
    if glance and folder.is_done("fuse", was.identity, [folder.fused]):
        return True
    begun = time.perf_counter()
    try:
        if any(damage.what != "unknown" for damage in verify(folder.fused).damages):
            return False
    except StoreError:
        return False
    if "fit" not in known:
        frozen(run, draft, was, folder.fused, was)
    with Ledger.open(folder.ledger, was.identity) as ledger:
        facts = {"seconds": _since(begun), "tiles": tile_facts(draft.plan, ledger.records())}
    folder.mark("fuse", was.identity, [folder.fused], **facts, need=asdict(draft.need))
    return True


def _evaluate(run: RecipeRun, marks: Prints) -> None:
    folder, recipe = run.folder, run.recipe
    if folder.is_done("evaluate", marks.evaluate, [folder.scores]):
        return
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
