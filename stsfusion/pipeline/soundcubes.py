"""Soundcubes: nothing is computed from input cubes that are not what they were; what is spoilt is made again.

A disk may change a bit of the run's own copy of the input. What is made of it would be wrong and look right.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from stsfusion.cube.manifest import Damage
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import damages_of
from stsfusion.errors import StoreError
from stsfusion.pipeline.cleaning import is_of_shown
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.readable import is_replaced, shows
from stsfusion.pipeline.reciperun import RecipeRun

__all__ = ["SpoiltCubes", "are_legible", "can_go_on", "forsake", "require_labels", "require_sound"]

_SHOWN = 3
"""Files that are named."""

_UNREADABLE = (StoreError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a store ends with in whose documents a letter may be wrong."""


class SpoiltCubes(StoreError):
    """Input cubes are not what they were when they were made."""


def require_sound(run: RecipeRun) -> None:
    """Compare every file of the input cubes with what it was, once in a run and before anything is computed.

    Workers read what this run has found sound, in whatever process or job: none of them looks again.

    Raises
    ------
    SpoiltCubes
        When a file was changed, cut short or lost.
    """
    if run.sound:
        return
    with run.step("Checking the cubes") as bar:
        _refuse(run.folder.cubes, damages_of(run.folder.cubes, tick=bar.at))
    run.sound = True


def require_labels(cubes: Path) -> None:
    """The same of documents and coordinates alone, by which it is decided what is to be computed.

    Raises
    ------
    SpoiltCubes
        When one is not what it was, or nobody can tell.
    """
    try:
        CubeStore(cubes).recover()
        found = damages_of(cubes, labels=True)
    except _UNREADABLE as error:
        said = f"{error.where} ({error.got})" if isinstance(error, StoreError) else f"a document ({error!r})"
        raise _spoilt(cubes, [said]) from error
    _refuse(cubes, found)


def are_legible(cubes: Path) -> bool:
    """Whether documents and coordinates are what they were, found out without touching anything."""
    try:
        return not damages_of(cubes, labels=True)
    except _UNREADABLE:
        return False


def can_go_on(cubes: Path) -> bool:
    """Whether cubes that are not finished can be gone on from, tile by tile; their labels are no tiles."""
    store = CubeStore(cubes)
    try:
        store.recover()
        if store.names():
            require_labels(cubes)
    except _UNREADABLE:
        return False
    return True


def forsake(run: RecipeRun, spoilt: SpoiltCubes) -> None:
    """Forget spoilt cubes, and what was made of them but not published: nobody knows since when they are."""
    folder = run.folder
    run.besides.append(f"Input cubes had been damaged and were made again: {spoilt.got}.")
    run.journal.say("cubes spoilt", what=spoilt.got)
    folder.unmark("cubes")
    folder.ready.unlink(missing_ok=True)
    for path in folder.stagings:
        if not is_replaced(folder, path):
            shutil.rmtree(path)
    if shows(folder.fused):
        CubeStore(folder.fused).discard()
    _unlearn(folder)


def _unlearn(folder: Folder) -> None:
    """Take away what was learned, but for what the published series was made with."""
    for path in folder.work.glob("weights-*.safetensors"):
        if not is_of_shown(folder, path):
            path.unlink()


def _refuse(cubes: Path, found: Sequence[Damage]) -> None:
    if found:
        raise _spoilt(cubes, [f"{damage.file} ({damage.what})" for damage in found])


def _spoilt(cubes: Path, what: Sequence[str]) -> SpoiltCubes:
    more = f" and {len(what) - _SHOWN} more" if len(what) > _SHOWN else ""
    return SpoiltCubes(
        f"input {cubes}",
        expected="the cubes as they were made",
        got=f"{', '.join(what[:_SHOWN])}{more}",
        mend="Run the same command again, which makes them again.",
    )
