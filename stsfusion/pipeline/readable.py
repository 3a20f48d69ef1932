"""Readable: whether readers find a series at a place, or nothing at all, or what nobody can open any more.

What cannot be opened is not nothing: its dates may all be there, under a document that was cut short.
"""

from __future__ import annotations

from pathlib import Path

from stsfusion.cube.publication import Publication
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.madefrom import published

__all__ = ["is_damaged", "is_replaced", "refuse_damaged", "shows"]


def shows(series: Path) -> bool:
    """Whether readers find a series there."""
    try:
        return "" in CubeStore(series).names()
    except (StoreError, NotADirectoryError, KeyError, TypeError, AttributeError):
        return False


def is_damaged(series: Path) -> bool:
    """Whether something lies there that readers cannot open as a series."""
    if shows(series):
        return False
    return series.is_file() or (
        series.is_dir() and any(not path.name.endswith(".new") for path in series.iterdir())
    )


def is_replaced(folder: Folder, path: Path) -> bool:
    """Whether a store beside the series is one that it took the place of, and not one that is being made."""
    there = published(path)
    if there is not None:
        return path != folder.staging(there.identity)
    return shows(path) or (is_damaged(path) and not Publication(path).pending)


def refuse_damaged(folder: Folder) -> None:
    """Refuse to go on beside a series that cannot be opened.

    Raises
    ------
    StoreError
        When there is one.
    """
    if not is_damaged(folder.fused):
        return
    older = folder.generations.older()
    before = f" What was published before it is {older[-1]}." if older else ""
    raise StoreError(
        f"series {folder.fused}",
        expected="a series that can be opened, or none",
        got="files under a zarr.json that is damaged or gone",
        mend="Restore its zarr.json from a copy; 'stsfusion verify' says whether the rest is whole. To make "
        f"all of it anew, say 'stsfusion run --overwrite': what lies there is kept in "
        f"{folder.generations.shelf}.{before}",
    )
