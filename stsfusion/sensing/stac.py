"""A STAC item as a Scene: every word of it is held against what a scene can be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pystac

from stsfusion.errors import StsfusionError
from stsfusion.sensing.scene import Layer, Scene, SceneFile

__all__ = ["SHA256", "SPAN", "CatalogError", "from_item", "in_words"]

SHA256 = "1220"
"""Before a sha256 as a multihash: its code, and its length of 32 bytes."""

SPAN = ("start_datetime", "end_datetime")
"""Fields of begin and end."""

_DIGITS = re.compile(r"[0-9a-f]{64}")


class CatalogError(StsfusionError):
    """A catalog of scenes is not what it must be, or points where it must not."""


def from_item(item: pystac.Item, delivery: str, where: str = "") -> Scene:
    """The scene that an item tells of.

    Parameters
    ----------
    delivery
        Path of its folder or archive.
    where
        The item's file, for messages.

    Raises
    ------
    CatalogError
        When the item lacks what a scene must have.
    """
    try:
        return _scene(item, delivery)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
        raise CatalogError(
            where or f"item {item.id}",
            expected="a scene as `stsfusion catalog build` writes it",
            got=in_words(fault),
            mend="Build the catalog anew.",
        ) from None


def in_words(fault: Exception) -> str:
    """What is wrong with an item, for people."""
    if isinstance(fault, KeyError):
        return f"no field {str(fault.args[0])[:60]!r}"
    if isinstance(fault, ValueError):
        return str(fault)[:100]
    return "a field that is absent, or of another kind than it must be"


def _scene(item: pystac.Item, delivery: str) -> Scene:
    said = item.properties
    files = tuple(_file(asset) for asset in item.assets.values())
    layers = tuple(_layer(a) for a in item.assets.values() if a.extra_fields["stsfusion:role"] == "raster")
    produced = said.get("stsfusion:produced")
    if item.datetime is None:
        raise KeyError("datetime")
    return Scene(
        name=item.id, sensor=said["instruments"][0], platform=said["stsfusion:platform"],
        level=said.get("processing:level", ""), time=item.datetime.astimezone(UTC),
        footprint=tuple((float(lon), float(lat)) for lon, lat in _ring(item)),
        sun_zenith=round(90 - _angle(said, "view:sun_elevation", -90, 90), 4),
        sun_azimuth=_angle(said, "view:sun_azimuth", 0, 360),
        delivery=delivery, archive=_archive(item), layers=layers, files=files,
        values=said["stsfusion:values"], scale=float(said["stsfusion:scale"]),
        produced=datetime.fromisoformat(produced) if produced else None,
        span=_span(said),
        view_zenith=_maybe(said, "view:incidence_angle"), view_azimuth=_maybe(said, "view:azimuth"),
        cloud=_maybe(said, "eo:cloud_cover"), pixel=_maybe(said, "gsd"),
        notes=tuple(said.get("stsfusion:notes", ())),
        texts=tuple((name, text) for name, text in said.get("stsfusion:metadata", ())),
    )  # fmt: skip


def _ring(item: pystac.Item) -> Any:
    """The corners, the first not repeated."""
    if ring := item.properties.get("stsfusion:footprint"):
        return ring
    geometry = item.geometry
    if not isinstance(geometry, dict) or geometry.get("type") != "Polygon":
        raise ValueError("no Polygon in 'geometry'")
    return geometry["coordinates"][0][:-1]


def _span(said: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    if not all(name in said for name in SPAN):
        return None
    start, end = (datetime.fromisoformat(said[name]).astimezone(UTC) for name in SPAN)
    return start, end


def _angle(said: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = float(said[name])
    if not low <= value <= high:
        raise ValueError(f"{value:g} in '{name}', where {low:g} to {high:g} degrees can be")
    return value


def _maybe(said: Mapping[str, Any], name: str) -> float | None:
    return float(said[name]) if name in said else None


def _archive(item: pystac.Item) -> str:
    """The archive's sha256; '' for a folder."""
    said = [asset.extra_fields for asset in item.assets.values()]
    sums = {str(one["file:checksum"]).removeprefix(SHA256) for one in said if one["stsfusion:packed"]}
    if len(sums) > 1:
        raise ValueError(f"{len(sums)} sums of one archive")
    return _sum(min(sums)) if sums else ""


def _sum(text: str) -> str:
    """A sha256, which folders are named by: 64 digits, and nothing else."""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"sha256 {text[:20]!r}")
    return text


def _file(asset: pystac.Asset) -> SceneFile:
    said = asset.extra_fields
    checksum = _sum(said["stsfusion:sha256"])
    return SceneFile(
        said["stsfusion:path"],
        said["stsfusion:role"],
        said["stsfusion:layer"],
        said["stsfusion:size"],
        checksum,
    )


def _layer(asset: pystac.Asset) -> Layer:
    said = asset.extra_fields
    bands = said["bands"]

    def column(name: str, times: float = 1.0) -> tuple[float, ...]:
        return tuple(
            round(float(band[name]) * times, 6) if times != 1 else float(band[name])
            for band in bands
            if name in band
        )

    rows, cols = said["proj:shape"]
    return Layer(
        said["stsfusion:layer"], tuple(band["name"] for band in bands), (int(rows), int(cols)),
        said["data_type"],
        column("eo:center_wavelength", 1000), column("eo:full_width_half_max", 1000),
        column("raster:scale"), column("raster:offset"),
        tuple(bool(band["stsfusion:good"]) for band in bands if "stsfusion:good" in band),
        said.get("proj:wkt2"), _six(said.get("proj:transform")),
        _maybe(said, "nodata"),
    )  # fmt: skip


def _six(values: Sequence[float] | None) -> tuple[float, float, float, float, float, float] | None:
    if values is None:
        return None
    a, b, c, d, e, f = (float(value) for value in values)
    return a, b, c, d, e, f
