"""Arrays: the Zarr arrays of one dataset, opened by the documents that its store shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, MemoryStore, StorePath

from stsfusion.cube.compact import Compact
from stsfusion.cube.disk import replace
from stsfusion.cube.layout import LABELS, TILED, factors_of, spec_of
from stsfusion.cube.listing import Listing, join
from stsfusion.cube.packing import REFLECTANCE, SIGMA
from stsfusion.cube.shards import admit_read, place_of, shard_files
from stsfusion.cube.spec import CubeSpec
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["Arrays"]


@dataclass(frozen=True, eq=False)
class Arrays:
    """One dataset of a store, published or being written."""

    path: Path
    """The store's folder."""

    name: str
    """The dataset; '' at the root."""

    listing: Listing
    """Its documents."""

    def open(self, key: str, *, to_write: bool = False) -> zarr.Array[Any]:
        """One array; one that is only read from makes nothing on the disk, not even its folder.

        Raises
        ------
        StoreError
            When the dataset has no such array.
        """
        if key not in self.listing.arrays:
            raise StoreError(f"dataset '{self.name}'", expected=f"an array '{key}'", got="none")
        place = StorePath(LocalStore(self.path, read_only=not to_write), join(self.name, key))
        return zarr.Array(zarr.AsyncArray.from_dict(place, dict(self.listing.arrays[key])))

    def labels(self) -> dict[str, NDArray[Any]]:
        """Values of the arrays that are small enough to be read whole."""
        return {key: np.asarray(self.open(key)[:]) for key in LABELS if key in self.listing.arrays}

    @property
    def spec(self) -> CubeSpec:
        """The frame."""
        return spec_of(self.listing, self.labels())

    @property
    def compact(self) -> Compact:
        """A compact dataset, to be read by windows."""
        told = {key: document["attributes"] for key, document in self.listing.arrays.items()}
        factors = factors_of(told, self.labels())
        assert factors is not None
        return Compact(
            lambda key, place: np.asarray(self.open(key)[place]),
            factors,
            self.listing.shape,
            self.listing.shard,
        )

    def values(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(time, band, y, x) reflectance, gaps 0, and (time, band or 1, y, x) where it is known."""
        admit_read(self.name, self.listing, window)
        if self.listing.compact:
            return self.compact.values(window)
        return REFLECTANCE.unpack(self.read("reflectance", window))

    def sigma(self, window: Window) -> NDArray[np.float32]:
        """(time, band, y, x) standard deviation, NaN where it is not known."""
        if "sigma_anchors" in self.listing.arrays:
            admit_read(self.name, self.listing, window)
            return self.compact.sigma(window)
        values, known = SIGMA.unpack(self.read("sigma", window))
        return np.where(known, values, np.float32(np.nan))

    def read(self, key: str, window: Window) -> NDArray[Any]:
        """Stored numbers of an array that has the dataset's own pixels.

        Raises
        ------
        StoreError
            When there is no such array, or the window lies outside.
        """
        array = self.open(key)
        admit_read(self.name, self.listing, window)
        return np.asarray(array[place_of(self.listing, key, window)])

    def write(self, window: Window, parts: Mapping[str, NDArray[Any]]) -> None:
        """Write the same shards of several arrays.

        Raises
        ------
        StoreError
            When the dataset has no such array.
        """
        for path in shard_files(self.path / self.name, self.listing, window):
            path.unlink(missing_ok=True)  # Zarr reads a shard before it writes it, and a torn one stops it
        for key, part in parts.items():
            if key not in self.listing.arrays:
                raise StoreError(
                    f"dataset '{self.name}'",
                    expected=f"a frame with {key}",
                    got="none",
                    mend="Create it with CubeSpec(sigma=True).",
                )
            self.open(key, to_write=True)[place_of(self.listing, key, window)] = part

    def fill(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Write whole arrays: the coordinates. Those of a published dataset outlive a power cut meanwhile.

        What is nothing but fill is written too, so that a file is there from the beginning, and noted.
        """
        for key, value in values.items():
            files: dict[str, Any] = {}
            place = StorePath(MemoryStore(files), key)
            array = zarr.Array(zarr.AsyncArray.from_dict(place, dict(self.listing.arrays[key])))
            array.with_config({"write_empty_chunks": True})[...] = value
            for file, content in files.items():
                replace(self.path / self.name / file, content.to_bytes())

    def facts(self) -> dict[str, Any]:
        """What a person asks: size, dates, bands, place, bytes, attributes."""
        spec = self.spec
        time, band, y, x = spec.shape
        folders = [self.path / join(self.name, key) for key in TILED]
        return {
            "shape": {"time": time, "band": band, "y": y, "x": x},
            "dates": [str(date)[:10] for date in spec.dates],
            "wavelength": (min(spec.wavelength), max(spec.wavelength)),
            "grid": str(spec.grid),
            "bounds": spec.grid.bounds,
            "layout": {"shard": spec.shard, "inner": spec.inner},
            "product": "compact" if self.listing.compact else "full",
            "sigma": spec.sigma,
            "bytes": sum(
                file.stat().st_size for path in folders for file in path.rglob("*") if file.is_file()
            ),
            "attributes": dict(spec.attributes),
        }
