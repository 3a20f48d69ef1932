"""Carrying: dates of the cubes before that are what they would be made as again; none of their tiles is made.

::

    cubes.zarr            readers' own, until the next ones are whole
    .cubes-1f0c….zarr     the next ones, links to the files of equal dates among them; then they swap places
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from stsfusion.cube.generations import carry
from stsfusion.cube.listing import Listing
from stsfusion.cube.manifest import Manifest
from stsfusion.cube.publication import Publication
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import damages_of
from stsfusion.errors import StoreError
from stsfusion.ingest.plan import Cube, Plan
from stsfusion.ingest.stamps import STAMP

__all__ = ["carried_over", "forsaken", "is_begun", "is_sound", "place_of", "shown"]

_UNREADABLE = (StoreError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a store ends with in whose documents a letter may be wrong."""


def place_of(store: Path, stamp: str) -> Path:
    """Where cubes are made that will take a store's place: beside it, another for each job."""
    return store.with_name(f".{store.stem}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}{store.suffix}")


def forsaken(store: Path, keep: Path | None = None) -> list[Path]:
    """Cubes beside a store that were to take its place and are not gone on from, but for those to keep."""
    pattern = f".{store.stem}-{'[0-9a-f]' * 12}{store.suffix}"
    return sorted(path for path in store.parent.glob(pattern) if path != keep)


def is_sound(store: CubeStore) -> bool:
    """Whether cubes are published there, and every file is what it was then."""
    try:
        return bool(store.names()) and not damages_of(store.path)
    except _UNREADABLE:
        return False


def shown(store: CubeStore) -> dict[str, Listing]:
    """Cubes that readers see; none where they cannot be read."""
    try:
        return Publication(store.path).published()
    except _UNREADABLE:
        return {}


def is_begun(store: CubeStore) -> bool:
    """Whether cubes are being made there that can be gone on from, tile by tile."""
    try:
        store.recover()
        return not store.names()
    except _UNREADABLE:
        return False


def carried_over(
    plan: Plan, old: CubeStore, new: CubeStore, tick: Callable[[], None]
) -> set[tuple[str, int]]:
    """Link the files of equal dates into cubes that are being made; their roles, and their numbers there.

    Dates of which a file is not what it was are not taken, nor any without a stamp.

    Parameters
    ----------
    tick
        Called before each file is compared with what it was.
    """
    Publication(new.path).note(Manifest())
    try:
        equal = {cube.role: dates for cube in plan.cubes if (dates := _equal(cube, old))}
        found = damages_of(old.path, tick=lambda done, file: tick()) if equal else []
    except _UNREADABLE:
        return set()
    harmed = {damage.file for damage in found}
    kept = {role: _whole(role, dates, harmed) for role, dates in equal.items()}
    for role, dates in kept.items():
        carry(old.path, new.path, dates, role)
    return {(role, date) for role, dates in kept.items() for date in dates.values()}


def _equal(cube: Cube, old: CubeStore) -> Mapping[int, int]:
    """Number in the old cube -> number in the new one, of dates with the same stamp."""
    there = shown(old).get(cube.role)
    if there is None:
        return {}
    known = {date[STAMP]: at for at, date in enumerate(there.attributes.get("lineage", ())) if STAMP in date}
    stamps = [date.get(STAMP) for date in cube.spec.attributes["lineage"]]
    return {known[stamp]: at for at, stamp in enumerate(stamps) if stamp in known}


def _whole(role: str, dates: Mapping[int, int], harmed: set[str]) -> dict[int, int]:
    """Those of which every file is what it was; none where a document or a coordinate of the cube is not."""
    places = [file.removeprefix(f"{role}/").split("/") for file in harmed if file.startswith(f"{role}/")]
    shards = {int(place[2]) for place in places if len(place) > 3 and place[2].isdecimal()}
    if "zarr.json" in harmed or any(len(place) <= 3 for place in places):
        return {}
    return {before: after for before, after in dates.items() if before not in shards}
