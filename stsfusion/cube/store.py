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
import zarr
from numpy.typing import NDArray
from xarray import DataArray, Dataset
from zarr.storage import LocalStore, StorePath

from stsfusion.cube import staging
from stsfusion.cube.grid import Grid
from stsfusion.cube.labelled import open_labelled
from stsfusion.cube.layout import TILED, coordinates, spec_of
from stsfusion.cube.listing import Listing
from stsfusion.cube.packing import REFLECTANCE, SIGMA
from stsfusion.cube.publication import Publication
from stsfusion.cube.shards import digest, index, planes, shard_files
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
        listing = self._listing(name, staged)
        keys = [key for key in ("time", "band", "wavelength", "fwhm") if key in listing.arrays]
        return spec_of(listing, {key: np.asarray(self._array(name, key, listing)[:]) for key in keys})

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
            self._publication.discard()
            for name in self.names():
                self._write_coordinates(name, self.spec(name))

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
        raw = self._read(name, "reflectance", window, staged)
        values, valid = REFLECTANCE.unpack(raw)
        first = valid[:, :1]
        return values, first if (valid == first).all() else valid

    def read_qa(self, name: str, window: Window, *, staged: bool = False) -> NDArray[np.uint16]:
        """(time, y, x) uint16: how each pixel came to be, see layout.FLAGS."""
        return np.asarray(self._read(name, "qa", window, staged), dtype=np.uint16)

    def read_sigma(self, name: str, window: Window, *, staged: bool = False) -> NDArray[np.float32]:
        """(time, band, y, x) float32 standard deviation, NaN where it is not known."""
        values, known = SIGMA.unpack(self._read(name, "sigma", window, staged))
        return np.where(known, values, np.float32(np.nan))

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
        listing = self._listing(name, staged=True)
        staging.admit(self._publication, name, listing, window)
        dates, rows, cols = window.shape
        shape = (dates, listing.shape[1], rows, cols)
        if tuple(values.shape) != shape:
            raise StoreError(f"values for {window}", expected=f"shape {shape}", got=f"{tuple(values.shape)}")
        known = np.broadcast_to(np.asarray(valid, dtype=bool), shape)
        parts = {"reflectance": REFLECTANCE.pack(values, valid), **planes(known, qa)}
        if sigma is not None:
            parts["sigma"] = SIGMA.pack(np.broadcast_to(sigma, shape), known)
        for key, part in parts.items():
            if key not in listing.arrays:
                raise StoreError(
                    f"dataset '{name}'",
                    expected=f"a frame with {key}",
                    got="none",
                    mend="Create it with CubeSpec(sigma=True).",
                )
            self._array(name, key, listing)[index(window, part.ndim)] = part

    def checksum(self, name: str, window: Window, *, staged: bool = True) -> str:
        """sha256 of the stored bytes of every shard that a window touches, written or not."""
        folder = self.path / name
        return digest(folder, shard_files(folder, self._listing(name, staged), window))

    def dataset(self, name: str = "") -> Dataset:
        """A published dataset, lazy, a shard a chunk: reflectance float32 with NaN gaps, valid, qa."""
        return open_labelled(self.path, name, self._listing(name, staged=False).shard)

    def cube(self, name: str = "") -> DataArray:
        """(time, band, y, x) reflectance of a published dataset, lazy, `valid` for every band beside it."""
        cube = self.dataset(name)["reflectance"]
        return cube.assign_coords(valid=cube.notnull().reset_coords(drop=True))

    def info(self) -> dict[str, dict[str, Any]]:
        """What a person asks of a store, by dataset: size, dates, bands, place, bytes, attributes."""
        return {name: self._facts(name) for name in self.names()}

    @property
    def _publication(self) -> Publication:
        return Publication(self.path)

    def _facts(self, name: str) -> dict[str, Any]:
        spec, owner = self.spec(name), staging.owner_of(self._listing(name, staged=False))
        time, band, y, x = spec.shape
        files = [path for key in TILED for path in (self.path / name / key).rglob("*") if path.is_file()]
        return {
            "shape": {"time": time, "band": band, "y": y, "x": x},
            "dates": [str(date)[:10] for date in spec.dates],
            "wavelength": (min(spec.wavelength), max(spec.wavelength)),
            "grid": str(spec.grid),
            "bounds": spec.grid.bounds,
            "layout": {"shard": spec.shard, "inner": spec.inner},
            "sigma": spec.sigma,
            "bytes": sum(path.stat().st_size for path in files),
            "owner": owner,
            "attributes": dict(spec.attributes),
        }

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

    def _array(self, name: str, key: str, listing: Listing) -> zarr.Array[Any]:
        place = StorePath(LocalStore(self.path), f"{name}/{key}" if name else key)
        return zarr.Array(zarr.AsyncArray.from_dict(place, dict(listing.arrays[key])))

    def _read(self, name: str, key: str, window: Window, staged: bool) -> NDArray[Any]:
        listing = self._listing(name, staged)
        if key not in listing.arrays:
            raise StoreError(f"dataset '{name}'", expected=f"an array '{key}'", got="none")
        array = self._array(name, key, listing)
        time, *_, rows, cols = array.shape
        if not Window.whole(time, rows, cols).contains(window):
            raise StoreError(
                f"{window} of '{name}'",
                expected=f"inside {time} dates, {rows} rows and {cols} columns",
                mend="Clip the window to the dataset: window.clip(...).",
            )
        return np.asarray(array[index(window, array.ndim)])

    def _write_coordinates(self, name: str, spec: CubeSpec) -> None:
        listing = self._publication.upcoming()[name]
        for key, values in coordinates(spec).items():
            self._array(name, key, listing)[...] = values
