"""Steps: from a recipe to a report. Each step has a fingerprint; what is done is not done again."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Source, require_roles
from stsfusion.errors import StoreError, StsfusionError
from stsfusion.fusion import weights as at_rest
from stsfusion.pipeline import fusing
from stsfusion.pipeline.assemble import assemble
from stsfusion.pipeline.comparerun import Comparing
from stsfusion.pipeline.delivered import sensors_of
from stsfusion.pipeline.evaluate import Costs, evaluate
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.ingesting import work_of
from stsfusion.pipeline.intake import Intake, take_in
from stsfusion.pipeline.page import make_page
from stsfusion.pipeline.prints import Prints, content_of, input_print
from stsfusion.pipeline.provenance import provenance
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.reciperun import DONE, FAILED, LATER, End, RecipeRun
from stsfusion.pipeline.rehearsal import plan_early, rehearse
from stsfusion.pipeline.words import duration, failures, phases, tile_facts, unfinished
from stsfusion.running.ledger import Ledger
from stsfusion.running.lock import Lock

__all__ = ["DONE", "FAILED", "LATER", "End", "folder_of", "run_recipe", "sources_of"]


def run_recipe(
    recipe: Recipe, file: Path, *, dry_run: bool = False, quiet: bool = False, said: Sequence[str] = ()
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

    Raises
    ------
    StsfusionError
        When the recipe cannot be carried out; a folder that this run began is taken away again.
    """
    run = RecipeRun(recipe, file, folder_of(recipe, file), said, quiet)
    try:
        with _termination_as_interrupt():
            return rehearse(run) if dry_run else _locked(run)
    except KeyboardInterrupt:
        words = (
            "Stopped. The same command goes on: finished steps and tiles are kept, a learning begins anew."
        )
        if run.recipe.compares:
            words = "Stopped. The same command goes on: finished rows and long trainings are kept."
        return run.tell(End(LATER, words))


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """A scheduler's SIGTERM ends a run as Ctrl-C does; while tiles run, executors let them finish first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
    intake, content = _cubes(run)
    marks = Prints(run.recipe, content, sources_of(run.recipe, folder, run.near))
    made = folder.staging(marks.fuse)
    if not _is_fused(folder, marks):
        end = _fuse(run, marks, made, intake)
        if end is not None:
            return end
    _evaluate(run, marks)
    _report(run, marks, intake)
    return _over(run, start)


def _over(run: RecipeRun, start: float) -> End:
    """The end of a run in which all went well."""
    if not run.worked:
        return run.tell(End(DONE, f"Nothing to do: {run.folder.root} is what the recipe asks for."))
    return run.tell(End(DONE, f"Done in {duration(time.perf_counter() - start)}."))


def _cubes(run: RecipeRun) -> tuple[Intake, str]:
    """What came in, and the fingerprint of its content."""
    folder, wanted = run.folder, input_print(run.recipe, run.near)
    if not folder.is_done("cubes", wanted, [folder.cubes]):
        begun = time.perf_counter()
        folder.unmark("cubes")
        if run.recipe.scenes is None:  # these know which of their tiles are good
            shutil.rmtree(folder.cubes, ignore_errors=True)
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


def _fuse(run: RecipeRun, marks: Prints, made: Path, intake: Intake) -> End | None:
    """Fit, plan, fuse and publish; an end when the run cannot go on from here."""
    folder, recipe = run.folder, run.recipe
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, run.near, made)
    begun = time.perf_counter()
    weights = folder.work / f"weights-{marks.fit[:12]}.safetensors"
    with run.step(f"Learning ({draft.plan.method.card.name})") as bar:
        method = fusing.fit(draft.plan, recipe, weights, bar.at)
    if not folder.is_done("fit", marks.fit, [weights]):
        facts = {"seconds": _since(begun), "weights": at_rest.fingerprint(method)}
        folder.mark("fit", marks.fit, [weights], **facts)
    plan = draft.plan.with_method(method)
    learned = folder.marks()["fit"]["weights"]
    said = provenance(recipe, run.file, marks, intake, learned)
    spec = fusing.frame(draft.assembly, plan, recipe.fuse.shard_size, said, plan.method.card.sigma)
    begun = time.perf_counter()
    with Ledger.open(folder.ledger, marks.fuse) as ledger, run.step("Fusing tiles", len(plan.tiles)) as bar:
        already = _is_published(folder, marks) and fusing.is_whole(plan, folder.fused, ledger)
        _sweep(folder, made, already)
        ended = (
            None if already else fusing.fuse_tiles(plan, spec, folder, recipe.fuse, marks.fuse, ledger, bar)
        )
        records = ledger.records()
        failed = ledger.failures()
    if ended is not None and ended.interrupted:
        left = len(ended.left)
        return run.tell(
            End(LATER, f"Stopped with {left} of {len(plan.tiles)} tiles left; the same command goes on.")
        )
    if failed:
        return run.tell(End(FAILED, failures(failed, len(plan.tiles))))
    if not already:
        folder.unmark("fuse")
        with run.step("Publishing"):
            fusing.publish(made, folder.fused)
    facts = {"seconds": _since(begun), "tiles": tile_facts(plan, records), "need": asdict(draft.need)}
    folder.mark("fuse", marks.fuse, [folder.fused], **facts)
    return None


def _is_fused(folder: Folder, marks: Prints) -> bool:
    """Whether the series and what it was learned with are those that are asked for."""
    return (
        "fit" in folder.marks()
        and folder.is_done("fuse", marks.fuse, [folder.fused])
        and _is_published(folder, marks)
    )


def _sweep(folder: Folder, made: Path, published: bool) -> None:
    """Take away what earlier settings left half done, and what a publication put aside."""
    for path in folder.root.glob(".fused-*.zarr"):
        if path != made or published:
            shutil.rmtree(path)


def _is_published(folder: Folder, marks: Prints) -> bool:
    """Whether the published series says that it is this very one."""
    store = CubeStore(folder.fused)
    try:
        return "" in store.names() and store.spec("").attributes.get("series_sha256") == marks.fuse
    except StoreError:
        return False


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
