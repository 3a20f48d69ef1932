"""A Scene as a STAC item, and back: what others can read, and nothing lost on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pystac

from stsfusion.errors import StsfusionError
from stsfusion.sensing.dateline import box, outline
from stsfusion.sensing.scene import Layer, Scene, SceneFile

__all__ = ["CatalogError", "from_item", "in_words", "to_item"]


class CatalogError(StsfusionError):
    """A catalog of scenes is not what it must be, or points where it must not."""


_SCHEMAS = "https://stac-extensions.github.io"
_EXTENSIONS = {
    "eo": f"{_SCHEMAS}/eo/v2.0.0/schema.json",
    "view": f"{_SCHEMAS}/view/v1.0.0/schema.json",
    "proj": f"{_SCHEMAS}/projection/v2.0.0/schema.json",
    "processing": f"{_SCHEMAS}/processing/v1.2.0/schema.json",
    "raster": f"{_SCHEMAS}/raster/v2.0.0/schema.json",
    "file": f"{_SCHEMAS}/file/v2.1.0/schema.json",
}
"""Extensions by the prefix of their fields; an item that names one must hold a field of it."""

_SHA256 = "1220"
"""Before a sha256 as a multihash: its code, and its length of 32 bytes."""

_SPAN = ("start_datetime", "end_datetime")
_DIGITS = re.compile(r"[0-9a-f]{64}")

_MEDIA = {
    ".tif": "image/tiff; application=geotiff", ".tiff": "image/tiff; application=geotiff",
    ".geotiff": "image/tiff; application=geotiff", ".xml": "application/xml", ".json": "application/geo+json",
    ".yaml": "application/yaml", ".rpb": "text/plain", ".raw": "text/plain", ".txt": "text/plain",
    ".hdr": "text/plain",
}  # fmt: skip
_ROLES = {"raster": "data", "rpc": "metadata", "metadata": "metadata", "gains": "metadata",
          "wavelengths": "metadata", "header": "metadata"}  # fmt: skip


def to_item(scene: Scene, hrefs: Mapping[str, str]) -> pystac.Item:
    """The scene as an item.

    Parameters
    ----------
    hrefs
        Address of each file, by its path in the delivery; for an archive that of the archive.
    """
    item = pystac.Item(
        scene.name, outline(scene.footprint), list(box(scene.footprint)), scene.time, _properties(scene),
    )  # fmt: skip
    for file in scene.files:
        key = "-".join(part for part in (file.layer, file.role) if part)
        while key in item.assets:
            key += "-more"
        suffix = file.path[file.path.rfind(".") :].lower()
        extra = {
            "file:checksum": _SHA256 + (scene.archive or file.sha256), "stsfusion:role": file.role,
            "stsfusion:layer": file.layer, "stsfusion:path": file.path,
            "stsfusion:packed": bool(scene.archive),
            "stsfusion:size": file.size, "stsfusion:sha256": file.sha256,
        }  # fmt: skip
        if file.role == "raster":
            extra |= _image(scene, scene.layer(file.layer))
        asset = pystac.Asset(hrefs[file.path], media_type=_MEDIA.get(suffix), roles=[_ROLES[file.role]])
        asset.extra_fields = extra
        item.add_asset(key, asset)
    item.stac_extensions = _used(item)
    return item


def _used(item: pystac.Item) -> list[str]:
    """The extensions of which an item, its images or their bands hold a field."""
    held = [item.properties, *(asset.extra_fields for asset in item.assets.values())]
    held += [band for said in held for band in said.get("bands", ())]
    prefixes = {key.partition(":")[0] for said in held for key in said}
    return [schema for prefix, schema in _EXTENSIONS.items() if prefix in prefixes]


def _properties(scene: Scene) -> dict[str, Any]:
    found = {
        "platform": scene.platform.lower() or None,
        "instruments": [scene.sensor],
        "gsd": scene.pixel,
        "eo:cloud_cover": scene.cloud,
        "view:sun_azimuth": round(scene.sun_azimuth % 360, 4),
        "view:sun_elevation": round(90 - scene.sun_zenith, 4),
        "view:incidence_angle": scene.view_zenith,
        "view:azimuth": None if scene.view_azimuth is None else scene.view_azimuth % 360,
        "processing:level": scene.level or None,
        "stsfusion:platform": scene.platform,
        "stsfusion:produced": None if scene.produced is None else scene.produced.isoformat(),
        "stsfusion:values": scene.values,
        "stsfusion:scale": scene.scale,
        "stsfusion:notes": list(scene.notes) or None,
        "stsfusion:footprint": _across(scene),
        "stsfusion:metadata": [list(pair) for pair in scene.texts] or None,
    }
    if scene.span is not None:
        found |= dict(zip(_SPAN, (f"{one:%Y-%m-%dT%H:%M:%S.%fZ}" for one in scene.span), strict=True))
    return {key: value for key, value in found.items() if value is not None}


def _across(scene: Scene) -> list[list[float]] | None:
    """The corners, where the geometry does not hold them: of a scene across the meridian of 180°."""
    if outline(scene.footprint)["type"] == "Polygon":
        return None
    return [list(corner) for corner in scene.footprint]


def _image(scene: Scene, layer: Layer) -> dict[str, Any]:
    """What is said of an image: place, bands, how to turn counts into radiance."""
    bands = []
    for i, name in enumerate(layer.bands):
        band: dict[str, Any] = {
            "name": name,
            "eo:center_wavelength": round(layer.wavelength[i] / 1000, 9),
            "eo:full_width_half_max": round(layer.fwhm[i] / 1000, 9),
        }
        if layer.gain:
            band |= {"raster:scale": layer.gain[i], "raster:offset": layer.offset[i]}
        if layer.good:
            band["stsfusion:good"] = layer.good[i]
        bands.append(band)
    place: dict[str, Any] = {"proj:code": None, "proj:shape": list(layer.shape)}
    if layer.crs is not None and layer.transform is not None:
        place |= {"proj:wkt2": layer.crs, "proj:transform": list(layer.transform)}
    whole = {} if layer.gain or scene.values == "counts" else {"raster:scale": scene.scale}
    return {"bands": bands, "data_type": layer.kind, **place, **whole}


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
    if not all(name in said for name in _SPAN):
        return None
    start, end = (datetime.fromisoformat(said[name]).astimezone(UTC) for name in _SPAN)
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
    sums = {str(one["file:checksum"]).removeprefix(_SHA256) for one in said if one["stsfusion:packed"]}
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
    )  # fmt: skip


def _six(values: Sequence[float] | None) -> tuple[float, float, float, float, float, float] | None:
    if values is None:
        return None
    a, b, c, d, e, f = (float(value) for value in values)
    return a, b, c, d, e, f
