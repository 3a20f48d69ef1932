"""Learnt: what a method has learned of a scene: now, or once and for all with a published series."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from stsfusion.cube.disk import replace as replace_file
from stsfusion.errors import MethodError, StoreError
from stsfusion.fusion import weights as at_rest
from stsfusion.fusion.method import FusionMethod
from stsfusion.pipeline import fusing
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.madefrom import MadeFrom
from stsfusion.pipeline.prints import Prints
from stsfusion.pipeline.reciperun import RecipeRun

__all__ = ["FILE", "Learnt", "frozen", "learn"]

FILE = ".learned.safetensors"
"""Name, in a published series, of the file of what its method learned."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """A method that has learned, and the series that it makes."""

    method: FusionMethod
    """The fitted method."""

    file: Path
    """Its state."""

    made: MadeFrom
    """What the series is made from."""


def learn(run: RecipeRun, draft: Draft, marks: Prints, wanted: MadeFrom) -> Learnt:
    """Learn from the input, or read what was learned from this very input."""
    folder, begun = run.folder, time.perf_counter()
    file = folder.work / f"weights-{marks.fit[:12]}.safetensors"
    with run.step(f"Learning ({draft.plan.method.card.name})") as bar:
        method = fusing.fit(draft.plan, run.recipe, file, bar.at)
        known = folder.is_done("fit", marks.fit, [file])
        if known and at_rest.fingerprint(method) != folder.marks()["fit"]["weights"]:
            file.unlink()  # changed at rest: learned anew, which gives the same
            method, known = fusing.fit(draft.plan, run.recipe, file, bar.at), False
    if not known:
        seconds = round(time.perf_counter() - begun, 3)
        folder.mark("fit", marks.fit, [file], seconds=seconds, weights=at_rest.fingerprint(method))
    return Learnt(method, file, replace(wanted, weights=folder.marks()["fit"]["weights"]))


def frozen(run: RecipeRun, draft: Draft, was: MadeFrom, series: Path, wanted: MadeFrom) -> Learnt:
    """What a published series was made with; a damaged file of it is restored where the run has another.

    Parameters
    ----------
    was
        What the series says that it was made from.
    series
        Its store.

    Raises
    ------
    StoreError
        When the file of what was learned is gone, damaged, or of a method with other settings.
    """
    file = series / FILE
    try:
        method = _read(draft, was, file)
    except StoreError:
        spare = _spare(run, draft, was) if series == run.folder.fused else None
        if spare is None:
            raise
        replace_file(file, spare.read_bytes())
        method = _read(draft, was, file)
    if not run.folder.is_done("fit", was.weights, [file]):
        run.folder.mark("fit", was.weights, [file], seconds=0.0, weights=was.weights)
    return Learnt(method, file, wanted.with_learning_of(was))


def _read(draft: Draft, was: MadeFrom, file: Path) -> FusionMethod:
    """The method with the state of a file, when it is that of the series."""
    try:
        method = at_rest.load_state(draft.plan.method, file)
    except MethodError as error:
        raise _lost(file, str(error).splitlines()[0]) from error
    if at_rest.fingerprint(method) != was.weights:
        raise _lost(file, "another one")
    return method


def _spare(run: RecipeRun, draft: Draft, was: MadeFrom) -> Path | None:
    """The same file as the run that learned it left it, if it is still there."""
    for path in sorted(run.folder.work.glob("weights-*.safetensors")):
        try:
            _read(draft, was, path)
        except StoreError:
            continue
        return path
    return None


def _lost(file: Path, got: str) -> StoreError:
    return StoreError(
        f"{file}",
        expected="what the series was made with",
        got=got,
        mend="Restore it from a copy, learn anew with 'stsfusion update --refit', or make the series anew "
        "with 'stsfusion run --overwrite'.",
    )
