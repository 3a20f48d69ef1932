"""Status: how far a recipe's run is, without touching it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stsfusion.pipeline import fusing
from stsfusion.pipeline.comparerun import states
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.learnt import FILE
from stsfusion.pipeline.madefrom import Difference, MadeFrom, asked, published
from stsfusion.pipeline.prints import Prints, input_print
from stsfusion.pipeline.readable import is_damaged, shows
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.steps import folder_of
from stsfusion.pipeline.tally import tally
from stsfusion.pipeline.words import duration
from stsfusion.running.lock import Holder, Lock

__all__ = ["status_of"]

Lines = list[tuple[str, str]]


def status_of(recipe: Recipe, file: Path) -> Lines:
    """How far a recipe's run is, as lines of two words."""
    folder = folder_of(recipe, file)
    if not folder.root.exists():
        here = "" if folder.root.is_absolute() else f": 'output:' is seen from {Path.cwd()}"
        return [("output", f"{folder.root.absolute()} (not begun{here})")]
    if recipe.compares:
        return states(recipe, file, folder)
    was = published(folder.fused)
    holder = Lock(folder.work / "lock").at_work()
    lines = [("output", str(folder.root)), ("series", _shown(folder, was))]
    lines += [("at work", str(holder))] if holder is not None else []
    if not folder.is_done("cubes", input_print(recipe, file.parent), [folder.cubes]):
        state = "not read yet" if holder is not None else "to do: new, changed or never read"
        return [*lines, ("cubes", state)]
    content = folder.marks()["cubes"]["content"]
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, file.parent, folder.fused)
    wanted = asked(recipe, draft.assembly, draft.plan, content)
    marks = Prints(recipe, content, draft.assembly.sources, was.identity if was else "")
    lines += _steps(folder, marks, wanted, was, working=holder is not None)
    return [*lines, *_tiles(folder, wanted, was, holder)]


_UNTOLD = (
    "published, but it does not say what it was made from, so that no update can go on from it: restore its "
    "zarr.json from a copy, or make all of it anew with 'stsfusion run --overwrite'"
)


def _shown(folder: Folder, was: MadeFrom | None) -> str:
    if is_damaged(folder.fused):
        return "damaged: it cannot be opened, and no run goes on beside it; restore its zarr.json from a copy"
    if was is None:
        return _UNTOLD if shows(folder.fused) else "nothing published"
    older = len(folder.generations.older())
    kept = f", {older} generation{'s' * (older > 1)} before it" if older else ""
    return f"{len(was.dates)} dates published{kept}"


def _steps(
    folder: Folder, marks: Prints, wanted: MadeFrom, was: MadeFrom | None, *, working: bool
) -> Iterator[tuple[str, str]]:
    done = folder.marks()
    change = (
        Difference.between(was, wanted)
        if was and (was.frame, was.code) == (wanted.frame, wanted.code)
        else None
    )
    old = was is not None and was.learned_from != wanted.learned_from
    fit = (
        (was.weights, folder.fused / FILE)
        if was and old
        else (marks.fit, folder.work / f"weights-{marks.fit[:12]}.safetensors")
    )
    made = {
        "cubes": (done["cubes"]["fingerprint"], folder.cubes),
        "fit": fit,
        "fuse": (was.identity if was and change and change.nothing else "", folder.fused),
        "evaluate": (marks.evaluate, folder.scores),
        "report": (marks.report, folder.report),
    }
    for step, (mark, path) in made.items():
        if folder.is_done(step, mark, [path]):
            since = ", frozen with the series" if step == "fit" and old else ""
            yield step, f"done in {duration(done[step]['seconds'])}{since}"
        elif working:
            yield step, "not done yet"
        elif step == "fuse" and change is not None and not change.nothing:
            yield step, f"{change} dates: 'stsfusion update' makes them"
        else:
            yield step, "to do anew: recipe, input or code changed" if step in done else "to do"


def _tiles(folder: Folder, wanted: MadeFrom, was: MadeFrom | None, holder: Holder | None) -> Lines:
    """What the ledger tells of the series that is asked for, with what is or was learned."""
    learned = folder.marks().get("fit", {}).get("weights", "")
    names = [replace(wanted, weights=learned).identity]
    names += [was.identity, wanted.with_learning_of(was).identity] if was else []
    for name in names if folder.ledger.exists() else ():
        lines = tally(folder, name, holder.since if holder is not None else None)
        if lines:
            return lines
    return []
