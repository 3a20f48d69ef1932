"""Layout: the Zarr arrays of one dataset, and the attributes that let others read them.

::

    reflectance (time, band, y, x) int16     inner (1, all bands, 96, 96)   shard (1, all bands, 384, 384)
    sigma       (time, band, y, x) uint16    the same, if kept
    valid, qa   (time, y, x)                 inner (1, 96, 96)              shard (1, 384, 384)
    time int64 ms · band · wavelength, fwhm nm · y, x · spatial_ref
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, ZstdCodec

from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.listing import Listing
from stsfusion.cube.packing import REFLECTANCE, SIGMA, Packing
from stsfusion.cube.spec import CubeSpec

__all__ = ["FLAGS", "FORMAT", "ORIGIN", "RESERVED", "TILED", "coordinates", "listing_of", "spec_of"]

FORMAT = 1
"""Version of this layout; a reader refuses a later one."""

FLAGS = {0: "no_data", 1: "observed", 2: "fused", 3: "interpolated", 4: "extrapolated", 5: "filled"}
"""How a pixel of a date came to be, by its number in `qa`."""

ORIGIN = 7
"""The bits of `qa` that hold that number; further bits are the marks of a frame that has some."""

TILED = ("reflectance", "sigma", "valid", "qa")
"""Arrays that are cut into shards."""

RESERVED = (*TILED, "time", "band", "wavelength", "fwhm", "y", "x", "spatial_ref")
"""Names of arrays, which no dataset may bear."""

_TIME_CHUNK = 1024
"""Dates in one chunk of the time axis, so that appending never rewrites more than one small file."""

_CONVENTIONS = [
    {
        "name": "proj",
        "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "description": "Coordinate reference system information for geospatial data",
        "schema_url": "https://raw.githubusercontent.com/zarr-conventions/geo-proj/refs/tags/v1/schema.json",
        "spec_url": "https://github.com/zarr-conventions/geo-proj/blob/v1/README.md",
    },
    {
        "name": "spatial",
        "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
        "description": "Spatial coordinate information",
        "schema_url": "https://raw.githubusercontent.com/zarr-conventions/spatial/refs/tags/v1/schema.json",
        "spec_url": "https://github.com/zarr-conventions/spatial/blob/v1/README.md",
    },
]
"""The GeoZarr conventions that the attributes follow."""


def listing_of(spec: CubeSpec, owner: str | None) -> Listing:
    """The metadata documents of a dataset with this frame."""
    documents = {name: _tiled(spec, name, part) for name, part in _cubes(spec).items()}
    documents |= {name: _tiled(spec, name, part) for name, part in _planes(spec).items()}
    documents |= {name: _axis(values, *_AXES[name]) for name, values in _labels(spec).items()}
    for name, axis in axes_of(spec.grid).items():
        documents[name] = _axis(axis.values, tuple(map(str, axis.dims)), axis.attrs)
    house = {"format": FORMAT, "owner": owner}
    attributes = {"Conventions": "CF-1.11", **spec.attributes, **_place(spec.grid), "stsfusion": house}
    return Listing(attributes, documents)


def coordinates(spec: CubeSpec) -> dict[str, NDArray[Any]]:
    """Values of every coordinate array, by name."""
    return {**_labels(spec), **{name: np.asarray(axis.values) for name, axis in axes_of(spec.grid).items()}}


def spec_of(listing: Listing, labels: Mapping[str, NDArray[Any]]) -> CubeSpec:
    """The frame that a dataset was made with, from its documents and its coordinates' values."""
    places = {
        key: value for key, value in listing.attributes.items() if key.startswith(("proj:", "spatial:"))
    }
    pixel, _, x, _, down, y = places["spatial:transform"]
    crs = places.get("proj:code") or places.get("proj:wkt2")
    rows, cols = places["spatial:shape"]
    own = {"Conventions", "zarr_conventions", "stsfusion", *places}
    return CubeSpec(
        Grid((rows, cols), pixel, (x, y), crs, rising=down > 0),
        tuple(int(stamp) for stamp in labels["time"]),
        tuple(str(band) for band in labels["band"]),
        tuple(float(nm) for nm in labels["wavelength"]),
        tuple(float(nm) for nm in labels["fwhm"]) if "fwhm" in labels else None,
        shard=listing.shard,
        inner=listing.arrays["reflectance"]["codecs"][0]["configuration"]["chunk_shape"][-1],
        sigma="sigma" in listing.arrays,
        marks=_marks(listing.arrays["qa"]["attributes"]),
        attributes={key: value for key, value in listing.attributes.items() if key not in own},
    )


def _place(grid: Grid) -> dict[str, Any]:
    """GeoZarr attributes of the ground; without a reference system the spatial ones alone."""
    key = "proj:code" if grid.crs is not None and grid.crs.startswith("EPSG:") else "proj:wkt2"
    return {
        "zarr_conventions": _CONVENTIONS if grid.crs is not None else _CONVENTIONS[1:],
        **({} if grid.crs is None else {key: grid.crs}),
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": list(grid.shape),
        "spatial:transform": list(grid.transform),
        "spatial:bbox": list(grid.bounds),
        "spatial:registration": "pixel",
    }


_PLANES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "valid": ("bool", 0, {"long_name": "at least one band holds a value", "grid_mapping": "spatial_ref"}),
    "qa": (
        "uint16",
        0,
        {
            "long_name": "how the pixel came to be",
            "flag_values": list(FLAGS),
            "flag_meanings": " ".join(FLAGS.values()),
            "grid_mapping": "spatial_ref",
        },
    ),
}
"""Type, fill value and attributes of the arrays without bands."""


def _planes(spec: CubeSpec) -> dict[str, tuple[str, int, dict[str, Any]]]:
    """The arrays without bands; CF tells numbers under a mask and single bits apart by both lists."""
    if not spec.marks:
        return _PLANES
    dtype, fill, attributes = _PLANES["qa"]
    bits = list(spec.marks.values())
    attributes = {
        **attributes,
        "flag_masks": [ORIGIN] * len(FLAGS) + bits,
        "flag_values": [*FLAGS, *bits],
        "flag_meanings": " ".join([*FLAGS.values(), *spec.marks]),
    }
    return {**_PLANES, "qa": (dtype, fill, attributes)}


def _marks(attributes: Mapping[str, Any]) -> dict[str, int]:
    """The marks that `qa` says it has."""
    names, first = attributes["flag_meanings"].split(), len(FLAGS)
    return dict(zip(names[first:], attributes.get("flag_masks", [])[first:], strict=True))


_AXES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "time": (
        ("time",),
        {
            "standard_name": "time",
            "units": "milliseconds since 1970-01-01T00:00:00",
            "calendar": "proleptic_gregorian",
        },
    ),
    "band": (("band",), {"long_name": "name of the band"}),
    "wavelength": (("band",), {"standard_name": "radiation_wavelength", "units": "nm"}),
    "fwhm": (("band",), {"long_name": "full width at half maximum", "units": "nm"}),
}
"""Dims and attributes of the coordinates that are not of the ground."""


def _cubes(spec: CubeSpec) -> dict[str, tuple[str, int, dict[str, Any]]]:
    def part(packing: Packing, long_name: str) -> tuple[str, int, dict[str, Any]]:
        beside = "wavelength fwhm spatial_ref" if spec.fwhm else "wavelength spatial_ref"
        along = {"grid_mapping": "spatial_ref", "coordinates": beside}
        numbers = {"scale_factor": packing.scale, "_FillValue": packing.gap, "units": "1"}
        return packing.dtype, packing.gap, {"long_name": long_name, **numbers, **along}

    cubes = {"reflectance": part(REFLECTANCE, "reflectance")}
    return cubes | ({"sigma": part(SIGMA, "standard deviation of reflectance")} if spec.sigma else {})


def _labels(spec: CubeSpec) -> dict[str, NDArray[Any]]:
    labels: dict[str, NDArray[Any]] = {
        "time": np.asarray(spec.times, dtype=np.int64),
        "band": np.asarray(spec.bands, dtype=object),
        "wavelength": np.asarray(spec.wavelength, dtype=np.float64),
    }
    return labels if spec.fwhm is None else {**labels, "fwhm": np.asarray(spec.fwhm, dtype=np.float64)}


def _tiled(spec: CubeSpec, name: str, part: tuple[str, int, dict[str, Any]]) -> dict[str, Any]:
    """Document of an array cut into shards, one date a shard and all bands in one chunk."""
    dtype, fill, attributes = part
    time, band, y, x = spec.shape
    bands = (band,) if name in ("reflectance", "sigma") else ()
    return _document(
        shape=(time, *bands, y, x),
        dtype=dtype,
        chunks=(1, *bands, spec.inner, spec.inner),
        shards=(1, *bands, spec.shard, spec.shard),
        fill_value=bool(fill) if dtype == "bool" else fill,
        compressors=[
            BloscCodec(cname="zstd", clevel=3, shuffle="shuffle", typesize=np.dtype(dtype).itemsize)
        ],
        attributes=attributes,
        dimension_names=("time", *(("band",) if bands else ()), "y", "x"),
    )


def _axis(values: NDArray[Any], dims: tuple[str, ...], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Document of a coordinate array, whole in one chunk; the time axis may grow in its own."""
    text = values.dtype == object
    return _document(
        shape=values.shape,
        dtype=str if text else values.dtype,
        chunks=(_TIME_CHUNK,) if dims == ("time",) else values.shape,
        fill_value="" if text else 0,
        compressors=[ZstdCodec(level=3)],
        attributes=dict(attributes),
        dimension_names=dims,
    )


def _document(**options: Any) -> dict[str, Any]:
    """What zarr writes into an array's zarr.json, made without a file."""
    memory: dict[str, Any] = {}
    zarr.create_array(memory, **options)
    document: dict[str, Any] = json.loads(memory["zarr.json"].to_bytes())
    return document
