"""Verification: whether a published store still is what was published, file by file and date by date."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsfusion.cube.layout import ORIGIN
from stsfusion.cube.listing import Listing, join
from stsfusion.cube.manifest import FILE, Damage, Manifest, files_of, strays
from stsfusion.cube.publication import Publication
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import LockedError, StoreError
from stsfusion.window import Window

__all__ = ["Verdict", "damages_of", "verify"]


@dataclass(frozen=True)
class Verdict:
    """What became of a store."""

    files: int
    """Files that were read."""

    size: int
    """Their bytes."""

    damages: tuple[Damage, ...]
    """Every file that is not what it was; empty: all is well."""

    shares: Mapping[str, Mapping[str, float]]
    """Share of the pixels that hold data, by dataset ('' at the root) and date; of those that can be read."""


def verify(store: Path, tick: Callable[[float, str], None] = lambda done, what: None) -> Verdict:
    """Read every published file, compare it with what it was, and count what each date holds.

    What is being written and not yet published is not looked at, nor what else lies there meanwhile. When a
    publication comes between, it is begun again, once: nothing is called damaged that was only replaced.

    Parameters
    ----------
    store
        Folder of a published series or of cubes.
    tick
        Told the share that is done and the file.

    Raises
    ------
    StoreError
        When nothing is published there, or no checksums were kept.
    LockedError
        When a publication is under way or was cut off, or others came between twice.
    """
    if store.is_file():
        raise StoreError(
            f"{store}",
            expected="the folder of a published series or of cubes",
            got="a file",
            mend="Name a folder such as demo-out/fused.zarr.",
        )
    for _ in range(_TRIES):
        with suppress(_Published):
            return _read(store, tick)
    raise LockedError(
        f"store {store}",
        expected="the same published files from beginning to end",
        got="others that were published meanwhile",
        mend="Nothing is known to be damaged. Verify it again when nobody publishes there.",
    )


_TRIES = 2
"""How often a store is read from the beginning."""

_NOTES = ("zarr.json", ".staged.json", FILE)
"""Documents that a publication, or the preparing of one, replaces."""


class _Published(Exception):
    """What readers see is not what it was in the beginning."""


def _read(store: Path, tick: Callable[[float, str], None]) -> Verdict:
    """One reading from beginning to end.

    Raises
    ------
    _Published
        When what readers see was replaced meanwhile: whatever was found says nothing of what is there.
    """
    seen = _seen(store)
    try:
        known, files = _noted(store)
        if not Publication(store).pending:
            files += strays(store, {*files, *files_of(store, Publication(store).published())})
        damages, size = [], 0
        for at, file in enumerate(files):
            if _seen(store) != seen:
                raise _Published
            tick(at / len(files), file)
            damages.append(known.damage(store, file))
            size += (store / file).stat().st_size if (store / file).is_file() else 0
        found = tuple(damage for damage in damages if damage is not None)
        verdict = Verdict(len(files), size, found, _shares(CubeStore(store), {each.file for each in found}))
    except Exception:
        if _seen(store) != seen:
            raise _Published from None
        raise
    if _seen(store) != seen:
        raise _Published
    return verdict


def _seen(store: Path) -> list[tuple[int, int, int] | None]:
    """Tells one publication, or the preparing of one, from the next, whichever folder lies there."""
    found: list[tuple[int, int, int] | None] = []
    for path in (store, *(store / name for name in _NOTES)):
        try:
            known = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((known.st_dev, known.st_ino, 0 if path == store else known.st_mtime_ns))
    return found


def damages_of(
    store: Path, *, labels: bool = False, tick: Callable[[float, str], None] = lambda done, what: None
) -> list[Damage]:
    """Published files that are not what they were; what nobody reads as data is not looked at.

    Parameters
    ----------
    store
        Folder of a published series or of cubes.
    labels
        Whether documents and coordinates alone are read, which are small.
    tick
        Told the share that is done and the file.

    Raises
    ------
    StoreError, LockedError
        As `verify`.
    """
    known, files = _noted(store)
    files = [file for file in files if not (labels and _is_shard(file))]
    found = []
    for at, file in enumerate(files):
        tick(at / len(files), file)
        found.append(known.damage(store, file))
    return [damage for damage in found if damage is not None]


def _noted(store: Path) -> tuple[Manifest, list[str]]:
    """What is known of a store, and the files that are to be compared with it."""
    publication = Publication(store)
    listings = publication.published()
    known = Manifest.read(store)
    if not listings or known is None or publication.cut_off:
        raise _refusal(store, listings, known)
    there = set(files_of(store, listings))
    if not any(file.endswith(".safetensors") for file in known.marks):  # as earlier versions noted them
        there = {file for file in there if not file.endswith(".safetensors")}
    files = sorted(there | known.marks.keys())
    return known, [file for file in files if _is_shard(file)] if publication.pending else files


def _is_shard(file: str) -> bool:
    """Whether a file is an image's: coordinates grow while further dates are being written."""
    _, found, place = f"/{file}".rpartition("/c/")
    return bool(found) and "/" in place


def _refusal(store: Path, listings: Mapping[str, Listing], known: Manifest | None) -> StoreError:
    if not listings:
        return StoreError(
            f"store {store}",
            expected="a published series or cubes",
            got="nothing published",
            mend="Name a folder such as demo-out/fused.zarr; a run publishes when all tiles are done.",
        )
    if known is None:
        return StoreError(
            f"store {store}",
            expected=f"the checksums of its files, {FILE}",
            got="none",
            mend="It was written by an earlier version, or the file was lost: run its recipe again.",
        )
    return LockedError(
        f"store {store}",
        expected="a finished publication",
        got="one that is under way, or was cut off after the new series became visible",
        mend="Wait for the run at work there to end. If there is none, its recipe's next run finishes it.",
    )


def _shares(store: CubeStore, bad: Collection[str]) -> dict[str, dict[str, float]]:
    """Share of the pixels with data of every date whose flags are whole."""
    found: dict[str, dict[str, float]] = {}
    labels = [file for file in bad if not _is_shard(file)]
    for name in store.names():
        if any(file.startswith(join(name, "")) for file in labels):
            continue  # its frame cannot be trusted
        spec = store.spec(name)
        for at, date in enumerate(spec.dates):
            stem = f"{join(name, 'qa')}/c/{at}/"
            if not any(file.startswith(stem) for file in bad):
                found.setdefault(name, {})[str(np.datetime64(date, "s"))] = _share(store, name, spec, at)
    return found


def _share(store: CubeStore, name: str, spec: CubeSpec, at: int) -> float:
    """Of one date, strip by strip."""
    _, _, rows, cols = spec.shape
    strips = [(row, min(row + spec.shard, rows)) for row in range(0, rows, spec.shard)]
    held = sum(
        int(np.count_nonzero(store.read_qa(name, Window((at, at + 1), strip, (0, cols))) & ORIGIN))
        for strip in strips
    )
    return held / (rows * cols)
