"""CubeStore: labelled cubes in Zarr; reads and writes windows, publishes whole series.

A store holds one dataset a role, each a group (`cubes.zarr/rich`), or a single one at its root (name '').
Whole shards only are written, so that writers of different shards, in any process, never meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube import staging
from stsfusion.cube.arrays import Arrays
from stsfusion.cube.layout import coordinates
from stsfusion.cube.maps import packed
from stsfusion.cube.packing import REFLECTANCE, SIGMA
from stsfusion.cube.reading import StoreReader
from stsfusion.cube.shards import fit, planes
from stsfusion.cube.spec import CubeSpec
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["CubeStore"]


@dataclass(frozen=True)
class CubeStore(StoreReader):
    """A folder of labelled cubes; making one touches nothing, and it may be sent to other processes."""

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
        self.recover()
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
        self.recover()
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

    def recover(self) -> None:
        """Finish a publication that was cut off, or let go of what is staged and cannot be read any more."""
        if self._publication.lost:
            self.discard()
        else:
            self._publication.recover()

    def discard(self) -> None:
        """Delete what was written and not published."""
        if self._publication.pending:
            self._publication.recover()
            for name in self.names():  # first, so that who dies here finds something to discard again
                self._arrays(name, staged=False).fill(coordinates(self.spec(name)))
        self._publication.discard()

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

    def _write_coordinates(self, name: str, spec: CubeSpec) -> None:
        listing = self._publication.upcoming()[name]
        Arrays(self.path, name, listing).fill(coordinates(spec))
