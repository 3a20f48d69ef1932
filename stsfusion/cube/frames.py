"""Frames: whether the few small files that all dates of a store need are what they were when published.

::

    zarr.json …                 documents      which arrays there are, and what they mean
    time/c/0  band/c/0  x/c/0   coordinates    without them values have no date, band or place
    basis/c/0/0 …               factors        without them the maps of a compact dataset are no values
"""

from __future__ import annotations

from pathlib import Path

from stsfusion.cube.listing import join
from stsfusion.cube.manifest import Damage, Manifest
from stsfusion.cube.publication import Publication
from stsfusion.errors import StoreError

__all__ = ["harmed_frame", "named", "require_frame"]

_FACTORS = ("basis", "mean_spectrum", "sigma_weights")
"""Arrays by which maps are expanded."""

_SHOWN = 3
"""Files that are named."""


def harmed_frame(store: Path, *, factors: bool = False) -> list[Damage]:
    """Files of no date that are not what they were, each of them read; none where no checksums were kept.

    While further dates are being written their coordinates grow: only what is gone is told then.

    Parameters
    ----------
    store
        Folder of a published series or of cubes.
    factors
        Whether those alone are looked at by which maps are expanded.

    Raises
    ------
    StoreError
        When its documents or checksums cannot be understood.
    """
    publication, known = Publication(store), Manifest.read(store) or Manifest()
    listings = publication.published()
    dated = tuple(f"{join(name, array)}/c/" for name, listing in listings.items() for array in listing.dated)
    files = [file for file in known.marks if not file.startswith(dated)]
    if factors:
        expanding = tuple(f"{join(name, array)}/c/" for name in listings for array in _FACTORS)
        files = [file for file in files if file.startswith(expanding)]
    found = [damage for file in files if (damage := known.damage(store, file)) is not None]
    grows = publication.pending and not factors
    return [damage for damage in found if damage.what == "missing" or not grows]


def require_frame(store: Path, *, factors: bool = False) -> None:
    """Refuse a store in which such files are not what they were.

    Raises
    ------
    StoreError
        When one is not, or as `harmed_frame`.
    """
    found = harmed_frame(store, factors=factors)
    if found:
        raise StoreError(
            f"store {store}",
            expected="the files that all of its dates need, as they were published",
            got=named(found),
            mend="Restore them from a copy; or make a series anew: 'stsfusion run --overwrite'; or remove a "
            "folder of cubes and run its recipe again.",
        )


def named(damages: list[Damage]) -> str:
    """The first files and what became of them, in words."""
    more = f" and {len(damages) - _SHOWN} more" if len(damages) > _SHOWN else ""
    return ", ".join(f"{damage.file} ({damage.what})" for damage in damages[:_SHOWN]) + more
