"""A STAC item as a note: the asset that is the image, its bands in the file's order, and the properties.

Bands are read as STAC 1.1 says them, in `bands`, and as 1.0 does, in `eo:bands` and `raster:bands`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stsfusion.errors import SensorError
from stsfusion.ingest.bandnames import by_name, by_wavelength
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.sensor import Sensor

__all__ = ["said_by_item"]

_FIELDS = ("raster:bands", "eo:bands", "bands")
"""Lists with an entry a band; what the later ones say stands."""

_KEYS = {"scale": ("raster:scale", "scale"), "offset": ("raster:offset", "offset")}
"""What a number of a band is called in STAC 1.1, and in `raster:bands`."""


def said_by_item(item: Any, image: Path, path: Path) -> dict[str, Any]:
    """What a note holds, as the item says it.

    Parameters
    ----------
    path
        The item's file.

    Raises
    ------
    DeliveryError
        For other JSON, another image's item, or fields of another kind than they must be.
    """
    plain = isinstance(item, dict) and item.get("type") == "Feature"
    assets = item.get("assets") if plain and isinstance(item.get("properties"), dict) else None
    if not isinstance(assets, dict):
        raise DeliveryError(f"file {path}", expected="a STAC item", got="other JSON")
    own = [
        one
        for one in assets.values()
        if isinstance(one, dict) and str(one.get("href", "")).removeprefix("./") == image.name
    ]
    if len(own) != 1:
        raise DeliveryError(
            f"file {path}", expected=f"one asset with the address '{image.name}'", got=f"{len(own)}"
        )
    asset, properties = own[0], item["properties"]
    bands = _entries(asset, path)
    sensor = properties.get("stsfusion:sensor", item.get("collection"))
    said = {
        "sensor": sensor,
        "time": _time(properties, path),
        "values": properties.get("stsfusion:values"),
        "scale": _column(asset, bands, "scale", path),
        "offset": _column(asset, bands, "offset", path),
        "nodata": _nodata(asset, bands, path),
        "bands": _bands(sensor, bands, path),
        "cloud": properties.get("eo:cloud_cover"),
    }
    return {key: value for key, value in said.items() if value is not None}


def _entries(asset: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """All that is said of each band, wherever it stands; none where nothing is."""
    merged: list[dict[str, Any]] = []
    for field in _FIELDS:
        found = asset.get(field) or []
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            expected = "a list with one entry a band"
            raise DeliveryError(f"file {path}: {field}", expected=expected, got="other JSON")
        if merged and found and len(found) != len(merged):
            expected = f"{len(merged)} bands, as in the other lists"
            raise DeliveryError(f"file {path}: {field}", expected=expected, got=f"{len(found)}")
        merged = [one | more for one, more in zip(merged, found, strict=True)] if merged and found else merged
        merged = merged or [dict(one) for one in found]
    return merged


def _number(value: Any, field: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DeliveryError(f"file {path}: {field}", expected="a number", got=repr(value)[:40])
    return float(value)


def _column(
    asset: Mapping[str, Any], bands: Sequence[Mapping[str, Any]], what: str, path: Path
) -> float | list[float] | None:
    """One number for all bands, or one a band; None where nothing is said."""
    new, old = _KEYS[what]
    whole = asset.get(new)
    found = [band.get(new, band.get(old, whole)) for band in bands]
    if not any(one is not None for one in found):
        return None if whole is None else _number(whole, new, path)
    return [_number(one, new, path) for one in found]


def _nodata(asset: Mapping[str, Any], bands: Sequence[Mapping[str, Any]], path: Path) -> float | None:
    """The number that stands for no data in all bands; None where none does, or only what is no number."""
    found = {
        str(band["nodata"]): band["nodata"] for band in (asset, *bands) if band.get("nodata") is not None
    }
    if len(found) > 1:
        raise DeliveryError(f"file {path}: nodata", expected="one for all bands", got=", ".join(found)[:60])
    if not found or str(next(iter(found))).lower().lstrip("+-") in ("nan", "inf"):
        return None
    return _number(next(iter(found.values())), "nodata", path)


def _bands(name: Any, bands: Sequence[Mapping[str, Any]], path: Path) -> list[str] | None:
    """The sensor's names in the file's order; None where the item says none."""
    names = [band.get("name") for band in bands]
    centres = [band.get("eo:center_wavelength", band.get("center_wavelength")) for band in bands]
    sensor = _sensor(name)
    if sensor is None or not any(one is not None for one in (*names, *centres)):
        return None
    found = by_name(sensor, [str(one) for one in names])
    if found is None and all(one is not None for one in centres):
        micrometres = [_number(one, "eo:center_wavelength", path) for one in centres]
        found = by_wavelength(sensor, [1000 * one for one in micrometres], path)
    if found is None or len(set(found)) < len(found):
        got = ", ".join(str(one) for one in names)[:80]
        raise DeliveryError(
            f"file {path}: bands", expected=f"bands of {sensor.name}, each once", got=got,
            mend=f"Name them in the file's order: {', '.join(sensor.names[:8])}, …",
        )  # fmt: skip
    return list(found)


def _sensor(name: Any) -> Sensor | None:
    """The sensor; None where it is none, which is told later."""
    try:
        return known_sensor(name) if isinstance(name, str) else None
    except SensorError:
        return None


def _time(properties: Mapping[str, Any], path: Path) -> Any:
    """When it was taken: the moment, or the middle of begin and end."""
    said = properties.get("datetime")
    ends = [properties.get(name) for name in ("start_datetime", "end_datetime")]
    if said is not None or None in ends:
        return said
    try:
        start, end = (datetime.fromisoformat(str(one)) for one in ends)
        middle = (start + (end - start) / 2).astimezone(UTC)
    except (ValueError, TypeError):
        raise DeliveryError(
            f"file {path}: start_datetime, end_datetime",
            expected="moments with their zone",
            got=f"{ends}"[:80],
        ) from None
    return f"{middle:%Y-%m-%dT%H:%M:%S.%f}Z"
