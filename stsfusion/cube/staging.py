"""Staging: who may begin, extend and write a dataset, and when; every refusal says how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace as changed
from typing import Any

from stsfusion.cube.layout import FORMAT, RESERVED, listing_of
from stsfusion.cube.listing import Listing
from stsfusion.cube.publication import Publication
from stsfusion.cube.spec import CubeSpec
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["admit", "admit_format", "admit_place", "begin", "extend", "owner_of"]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def owner_of(listing: Listing) -> str | None:
    """Fingerprint of the recipe that a dataset belongs to."""
    owner = listing.attributes.get("stsfusion", {}).get("owner")
    return None if owner is None else str(owner)


def begin(publication: Publication, name: str, spec: CubeSpec, owner: str | None, replace: bool) -> bool:
    """Stage a dataset; False when the very same one is published already.

    True as well when it is staged: who began it may have died before its coordinates were written.

    Raises
    ------
    StoreError
        When the name, the folder, the owner or the dataset that is there stands against it.
    """
    admit_place(publication, name, owner)
    listing, there = listing_of(spec, owner), publication.upcoming()
    if there.get(name) == listing:
        return publication.published().get(name) != listing
    if name in there and not replace:
        state = "published" if name in publication.published() else "being written"
        raise StoreError(
            f"dataset '{name}' of {publication.path}",
            expected="none, or the very same frame",
            got=f"one with another frame, {state}",
            mend="Write to another folder, remove this one, or ask for it to be replaced.",
        )
    if name in publication.published():
        publication.withdraw(name)
    publication.clear(name)
    publication.stage({**publication.upcoming(), name: listing})
    return True


def admit_place(publication: Publication, name: str, owner: str | None) -> None:
    """Let a dataset be made in a folder, or take its place.

    Raises
    ------
    StoreError
        When the name, the folder or the owner of what is there stands against it.
    """
    _admit_name(publication, name)
    publication.recover()
    for other, its in publication.upcoming().items():
        _admit_owner(publication, other, owner_of(its), owner)


def extend(
    publication: Publication, name: str, spec: CubeSpec, attributes: Mapping[str, Any] | None = None
) -> bool:
    """Stage a published dataset with further dates; False when they are published already.

    True as well when they are staged: who began may have died before the coordinates were written.

    Parameters
    ----------
    spec
        Its frame with these dates.
    attributes
        What it says of itself from then on; None: what it says now.

    Raises
    ------
    StoreError
        When other dates are being written.
    """
    publication.recover()
    there = publication.published()[name]
    if attributes is None:
        longer = changed(listing_of(spec, owner_of(there)), attributes=there.attributes)
    else:
        longer = listing_of(changed(spec, attributes=attributes), owner_of(there))
    staged = publication.upcoming()[name]
    if staged == longer:
        return staged != there
    if staged != there:
        raise StoreError(
            f"dataset '{name}' of {publication.path}",
            expected="no other dates being written",
            got=f"{staged.dates - there.dates} new dates, not published",
            mend="Publish or discard them first.",
        )
    publication.stage({**publication.upcoming(), name: longer})
    return True


def admit(publication: Publication, name: str, listing: Listing, window: Window) -> None:
    """Let a window be written, or say why not: it cuts a shard, lies outside, or its dates are published.

    Raises
    ------
    StoreError
        In each of these cases.
    """
    time, _, rows, cols = listing.shape
    shard = listing.shard
    if not Window.whole(time, rows, cols).contains(window):
        raise StoreError(
            f"{window} of '{name}'", expected=f"inside {time} dates, {rows} rows and {cols} columns"
        )
    for (start, stop), size in ((window.rows, rows), (window.cols, cols)):
        if start % shard or (stop % shard and stop != size):
            raise StoreError(
                f"{window} of '{name}'",
                expected=f"whole shards of {shard} pixels (or up to the edge at {size})",
                got=f"({start}, {stop})",
                mend="Two writers of one shard would lose data: give each task whole shards, spec.shards().",
            )
    seen = publication.published().get(name)
    if seen is not None and window.dates[0] < seen.dates:
        raise StoreError(
            f"{window} of '{name}'",
            expected=f"dates from {seen.dates} on, those being written",
            got=f"date {window.dates[0]}, which is published",
            mend="Published dates do not change: write to another store, or replace the dataset.",
        )


def _admit_name(publication: Publication, name: str) -> None:
    if name and (not _NAME.fullmatch(name) or name in RESERVED):
        raise StoreError(
            f"dataset name '{name}'",
            expected="'' or a lower-case word that is no array's name",
            mend="Name it after its role, such as 'rich'.",
        )
    path = publication.path
    if publication.untouched:
        return
    there = publication.upcoming() if path.is_dir() else {}
    if not (there or publication.pending) or any("stsfusion" not in its.attributes for its in there.values()):
        raise StoreError(
            f"store {path}",
            expected="a new folder, or a store of ours",
            got="something else",
            mend="Choose another path; nothing there was touched.",
        )


def admit_format(publication: Publication, name: str, listing: Listing) -> None:
    """Let a dataset be read, when its layout is one that this version knows.

    Raises
    ------
    StoreError
        When it was written by a later version, or by another program.
    """
    found = listing.attributes.get("stsfusion", {}).get("format")
    if found not in range(1, FORMAT + 1):
        raise StoreError(
            f"dataset '{name}' of {publication.path}",
            expected=f"layout {FORMAT} or before",
            got=f"layout {found}",
            mend="Update stsfusion, or open a foreign Zarr with open_cube().",
        )


def _admit_owner(publication: Publication, name: str, there: str | None, here: str | None) -> None:
    if there != here:
        raise StoreError(
            f"dataset '{name}' of {publication.path}",
            expected=f"one that belongs to this recipe ({here})",
            got=f"one of another recipe ({there})",
            mend="Choose another output folder, or remove this one if it is no longer needed.",
        )
