"""Reading: what a store holds, for people and window by window for the engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import DataArray, Dataset

from stsfusion.cube import staging
from stsfusion.cube.arrays import Arrays
from stsfusion.cube.factors import Factors
from stsfusion.cube.generations import date_marks
from stsfusion.cube.grid import Grid
from stsfusion.cube.labelled import open_labelled
from stsfusion.cube.layout import listing_of
from stsfusion.cube.listing import Listing
from stsfusion.cube.packing import REFLECTANCE
from stsfusion.cube.publication import Publication
from stsfusion.cube.shards import digest, shard_files
from stsfusion.cube.spec import CubeSpec
from stsfusion.errors import StoreError, nearest
from stsfusion.window import Window

__all__ = ["StoreReader"]


@dataclass(frozen=True)
class StoreReader:
    """The datasets of a folder, as they are; opening one touches nothing."""

    path: Path
    """The store's folder, such as demo-out/fused.zarr."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    def names(self) -> list[str]:
        """Published datasets; the one at the root is ''."""
        return sorted(self._publication.published())

    def spec(self, name: str = "", *, staged: bool = False) -> CubeSpec:
        """The frame of a dataset: place, dates, bands, layout; `staged`: as the next publication shows it."""
        return self._arrays(name, staged).spec

    def factors(self, name: str = "", *, staged: bool = False) -> Factors | None:
        """What the maps of a compact dataset are expanded by; None: it keeps all bands."""
        arrays = self._arrays(name, staged)
        return arrays.compact.factors if arrays.listing.compact else None

    def grid(self, name: str = "", *, staged: bool = False) -> Grid:
        """Where a dataset's pixels lie."""
        return self.spec(name, staged=staged).grid

    def owner(self, name: str = "") -> str | None:
        """Fingerprint of the recipe that a dataset belongs to, published or being written; None: nobody's."""
        listing = self._publication.upcoming().get(name)
        return None if listing is None else staging.owner_of(listing)

    def read(
        self, name: str, window: Window, *, staged: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values of a window, and where they are known.

        Returns
        -------
        values
            (time, band, y, x) float32 reflectance, gaps 0.
        valid
            (time, band, y, x) bool, or (time, 1, y, x) where all bands agree.
        """
        values, valid = self._arrays(name, staged).values(window)
        first = valid[:, :1]
        return values, first if (valid == first).all() else valid

    def read_counts(self, name: str, window: Window, *, staged: bool = False) -> NDArray[np.int16]:
        """(time, band, y, x) int16, what `read` unpacks: two bytes a value, see packing.REFLECTANCE."""
        arrays = self._arrays(name, staged)
        if arrays.listing.compact:
            return REFLECTANCE.pack(*arrays.values(window)).astype(np.int16)
        return np.asarray(arrays.read("reflectance", window), dtype=np.int16)

    def read_qa(self, name: str, window: Window, *, staged: bool = False) -> NDArray[np.uint16]:
        """(time, y, x) uint16: how each pixel came to be, see layout.FLAGS."""
        return np.asarray(self._arrays(name, staged).read("qa", window), dtype=np.uint16)

    def read_sigma(self, name: str, window: Window, *, staged: bool = False) -> NDArray[np.float32]:
        """(time, band, y, x) float32 standard deviation, NaN where it is not known."""
        return self._arrays(name, staged).sigma(window)

    def checksum(self, name: str, window: Window, *, staged: bool = True) -> str:
        """sha256 of the stored bytes of every shard that a window touches, written or not."""
        folder = self.path / name
        return digest(folder, shard_files(folder, self._listing(name, staged), window))

    def mark(self, name: str, dates: Sequence[int]) -> str:
        """A sha256 over what the published files of some dates were when they were published.

        It changes when these dates are made anew, and stays when further ones are added after them.

        Parameters
        ----------
        name
            The dataset.
        dates
            Indices of its dates.
        """
        common = self._listing(name, staged=False).common
        files = date_marks(self.path, name)
        said = [common, *(files[date] if date < len(files) else None for date in dates)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def begun(self, name: str = "") -> str:
        """A sha256 over all that a dataset that is being written will say of itself; '': none is.

        It tells it from any other that is begun in the same place.
        """
        listing = self._publication.staged().get(name) if self._publication.pending else None
        return "" if listing is None else _told(listing)

    def is_begun(self, name: str, spec: CubeSpec) -> bool:
        """Whether a dataset of this very frame, and with these attributes, is being written."""
        listing = self._publication.staged().get(name) if self._publication.pending else None
        return listing is not None and listing == listing_of(spec, staging.owner_of(listing))

    def dataset(self, name: str = "") -> Dataset:
        """A published dataset, lazy, a shard a chunk: reflectance float32 with NaN gaps, valid, qa."""
        listing = self._listing(name, staged=False)
        return open_labelled(self.path, name, listing.shard, compact=listing.compact)

    def cube(self, name: str = "") -> DataArray:
        """(time, band, y, x) reflectance of a published dataset, lazy, `valid` for every band beside it."""
        cube = self.dataset(name)["reflectance"]
        return cube.assign_coords(valid=cube.notnull().reset_coords(drop=True))

    def info(self) -> dict[str, dict[str, Any]]:
        """What a person asks of a store, by dataset: size, dates, bands, place, bytes, attributes."""
        return {
            name: {**self._arrays(name, False).facts(), "owner": self.owner(name)} for name in self.names()
        }

    @property
    def _publication(self) -> Publication:
        return Publication(self.path)

    def _listing(self, name: str, staged: bool) -> Listing:
        listings = self._publication.staged() if staged else self._publication.published()
        if name not in listings:
            kind = "being written" if staged else "published"
            raise StoreError(
                f"store {self.path}",
                expected=f"a dataset '{name}' that is {kind}",
                got=", ".join(f"'{known}'" for known in sorted(listings)) or f"nothing {kind}",
                mend=nearest(name, [known for known in listings if known]),
            )
        staging.admit_format(self._publication, name, listings[name])
        return listings[name]

    def _arrays(self, name: str, staged: bool) -> Arrays:
        return Arrays(self.path, name, self._listing(name, staged))


def _told(listing: Listing) -> str:
    """A sha256 over a dataset's documents."""
    said = json.dumps([listing.attributes, listing.arrays], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
