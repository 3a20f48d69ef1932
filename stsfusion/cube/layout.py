"""Layout: the Zarr arrays of one dataset, and the attributes that let others read them.

::

    images       see `parts`        inner (1, all bands, 96, 96)   shard (1, all bands, 384, 384)
    coordinates  time int64 ms · band · wavelength, fwhm nm · y, x · spatial_ref
    factors      basis (coefficient, band) · mean_spectrum (band) · sigma_weights (anchor, band), if compact
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, ZstdCodec

from stsfusion.cube.anchors import Anchors
from stsfusion.cube.factors import Factors
from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.listing import Listing
from stsfusion.cube.parts import FLAGS, ORIGIN, TILED, Part, marks_of, parts_of, story_of
from stsfusion.cube.spec import CubeSpec

__all__ = [
    "FLAGS",
    "FORMAT",
    "LABELS",
    "ORIGIN",
    "RESERVED",
    "TILED",
    "coordinates",
    "factors_of",
    "listing_of",
    "spec_of",
]

FORMAT = 2
"""Latest version of this layout: 1 knows full datasets alone; a reader refuses a later one."""

LABELS = ("time", "band", "wavelength", "fwhm", "basis", "mean_spectrum", "sigma_weights")
"""Arrays that are not of the ground and small enough to be read whole."""

RESERVED = (*TILED, *LABELS, "y", "x", "spatial_ref")
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
    documents = {name: _tiled(part) for name, part in parts_of(spec).items()}
    documents |= {name: _axis(values, *_named(spec, name)) for name, values in _labels(spec).items()}
    for name, axis in axes_of(spec.grid).items():
        documents[name] = _axis(axis.values, tuple(map(str, axis.dims)), axis.attrs)
    house: dict[str, Any] = {"format": 1 if spec.factors is None else FORMAT, "owner": owner}
    if spec.factors is not None:
        house["factors_sha256"] = _print_of(spec.factors)
    attributes = {"Conventions": "CF-1.11", **spec.attributes, **story_of(spec), **_place(spec.grid)}
    attributes["stsfusion"] = house
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
    if listing.compact:
        own |= {"product", "expansion", "sigma_expansion"}
    return CubeSpec(
        Grid((rows, cols), pixel, (x, y), crs, rising=down > 0),
        tuple(int(stamp) for stamp in labels["time"]),
        tuple(str(band) for band in labels["band"]),
        tuple(float(nm) for nm in labels["wavelength"]),
        tuple(float(nm) for nm in labels["fwhm"]) if "fwhm" in labels else None,
        shard=listing.shard,
        inner=listing.main["codecs"][0]["configuration"]["chunk_shape"][-1],
        sigma="sigma" in listing.arrays or "sigma_anchors" in listing.arrays,
        marks=marks_of(listing.arrays["qa"]["attributes"]),
        attributes={key: value for key, value in listing.attributes.items() if key not in own},
        factors=factors_of({key: doc["attributes"] for key, doc in listing.arrays.items()}, labels),
    )


def factors_of(told: Mapping[str, Mapping[str, Any]], labels: Mapping[str, NDArray[Any]]) -> Factors | None:
    """The factors of a dataset, from its arrays' attributes and its labels' values; None: it has none."""
    if "coefficients" not in told:
        return None
    residual, anchors = told.get("residual"), None
    if "sigma_weights" in labels:
        notes = told["sigma_weights"]
        anchors = Anchors(tuple(notes["bands"]), _rows(labels["sigma_weights"]), float(notes["error"]))
    return Factors(
        _rows(labels["basis"]),
        tuple(np.asarray(labels["mean_spectrum"], np.float32).tolist()),
        float(told["coefficients"]["scale_factor"]),
        None if residual is None else int(residual["ratio"]),
        None if residual is None else float(residual["scale_factor"]),
        anchors,
    )


def _rows(table: NDArray[Any]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in np.asarray(table, np.float32).tolist())


def _print_of(factors: Factors) -> str:
    """sha256 of all that maps are expanded by."""
    return hashlib.sha256(repr(factors).encode()).hexdigest()


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
    "basis": (
        ("coefficient", "band"),
        {"long_name": "spectra that coefficients are multiplied by; their largest entry is 1", "units": "1"},
    ),
    "mean_spectrum": (("band",), {"long_name": "reflectance where all coefficients are 0", "units": "1"}),
    "sigma_weights": (
        ("anchor", "band"),
        {"long_name": "what each of a few bands adds to the standard deviation of every band"},
    ),
}
"""Dims and attributes of the labels."""


def _named(spec: CubeSpec, name: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Dims and attributes of a label; weights tell of which bands they are."""
    dims, told = _AXES[name]
    if name == "basis":
        return dims, {**told, "coordinates": "wavelength fwhm" if spec.fwhm else "wavelength"}
    anchors = spec.factors.anchors if spec.factors is not None else None
    if name != "sigma_weights" or anchors is None:
        return dims, told
    return dims, {**told, "bands": list(anchors.bands), "error": anchors.error}


def _labels(spec: CubeSpec) -> dict[str, NDArray[Any]]:
    labels: dict[str, NDArray[Any]] = {
        "time": np.asarray(spec.times, dtype=np.int64),
        "band": np.asarray(spec.bands, dtype=object),
        "wavelength": np.asarray(spec.wavelength, dtype=np.float64),
    }
    if spec.fwhm is not None:
        labels["fwhm"] = np.asarray(spec.fwhm, dtype=np.float64)
    if spec.factors is not None:
        labels |= {"basis": spec.factors.spectra, "mean_spectrum": spec.factors.centre}
        if spec.factors.anchors is not None:
            labels["sigma_weights"] = spec.factors.anchors.table
    return labels


def _tiled(part: Part) -> dict[str, Any]:
    """Document of an array cut into shards."""
    return _document(
        shape=part.shape,
        dtype=part.dtype,
        chunks=part.chunks,
        shards=part.shards,
        fill_value=bool(part.fill) if part.dtype == "bool" else part.fill,
        compressors=[
            BloscCodec(
                cname="zstd",
                clevel=part.level,
                shuffle=part.shuffle,  # type: ignore[arg-type]
                typesize=np.dtype(part.dtype).itemsize,
            )
        ],
        attributes=dict(part.attributes),
        dimension_names=part.dims,
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
