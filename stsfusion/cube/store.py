"""CubeStore: labelled cubes in Zarr; reads and writes windows, publishes whole series.

A store holds one dataset a role, each a group (`cubes.zarr/rich`), or a single one at its root (name '').
Whole shards only are written, so that writers of different shards, in any process, never meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import DataArray, Dataset

from stsfusion.cube import staging
from stsfusion.cube.arrays import Arrays
from stsfusion.cube.factors import Factors
from stsfusion.cube.grid import Grid
from stsfusion.cube.labelled import open_labelled
from stsfusion.cube.layout import coordinates
from stsfusion.cube.listing import Listing
from stsfusion.cube.maps import packed
from stsfusion.cube.packing import REFLECTANCE, SIGMA
from stsfusion.cube.publication import Publication
from stsfusion.cube.shards import digest, fit, planes, shard_files
from stsfusion.cube.spec import CubeSpec
from stsfusion.errors import StoreError, nearest
from stsfusion.window import Window

__all__ = ["CubeStore"]


@dataclass(frozen=True)
class CubeStore:
    """A folder of labelled cubes; making one touches nothing, and it may be sent to other processes."""

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

    def create(self, name: str, spec: CubeSpec, *, owner: str | None = None, replace: bool = False) -> None:
        """Begin a dataset; nobody sees it before publish().

        Called again with the same frame and owner it changes nothing, so that a killed run can go on.

        Parameters
        ----------
        name
            A role, or '' for the dataset at the root.
        spec
            Its frame.
        owner
            Fingerprint of the recipe that it belongs to.
        replace
            Take away a dataset of this name that has another frame, published or not, and begin anew.

        Raises
        ------
        StoreError
            When the folder holds something else, belongs to another owner, or the dataset is another one.
        """
        if staging.begin(self._publication, name, spec, owner, replace):
            self._write_coordinates(name, spec)

    def extend(
        self, name: str, times: Sequence[int], attributes: Mapping[str, Any] | None = None
    ) -> CubeSpec:
        """Begin further dates at the end of a published dataset, and give its new frame.

        Parameters
        ----------
        name
            The dataset.
        times
            Milliseconds since 1970-01-01 UTC, rising, all after the last date that is there.
        attributes
            What it says of itself once they are published; None: what it says now.
        """
        spec = self.spec(name).extended(times)
        if staging.extend(self._publication, name, spec, attributes):
            self._write_coordinates(name, spec)
        return spec

    def publish(self) -> None:
        """Show what was written: readers see the old series, then the whole new one.

        Raises
        ------
        StoreError
            When there is nothing to show.
        """
        if self._publication.pending or not self.names():
            self._publication.swap()

    def discard(self) -> None:
        """Delete what was written and not published."""
        if self._publication.pending:
            self._publication.recover()
            for name in self.names():  # first, so that who dies here finds something to discard again
                self._arrays(name, staged=False).fill(coordinates(self.spec(name)))
            self._publication.discard()

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

    def write(
        self,
        name: str,
        window: Window,
        values: NDArray[np.floating],
        valid: NDArray[np.bool_],
        qa: NDArray[np.integer] | None = None,
        sigma: NDArray[np.floating] | None = None,
    ) -> None:
        """Write whole shards of a dataset that is being made.

        Parameters
        ----------
        name, window
            Where: on shard borders, or on the grid's own edge.
        values
            (time, band, y, x) reflectance, clipped to ±3.2767; what is not valid is not looked at.
        valid
            bool, broadcastable to values.
        qa
            (time, y, x) or (time, 1, y, x), layout.FLAGS and marks; None: observed. Where nothing is valid,
            marks alone stay.
        sigma
            Broadcastable to values, reflectance; only where the frame asks for it.

        Raises
        ------
        StoreError
            When nothing is being made, a shard is cut, dates are published already, or shapes do not fit.
        """
        arrays = self._admit_write(name, window, compact=False)
        dates, rows, cols = window.shape
        shape = (dates, arrays.listing.shape[1], rows, cols)
        fit(f"values for {window}", values, shape)
        known = np.broadcast_to(np.asarray(valid, dtype=bool), shape)
        parts = {"reflectance": REFLECTANCE.pack(values, valid), **planes(known, qa)}
        if sigma is not None:
            parts["sigma"] = SIGMA.pack(np.broadcast_to(sigma, shape), known)
        arrays.write(window, parts)

    def write_maps(
        self,
        name: str,
        window: Window,
        maps: NDArray[np.floating],
        valid: NDArray[np.bool_],
        *,
        residual: NDArray[np.floating] | None = None,
        dead: NDArray[np.bool_] | None = None,
        qa: NDArray[np.integer] | None = None,
        sigma: NDArray[np.floating] | None = None,
    ) -> None:
        """Write whole shards of a compact dataset that is being made.

        Parameters
        ----------
        name, window
            As for `write`.
        maps
            (time, K, y, x) coefficients, reflectance: the most that each adds in any band.
        valid
            (time, y, x) bool; what is not valid is not looked at.
        residual
            (time, band, y/r, x/r) reflectance, just where the frame has one.
        dead
            (band,) bool: bands of which nothing is known here; None: all are known.
        qa
            As for `write`.
        sigma
            (time, anchor, y, x) reflectance; only where the frame asks for it.

        Raises
        ------
        StoreError
            As `write`, and when a map is too large for its counts.
        """
        arrays = self._admit_write(name, window, compact=True)
        factors, shard = arrays.compact.factors, arrays.listing.shard
        beside = {"residual": residual, "dead": dead, "qa": qa, "sigma": sigma}
        arrays.write(window, packed(factors, shard, window, maps, valid, beside))

    def checksum(self, name: str, window: Window, *, staged: bool = True) -> str:
        """sha256 of the stored bytes of every shard that a window touches, written or not."""
        folder = self.path / name
        return digest(folder, shard_files(folder, self._listing(name, staged), window))

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

    def _admit_write(self, name: str, window: Window, *, compact: bool) -> Arrays:
        """A dataset to which whole shards of its own kind are written."""
        listing = self._listing(name, staged=True)
        staging.admit(self._publication, name, listing, window)
        if listing.compact is not compact:
            kinds = {True: "maps of coefficients", False: "all bands"}
            raise StoreError(
                f"dataset '{name}'",
                expected=kinds[listing.compact],
                got=kinds[compact],
                mend="Use write_maps() for a compact dataset, write() for a full one.",
            )
        return Arrays(self.path, name, listing)

    def _arrays(self, name: str, staged: bool) -> Arrays:
        return Arrays(self.path, name, self._listing(name, staged))

    def _write_coordinates(self, name: str, spec: CubeSpec) -> None:
        listing = self._publication.upcoming()[name]
        Arrays(self.path, name, listing).fill(coordinates(spec))
