"""Cleaning: what a folder holds that nobody needs any more: old generations, and what kills left behind."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stsfusion.cube.generations import KEPT
from stsfusion.cube.manifest import Manifest
from stsfusion.cube.publication import Publication
from stsfusion.cube.store import CubeStore
from stsfusion.errors import RecipeError
from stsfusion.ingest.carrying import forsaken
from stsfusion.pipeline.crew import lock_of
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.learnt import FILE
from stsfusion.pipeline.making import settle
from stsfusion.pipeline.readable import is_replaced, shows
from stsfusion.pipeline.room import places

__all__ = ["Waste", "clean", "is_of_shown", "waste_of"]


@dataclass(frozen=True)
class Waste:
    """Something that can go."""

    path: Path
    """File or folder; of the series itself, only what was never published."""

    why: str
    """What it is."""

    size: int
    """Bytes that come free: files that another generation also has do not count."""


def clean(folder: Folder, *, keep: int = KEPT, dry_run: bool = False) -> list[Waste]:
    """Take away what is not needed; never the series that readers see.

    Parameters
    ----------
    folder
        Of a recipe's results.
    keep
        Generations that stay, the one that readers see among them.
    dry_run
        Only say what would go.

    Raises
    ------
    LockedError
        While a run is at work there.
    RecipeError
        When not even the present generation would stay.
    """
    if keep < 1:
        raise RecipeError("generations", expected="at least 1 to stay", got=str(keep), mend="Say --keep 1.")
    if not folder.work.is_dir():
        return []
    with lock_of(folder):
        if not dry_run:
            settle(folder)
        found = list(waste_of(folder, keep))
        for each in () if dry_run else found:
            if each.path == folder.fused:
                CubeStore(folder.fused).discard()
            elif each.path.is_dir():
                shutil.rmtree(each.path)
            else:
                each.path.unlink()
        if not dry_run:
            _call_off(folder)
    return found


def _call_off(folder: Folder) -> None:
    """Let workers of an array find nothing prepared where nothing is being made any more."""
    if folder.ready.is_file() and not any(places(folder, folder.ready.read_text())):
        folder.ready.unlink()
        shutil.rmtree(folder.notes(), ignore_errors=True)


def waste_of(folder: Folder, keep: int = KEPT) -> Iterator[Waste]:
    """What could go."""
    for path in folder.generations.surplus(keep):
        yield Waste(path, "an old generation", _size(path))
    for path in folder.generations.damaged():
        yield Waste(path, "a damaged series that was replaced", _size(path))
    for path in folder.stagings:
        old = is_replaced(folder, path)
        yield Waste(path, "an old generation" if old else "a series that was not finished", _size(path))
    for path in forsaken(folder.cubes):
        yield Waste(path, "cubes that were not finished", _size(path))
    if shows(folder.fused) and Publication(folder.fused).pending:
        yield Waste(folder.fused, "dates that were being added and not finished", 0)
    for path in sorted(folder.work.glob("weights-*.safetensors*")):
        if not _is_of_series(folder, path):
            yield Waste(path, "what was learned for another series", _size(path))
    for path in sorted(folder.root.glob(".scenes-*")):
        yield Waste(path, "deliveries that were unpacked", _size(path))


def _is_of_series(folder: Folder, path: Path) -> bool:
    """Whether a file of what was learned is that of the present series, or may be: it can restore it."""
    mark = folder.marks().get("fit", {}).get("fingerprint", "")
    if path.name == f"weights-{mark[:12]}.safetensors":
        return True
    return is_of_shown(folder, path)


def is_of_shown(folder: Folder, path: Path) -> bool:
    """Whether a file of what was learned is what the published series was made with, or may be."""
    beside = folder.fused / FILE
    if not shows(folder.fused) or not beside.is_file():
        return False
    known = Manifest.read(folder.fused) or Manifest()
    harmed = FILE in known.marks and known.damage(folder.fused, FILE) is not None
    return harmed or filecmp.cmp(path, beside, shallow=False)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(found.st_size for found in (file.stat() for file in files) if found.st_nlink == 1)
