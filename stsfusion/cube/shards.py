"""Shards: which files a window of a dataset touches, and the planes that lie beside its values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.layout import ORIGIN, TILED
from stsfusion.cube.listing import Listing
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["admit_read", "digest", "fit", "place_of", "planes", "shard_files"]


def place_of(listing: Listing, key: str, window: Window) -> tuple[slice, ...]:
    """Index of one of a dataset's arrays; a coarser one has the same ground in fewer pixels."""
    document = listing.arrays[key]
    if key == "dead":
        window = window.snap(listing.shard).coarsen(listing.shard)
    elif key == "residual":
        window = window.coarsen(int(document["attributes"]["ratio"]))
    date, band, row, col = window.slices
    return (date, band, row, col) if len(document["shape"]) == 4 else (date, row, col)


def admit_read(name: str, listing: Listing, window: Window) -> None:
    """Let a window be read, when it lies inside the dataset.

    Raises
    ------
    StoreError
        When it does not.
    """
    time, _, rows, cols = listing.shape
    if not Window.whole(time, rows, cols).contains(window):
        raise StoreError(
            f"{window} of '{name}'",
            expected=f"inside {time} dates, {rows} rows and {cols} columns",
            mend="Clip the window to the dataset: window.clip(...).",
        )


def fit(where: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Let values be written, when they have this shape.

    Raises
    ------
    StoreError
        When they do not.
    """
    if tuple(values.shape) != shape:
        raise StoreError(where, expected=f"shape {shape}", got=f"{tuple(values.shape)}")


def shard_files(folder: Path, listing: Listing, window: Window) -> Iterator[Path]:
    """Files of every shard of every array that a window touches, whether they exist or not.

    Parameters
    ----------
    folder
        The dataset's own folder.
    listing, window
        Its documents, and where.
    """
    size = listing.shard
    snapped = window.snap(size)
    rows = range(snapped.rows[0] // size, snapped.rows[1] // size)
    cols = range(snapped.cols[0] // size, snapped.cols[1] // size)
    for key in (key for key in TILED if key in listing.arrays):
        middle = "0/" if len(listing.arrays[key]["shape"]) == 4 else ""
        for date in range(*window.dates):
            yield from (folder / key / "c" / f"{date}/{middle}{row}/{col}" for row in rows for col in cols)


def digest(folder: Path, files: Iterator[Path]) -> str:
    """sha256 of the names and bytes of files; one that is not there counts by its name alone."""
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(folder)}\n".encode())
        if path.is_file():
            content = path.read_bytes()
            found.update(f"{len(content)}\n".encode() + content)
    return found.hexdigest()


def planes(known: NDArray[np.bool_], qa: NDArray[np.integer] | None) -> dict[str, NDArray[Any]]:
    """`valid` and `qa` (time, y, x) of a window.

    Parameters
    ----------
    known
        (time, band, y, x) where a value is known.
    qa
        (time, y, x) or (time, 1, y, x) flags; None: observed. Where no band is known only marks stay.

    Raises
    ------
    StoreError
        When qa has another shape.
    """
    some = np.asarray(known.any(axis=1))
    flags = np.ones(some.shape, dtype=np.uint16) if qa is None else np.asarray(qa).astype(np.uint16)
    if flags.shape not in (some.shape, (some.shape[0], 1, *some.shape[1:])):
        raise StoreError("qa", expected=f"shape {some.shape}", got=f"{flags.shape}")
    flags = flags.reshape(some.shape)
    return {"valid": some, "qa": np.where(some, flags, flags & ~np.uint16(ORIGIN))}
