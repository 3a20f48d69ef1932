"""Note: what a user says of an image that does not say it itself.

The note is a YAML file, or a STAC item, of the image's own name:

    sensor: gf6-wfv
    time: 2021-12-16T03:04:29Z
    values: reflectance
    scale: 0.0001
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from stsfusion.ingest.files import read_bytes
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.records import Record, load, parse
from stsfusion.sensing.scene import Values

__all__ = ["Note", "read_note"]


class Note(Record):
    """What a user says of an image."""

    sensor: str
    """Name in the catalogs."""

    time: str
    """Acquisition, UTC, as 2021-12-16T03:04:29Z."""

    values: Values = "reflectance"
    """What the stored numbers are."""

    scale: Annotated[float, Field(gt=0)] = 1.0
    """What they are multiplied by; counts are not."""

    bands: tuple[str, ...] | None = None
    """The sensor's bands in the file's order; None: all."""

    cloud: Annotated[float, Field(ge=0, le=100)] | None = None
    """Percent."""


def read_note(image: Path, limits: Limits) -> tuple[Note, Path] | None:
    """The note beside an image, and where it stands; None where there is none.

    Raises
    ------
    DeliveryError
        For a note that says something else than a note can.
    """
    stem = image.with_suffix("")
    path = stem.with_name(f"{stem.name}.yaml")
    if path.is_file():
        read_bytes(path, limits.text)
        return load(path, Note, error=DeliveryError), path
    path = stem.with_name(f"{stem.name}.json")
    if not path.is_file():
        return None
    try:
        item = json.loads(read_bytes(path, limits.text))
    except (ValueError, RecursionError) as fault:
        raise DeliveryError(f"file {path}", expected="a STAC item", got=str(fault)[:80]) from None
    return _item(item, image, path), path


def _item(item: Any, image: Path, path: Path) -> Note:
    """A note from a STAC item: the asset that is the image, and the properties."""
    plain = (
        isinstance(item, dict) and item.get("type") == "Feature" and isinstance(item.get("properties"), dict)
    )
    assets = item.get("assets") if plain else None
    if not isinstance(assets, dict):
        raise DeliveryError(f"file {path}", expected="a STAC item", got="other JSON")
    own = [
        a
        for a in assets.values()
        if isinstance(a, dict) and str(a.get("href", "")).removeprefix("./") == image.name
    ]
    if len(own) != 1:
        raise DeliveryError(
            f"file {path}", expected=f"one asset with the address '{image.name}'", got=f"{len(own)}"
        )
    properties = item["properties"]
    bands = own[0].get("bands") or [{}]
    scale = own[0].get("raster:scale", bands[0].get("raster:scale") if isinstance(bands[0], dict) else None)
    said = {
        "sensor": properties.get("stsfusion:sensor", item.get("collection")),
        "time": properties.get("datetime"),
        "values": properties.get("stsfusion:values", "reflectance"),
        "scale": 1.0 if scale is None else scale,
        "cloud": properties.get("eo:cloud_cover"),
    }
    return parse(
        {key: value for key, value in said.items() if value is not None},
        Note,
        where=str(path),
        error=DeliveryError,
    )
