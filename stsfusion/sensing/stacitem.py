"""A Scene as a STAC item: what others can read, and all that it takes to have the scene back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pystac

from stsfusion.sensing.dateline import box, outline
from stsfusion.sensing.scene import Layer, Scene
from stsfusion.sensing.stac import SHA256, SPAN

__all__ = ["to_item"]

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
            "file:checksum": SHA256 + (scene.archive or file.sha256), "stsfusion:role": file.role,
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
        found |= dict(zip(SPAN, (f"{one:%Y-%m-%dT%H:%M:%S.%fZ}" for one in scene.span), strict=True))
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
    whole: dict[str, Any] = {} if layer.gain or scene.values == "counts" else {"raster:scale": scene.scale}
    if layer.nodata is not None:
        whole["nodata"] = layer.nodata
    return {"bands": bands, "data_type": layer.kind, **place, **whole}
