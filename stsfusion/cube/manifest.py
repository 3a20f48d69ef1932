"""Manifest: what every file of a published store was, so that damage at rest can be told from data.

::

    fused.zarr/
      .checksums.json   {"sha256": {"reflectance/c/0/0/0/0": [bytes, "9f86d0…"], …}}

A disk may change a bit, and a copy may lose a file; neither Zarr nor the file system would say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from stsfusion.cube.listing import Listing, join
from stsfusion.errors import StoreError

__all__ = ["FILE", "Damage", "Manifest", "Mark", "files_of", "settled", "strays"]

FILE = ".checksums.json"
"""Its name in the store's folder."""

_DOCUMENT = "zarr.json"

_BESIDE = ".*.safetensors"
"""Files at the root that are published with the data: what a method has learned."""

_BLOCK = 2**20
"""Bytes that are read at once."""

Mark = tuple[int, str]
"""Bytes and sha256 of a file."""


@dataclass(frozen=True)
class Damage:
    """What became of a file since it was published."""

    file: str
    """Path inside the store."""

    what: str
    """`missing`, `unknown` (not there when it was published), `cut short`, `too long` or `changed`."""


@dataclass(frozen=True)
class Manifest:
    """Bytes and sha256 of every file of the published datasets."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """By path inside the store, with forward slashes."""

    @classmethod
    def read(cls, store: Path) -> Manifest | None:
        """The manifest of a store; None where none was written.

        The last one stays known while its file is the same: that of an archive takes a second to read.

        Raises
        ------
        StoreError
            When it cannot be understood.
        """
        path = store / FILE
        try:
            known = path.stat()
            return _parsed(path, (known.st_ino, known.st_size, known.st_mtime_ns))
        except FileNotFoundError:
            return None

    @property
    def document(self) -> dict[str, dict[str, list[int | str]]]:
        """As it is written."""
        return {"sha256": {file: list(mark) for file, mark in self.marks.items()}}

    def renewed(self, store: Path, files: Collection[str], settled: Collection[str]) -> Manifest:
        """A manifest of these files, all of them read but those that cannot have changed.

        Parameters
        ----------
        store
            The store's folder.
        files
            Paths inside it.
        settled
            Those that were published before and are never written again: one that is gone stays noted, so
            that nobody takes it for one that never was.
        """
        known = {file: self.marks[file] for file in settled if file in self.marks}
        fresh = {file: _mark(store / file) for file in files if file not in known}
        return Manifest(dict(sorted({**known, **fresh}.items())))

    def glance(self, store: Path, file: str) -> Damage | None:
        """Say how a file differs as far as its size tells, without reading it; None: it may be as it was."""
        what = _misses(store / file, self.marks.get(file))
        return None if what is None else Damage(file, what)

    def damage(self, store: Path, file: str) -> Damage | None:
        """Read a file of the store, by its path inside it, and say how it differs; None: it is as it was."""
        what = _differs(store / file, self.marks.get(file))
        return None if what is None else Damage(file, what)


@lru_cache(maxsize=1)
def _parsed(path: Path, trace: tuple[int, int, int]) -> Manifest:
    """A manifest's file; its trace tells it from what lay there before."""
    try:
        found = json.loads(path.read_bytes())["sha256"]
        return Manifest({str(file): (int(size), str(digest)) for file, (size, digest) in found.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}",
            expected="the checksums of the store's files",
            got="a damaged file",
            mend="Restore it from a copy; without it nobody can say whether the data are whole. To make a "
            "series anew, say 'stsfusion run --overwrite'.",
        ) from error


def files_of(store: Path, listings: Mapping[str, Listing]) -> list[str]:
    """Files of datasets as these listings show them, those of later dates left out; paths inside the store.

    Parameters
    ----------
    store
        Its folder.
    listings
        By dataset.
    """
    documents = [join(name, _DOCUMENT) for name in {"", *listings}]
    arrays = [
        file
        for name, listing in listings.items()
        for array, document in listing.arrays.items()
        for file in _inside(store, join(name, array), listing.dates, dated=_is_dated(document))
    ]
    beside = [path.name for path in store.glob(_BESIDE) if path.is_file()]
    return sorted([*arrays, *beside, *(file for file in documents if (store / file).is_file())])


def strays(store: Path, known: Collection[str]) -> list[str]:
    """Files in a store's folder that are neither these nor a store's own notes; paths inside the store."""
    there = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in there
        if path.as_posix() not in known
        and path.suffix not in {".partial", ".new"}
        and path.as_posix() not in {FILE, ".staged.json"}
    )


def settled(marks: Collection[str], new: Mapping[str, Listing], old: Mapping[str, Listing]) -> set[str]:
    """Of noted files the shards that were published before and that no writer may touch.

    Coordinates are none of them: they grow with the dates.
    """
    shown = {
        join(name, array): old[name].dates for name in new.keys() & old.keys() for array in old[name].dated
    }
    return {file for file in marks if _is_of_dates(file, shown)}


def _is_of_dates(file: str, shown: Mapping[str, int]) -> bool:
    """Whether a file is a shard of the first so many dates of an array."""
    array, _, place = file.partition("/c/")
    date = place.partition("/")[0]
    return date.isdecimal() and int(date) < shown.get(array, 0)


def _is_dated(document: Mapping[str, Any]) -> bool:
    """Whether an array is cut by date: those of images are, coordinates are not."""
    return len(document["shape"]) > 2


def _inside(store: Path, folder: str, dates: int, *, dated: bool) -> Iterator[str]:
    """Files of one array, and no others; of an array (time, …) those of the first dates alone."""
    for path in sorted((store / folder).rglob("*")):
        place = path.relative_to(store / folder).parts
        own = place == (_DOCUMENT,) or (place[0] == "c" and all(part.isdecimal() for part in place[1:]))
        later = own and dated and len(place) > 1 and int(place[1]) >= dates
        if own and not later and path.is_file():
            yield f"{folder}/{'/'.join(place)}"


def _misses(path: Path, was: Mark | None) -> str | None:
    if was is None:
        return "unknown"
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != was[0]:
        return "cut short" if size < was[0] else "too long"
    return None


def _differs(path: Path, was: Mark | None) -> str | None:
    what = _misses(path, was)
    if what is None and was is not None and _mark(path) != was:
        return "changed"
    return what


def _mark(path: Path) -> Mark:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            size += len(block)
    return size, found.hexdigest()
