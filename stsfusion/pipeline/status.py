"""Status: how far a recipe's run is, without touching it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stsfusion.cube.frames import harmed_frame, named
from stsfusion.errors import StoreError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.comparerun import states
from stsfusion.pipeline.crew import Crew
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.learnt import FILE
from stsfusion.pipeline.madefrom import Difference, MadeFrom, asked, published
from stsfusion.pipeline.prints import Prints, input_print
from stsfusion.pipeline.readable import is_damaged, shows
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.steps import folder_of
from stsfusion.pipeline.tally import tally
from stsfusion.pipeline.words import duration

__all__ = ["plain", "status_of"]

Lines = list[tuple[str, str]]

Marks = Mapping[str, Mapping[str, Any]]
"""What is noted of the steps that are done, at one moment: a run may note more at any time."""


def status_of(recipe: Recipe, file: Path) -> Lines:
    """How far a recipe's run is, as lines of two words."""
    folder = folder_of(recipe, file)
    if not folder.root.exists():
        here = "" if folder.root.is_absolute() else f": 'output:' is seen from {Path.cwd()}"
        return [("output", f"{folder.root.absolute()} (not begun{here})")]
    if recipe.compares:
        return states(recipe, file, folder)
    was = published(folder.fused)
    crew, done = Crew.of(folder), folder.marks()
    lines = [("output", str(folder.root)), ("series", _shown(folder, was))]
    lines += [("at work", str(crew))] if crew else []
    if not folder.is_done("cubes", input_print(recipe, file.parent), [folder.cubes], done):
        state = "not read yet" if crew else "to do: new, changed or never read"
        return [*lines, ("cubes", state)]
    content = done["cubes"]["content"]
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, file.parent, folder.fused)
    wanted = asked(recipe, draft.assembly, draft.plan, content)
    marks = Prints(recipe, content, draft.assembly.sources, was.identity if was else "")
    lines += _steps(folder, done, marks, wanted, was, working=bool(crew))
    return [*lines, *_tiles(folder, done, wanted, was, crew)]


def plain(lines: Lines) -> dict[str, str | int]:
    """The same as a mapping; counts as numbers."""
    return {what.strip(): int(state) if state.isdecimal() else state for what, state in lines}


_UNTOLD = (
    "published, but it does not say what it was made from, so that no update can go on from it: restore its "
    "zarr.json from a copy, or make all of it anew with 'stsfusion run --overwrite'"
)

_HARMED = (
    "published, but damaged: {}; no update can go on from it: restore these files from a copy, or make all "
    "of it anew with 'stsfusion run --overwrite'"
)


def _shown(folder: Folder, was: MadeFrom | None) -> str:
    if is_damaged(folder.fused):
        return "damaged: it cannot be opened, and no run goes on beside it; restore its zarr.json from a copy"
    if was is None:
        return _illegible(folder.fused) if shows(folder.fused) else "nothing published"
    older = len(folder.generations.older())
    kept = f", {older} generation{'s' * (older > 1)} before it" if older else ""
    return f"{len(was.dates)} dates published{kept}"


def _illegible(series: Path) -> str:
    """What is said of a series that readers find, but of which nobody can tell what it was made from."""
    with suppress(StoreError):
        if found := harmed_frame(series):
            return _HARMED.format(named(found))
    return _UNTOLD


def _steps(
    folder: Folder, done: Marks, marks: Prints, wanted: MadeFrom, was: MadeFrom | None, *, working: bool
) -> Iterator[tuple[str, str]]:
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
        if folder.is_done(step, mark, [path], done):
            since = ", frozen with the series" if step == "fit" and old else ""
            yield step, f"done in {duration(done[step]['seconds'])}{since}"
        elif working:
            yield step, "not done yet"
        elif step == "fuse" and change is not None and not change.nothing:
            yield step, f"{change} dates: 'stsfusion update' makes them"
        else:
            yield step, "to do anew: recipe, input or code changed" if step in done else "to do"


def _tiles(folder: Folder, done: Marks, wanted: MadeFrom, was: MadeFrom | None, crew: Crew) -> Lines:
    """What the ledger tells of the series that is asked for, with what is or was learned."""
    learned = done.get("fit", {}).get("weights", "")
    names = [replace(wanted, weights=learned).identity]
    names += [was.identity, wanted.with_learning_of(was).identity] if was else []
    for name in names if folder.ledger.exists() else ():
        lines = tally(folder, name, crew.since)
        if lines:
            return lines
    return []
