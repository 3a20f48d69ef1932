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
from typing import Annotated

from pydantic import Field

from stsfusion.ingest.files import read_bytes
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.stacnote import said_by_item
from stsfusion.records import Record, load, parse
from stsfusion.sensing.scene import Values

__all__ = ["Note", "read_note"]


Scale = Annotated[float, Field(ge=1e-12, le=1e12)]
"""A number above zero, and none by which others vanish."""


class Note(Record):
    """What a user says of an image."""

    sensor: str
    """Name in the catalogs."""

    time: str
    """Acquisition, UTC, as 2021-12-16T03:04:29Z."""

    values: Values = "reflectance"
    """What the stored numbers are."""

    scale: Scale | Annotated[tuple[Scale, ...], Field(min_length=1)] | None = None
    """What they are multiplied by, all or each band; counts are not. None: as the file says, or 1."""

    offset: float | Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    """What is added then, to all or to each band. None: as the file says, or 0."""

    nodata: float | None = None
    """The stored number that stands for no data; None: as the file says, or 0."""

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
    return parse(said_by_item(item, image, path), Note, where=str(path), error=DeliveryError), path
