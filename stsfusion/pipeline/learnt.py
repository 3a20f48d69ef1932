"""Learnt: what a method has learned of a scene: now, or once and for all with a published series."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

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
    """What a published series was made with.

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
        method = at_rest.load_state(draft.plan.method, file)
        found = at_rest.fingerprint(method)
    except MethodError as error:
        raise _lost(file, str(error).splitlines()[0]) from error
    if found != was.weights:
        raise _lost(file, "another one")
    if not run.folder.is_done("fit", found, [file]):
        run.folder.mark("fit", found, [file], seconds=0.0, weights=found)
    return Learnt(method, file, wanted.with_learning_of(was))


def _lost(file: Path, got: str) -> StoreError:
    return StoreError(
        f"{file}",
        expected="what the series was made with",
        got=got,
        mend="Restore it from a copy, learn anew with 'stsfusion update --refit', or make the series anew "
        "with 'stsfusion run --overwrite'.",
    )
