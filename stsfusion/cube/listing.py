"""Listing: the metadata of one dataset, and of a store of several as one Zarr v3 document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Listing", "children", "composed", "join", "parsed"]


@dataclass(frozen=True)
class Listing:
    """The metadata of one dataset: its attributes and its arrays' Zarr documents."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the dataset's group, as JSON knows them."""

    arrays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Zarr document of each array, by its name."""

    @property
    def dates(self) -> int:
        """How many dates it shows."""
        return int(self.arrays["time"]["shape"][0])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        time, _, y, x = self.main["shape"]
        return time, int(self.arrays["band"]["shape"][0]), y, x

    @property
    def shard(self) -> int:
        """Pixels along one side of a shard."""
        return int(self.main["chunk_grid"]["configuration"]["chunk_shape"][-1])

    @property
    def dated(self) -> list[str]:
        """Arrays that are cut by date, one chunk each: those of images are, coordinates are not."""
        return [
            array
            for array, document in self.arrays.items()
            if len(document["shape"]) > 2 and document["chunk_grid"]["configuration"]["chunk_shape"][0] == 1
        ]

    @property
    def compact(self) -> bool:
        """Whether it keeps maps of coefficients instead of all bands."""
        return "coefficients" in self.arrays

    @property
    def common(self) -> str | None:
        """sha256 of what the maps of a compact dataset are expanded by."""
        found = self.attributes.get("stsfusion", {}).get("factors_sha256")
        return None if found is None else str(found)

    @property
    def main(self) -> Mapping[str, Any]:
        """The document of the array that holds its images."""
        return self.arrays["coefficients" if self.compact else "reflectance"]


def children(listings: Mapping[str, Listing]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and document of every array and group below the root, arrays first."""
    for name, listing in listings.items():
        for array, document in listing.arrays.items():
            yield join(name, array), dict(document)
        if name:
            yield name, composed({"": listing})


def composed(listings: Mapping[str, Listing]) -> dict[str, Any]:
    """A Zarr v3 group document that holds the documents of all below it."""
    own = listings.get("", Listing())
    below: dict[str, Any] = {}
    for name, listing in sorted(listings.items()):
        if name:
            below[name] = _group(listing.attributes, None)
        for array, document in sorted(listing.arrays.items()):
            below[join(name, array)] = dict(document)
    return _group(own.attributes, below)


def _group(attributes: Mapping[str, Any], below: Mapping[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}
    if below is not None:
        document["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(below),
        }
    return document


def parsed(document: Mapping[str, Any] | None) -> dict[str, Listing]:
    """Datasets of a root document: those of its groups, and its own arrays under the name ''."""
    if document is None:
        return {}
    below = document["consolidated_metadata"]["metadata"]
    attributes = {path: doc["attributes"] for path, doc in below.items() if doc["node_type"] == "group"}
    arrays: dict[str, dict[str, Any]] = {name: {} for name in attributes}
    for path, doc in below.items():
        if doc["node_type"] == "array":
            name, _, array = path.rpartition("/")
            arrays.setdefault(name, {})[array] = doc
    attributes[""] = document["attributes"]
    return {name: Listing(attributes[name], arrays[name]) for name in sorted(arrays)}


def join(name: str, array: str) -> str:
    """Path of a dataset's array inside the store."""
    return f"{name}/{array}" if name else array
