"""Generations: a published series, those that it took the place of, and what one hands on to the next.

::

    demo-out/
      fused.zarr                       the series that readers open
      .fused-1f0c….zarr                the next one, while it is being made
      .stsfusion/generations/0001.zarr what stood in its place before (damaged-0001.zarr: not to be opened)

Dates that stay as they are are not written again: the next generation links to the very files of this one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stsfusion.cube.disk import flush
from stsfusion.cube.listing import Listing, join
from stsfusion.cube.manifest import FILE, Damage, Manifest, Mark
from stsfusion.cube.publication import Publication
from stsfusion.errors import StoreError

__all__ = ["KEPT", "Generations", "carry", "date_marks", "exchange", "exchanges", "glance", "harmed_dates"]

KEPT = 2
"""Generations that stay: the one that readers see and the one before."""


@dataclass(frozen=True)
class Generations:
    """A series and those before it; every step can be done again after a kill."""

    series: Path
    """Folder of the series that readers open."""

    shelf: Path
    """Folder of those before it, on the same disk; `0001.zarr` is the oldest."""

    def damaged(self) -> list[Path]:
        """Those that nobody could open when they were replaced; they are no generation."""
        return sorted(self.shelf.glob("damaged-*.zarr"))

    def older(self) -> list[Path]:
        """Those before it, the oldest first."""
        return sorted(path for path in self.shelf.glob("*.zarr") if path.stem.isdecimal())

    def recover(self) -> None:
        """Find the series again that a kill left aside: back to its place, or among those before it."""
        aside = _aside(self.series)
        if not aside.exists():
            return
        if self.series.exists():
            self.shelve(aside)
        else:
            aside.rename(self.series)
            flush(self.series.parent)

    def succeed(self, made: Path, *, keep: bool = True, damaged: bool = False) -> None:
        """Let a finished store take the place of the series in one step, and shelve what stood there.

        Who opens it sees the old series or the whole new one, where the file system exchanges folders at once
        (see `exchanges`); elsewhere there is none for a moment. What was opened before must be opened anew.

        Parameters
        ----------
        made
            A published store beside the series; afterwards it is gone.
        keep
            Whether what stood there is worth keeping.
        damaged
            Whether nobody can open what stood there; then it is kept, and no generation goes for it.
        """
        self.recover()
        if not self.series.exists():
            made.rename(self.series)
            flush(self.series.parent)
            return
        exchange(made, self.series)
        flush(self.series.parent)  # before anything of the old one is let go
        self.shelve(made, keep=keep, damaged=damaged)

    def shelve(self, old: Path, *, keep: bool = True, damaged: bool = False) -> None:
        """Put a store that was the series among those before it, and let go of those that are too old."""
        kind, there = ("damaged-", self.damaged()) if damaged else ("", self.older())
        number = max((int(path.stem.removeprefix(kind)) for path in there), default=0) + 1
        if keep or damaged:
            self.shelf.mkdir(parents=True, exist_ok=True)
            flush(self.shelf.parent)
            old.rename(self.shelf / f"{kind}{number:04d}.zarr")
            flush(self.shelf)
            flush(old.parent)
        else:
            shutil.rmtree(old)
        for path in self.surplus(KEPT):
            shutil.rmtree(path)

    def surplus(self, keep: int) -> list[Path]:
        """Those before it that are too many when so many generations stay, the series among them."""
        older = self.older()
        return older[: max(0, len(older) - max(keep - 1, 0))]


def carry(old: Path, new: Path, dates: Mapping[int, int], name: str = "") -> None:
    """Give dates of a published dataset to one that is being made, file by file, without writing them again.

    Parameters
    ----------
    old, new
        The stores' folders; both datasets have the same frame but for their dates.
    dates
        Index in the old one -> index in the new one; their files are never written again. One that is gone
        stays noted, so that the new series lacks it as the old one does; one that nobody published stays
        behind.
    """
    published, staged = Publication(old).published()[name], Publication(new).staged()[name]
    apart = _apart(published, staged)
    if apart:
        raise StoreError(
            f"dataset '{name}' of {new}",
            expected="the frame of the series before it but for the dates",
            got=", ".join(apart),
            mend="Make the whole series anew.",
        )
    marks, known = _noted(old).marks, _noted_of_others(new, name)
    for file, (array, date, rest) in _dated(marks, name, published).items():
        if date in dates:
            there = f"{join(name, array)}/c/{dates[date]}/{rest}"
            known[there] = marks[file]
            if (old / file).is_file():
                _link(old / file, new / there)
    Publication(new).note(Manifest(known))


def _apart(published: Listing, staged: Listing) -> list[str]:
    """What parts the frames of two datasets, but for their dates."""
    compared = (
        ("(band, y, x) of", published.shape[1:], staged.shape[1:]),
        ("shards of", published.shard, staged.shard),
        ("maps expanded by", (published.common or "none")[:12], (staged.common or "none")[:12]),
    )
    return [f"{what} {now}, not {was}" for what, was, now in compared if now != was]


def _noted_of_others(store: Path, name: str) -> dict[str, Mark]:
    """What is noted already of files of other datasets, which were carried before."""
    there = (Manifest.read(store) or Manifest()).marks
    return {file: mark for file, mark in there.items() if name and not file.startswith(f"{name}/")}


def date_marks(store: Path, name: str) -> list[list[str]]:
    """For each date of a published dataset the names and checksums of its files, as they were published."""
    listing = Publication(store).published()[name]
    found: list[list[str]] = [[] for _ in range(listing.dates)]
    marks = (Manifest.read(store) or Manifest()).marks
    for file, (array, date, rest) in sorted(_dated(marks, name, listing).items()):
        found[date].append(f"{array}/{rest} {marks[file][1]}")
    return found


def glance(store: Path) -> list[Damage]:
    """Published files that are gone or have another size.

    No file is read, which takes moments where reading an archive takes hours: a bit that changed within one
    is found by `verify` alone, and stays to be found by it whatever is made of the store.

    Raises
    ------
    StoreError
        When nobody can tell what the files were.
    """
    known = _noted(store)
    found = (known.glance(store, file) for file in known.marks)
    return [damage for damage in found if damage is not None]


def harmed_dates(store: Path, damages: Iterable[Damage], name: str = "") -> dict[int, list[Damage]]:
    """By date (index) of a published dataset, those damages that are of files of one date alone."""
    known, found = {damage.file: damage for damage in damages}, dict[int, list[Damage]]()
    for file, (_, date, _) in _dated(known, name, Publication(store).published()[name]).items():
        found.setdefault(date, []).append(known[file])
    return found


def _noted(store: Path) -> Manifest:
    """What every file of a published store was."""
    known = Manifest.read(store)
    if known is None:
        raise StoreError(
            f"store {store}",
            expected=f"the checksums of its files, {FILE}",
            got="none",
            mend="Restore that file from a copy; without it nobody can say whether the dates that stay are "
            "whole. To make all of it anew, say 'stsfusion run --overwrite'.",
        )
    return known


def _dated(files: Iterable[str], name: str, listing: Listing) -> dict[str, tuple[str, int, str]]:
    """Of these files those of a dataset's dates: of each its array, date, and place among shards."""
    places, found = {join(name, array): array for array in listing.dated}, {}
    for file in files:
        folder, _, place = file.partition("/c/")
        date, _, rest = place.partition("/")
        if folder in places and date.isdecimal() and int(date) < listing.dates:
            found[file] = (places[folder], int(date), rest)
    return found


def _link(source: Path, target: Path) -> None:
    """The same file at another place; a copy where the disk knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        beside = target.with_name(f"{target.name}.partial")
        shutil.copyfile(source, beside)
        beside.replace(target)


_AT_FDCWD, _EXCHANGE = -100, 2


def _aside(series: Path) -> Path:
    """Where a series lies for a moment while renames replace it."""
    return series.with_name(f".{series.name}.old")


def exchange(one: Path, other: Path) -> None:
    """Swap two folders, at once where the system can (Linux), else by renames; nothing is deleted."""
    if _swap(one, other):
        return
    aside = _aside(other)
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def exchanges(folder: Path) -> bool:
    """Whether this place's file system swaps two folders at once, by trying it.

    Raises
    ------
    OSError
        When nothing can be written there.
    """
    with tempfile.TemporaryDirectory(prefix=".exchange-", dir=folder) as place:
        one, other = Path(place, "one"), Path(place, "other")
        one.mkdir()
        other.mkdir()
        return _swap(one, other)


def _swap(one: Path, other: Path) -> bool:
    """Swap two folders in one step; whether the system could."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap is None:
        return False
    return swap(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0
