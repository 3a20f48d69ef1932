"""Template: pages of one file: how they are filled, with their pictures inside, and how they are written."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from stsfusion.cube.disk import draft_of
from stsfusion.errors import StoreError
from stsfusion.views.palette import Picture

__all__ = ["Image", "fill", "sections", "write_page"]


@dataclass(frozen=True)
class Image:
    """A picture as a template needs it."""

    title: str
    """What stands above it."""

    caption: str
    """What stands below it."""

    data: str
    """The PNG file in base64."""

    width: int
    """Pixels."""

    height: int
    """Pixels."""

    wide: bool
    """Whether it takes a row of its own."""


def fill(name: str, **things: Any) -> str:
    """A template of `stsfusion.views` with these things in it; all texts are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**things)


def _source(name: str) -> str:
    return resources.files("stsfusion.views").joinpath(name).read_text(encoding="utf-8")


def write_page(path: str | Path, page: str) -> Path:
    """Write the page beside its final place, then move it there, so that no reader sees half of it.

    What a writer who died left beside is written over.

    Raises
    ------
    StoreError
        When the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StoreError(f"report '{path}'", expected="an existing folder", mend=f"Create '{path.parent}'.")
    draft = draft_of(path)
    try:
        draft.write_text(page, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def sections(pictures: Sequence[Picture]) -> dict[str, list[Image]]:
    """Pictures by the section they stand in.

    Raises
    ------
    StoreError
        When a picture is not a PNG file.
    """
    found: dict[str, list[Image]] = {}
    for picture in pictures:
        found.setdefault(picture.section, []).append(_image(picture))
    return found


def _image(picture: Picture) -> Image:
    if picture.png[:8] != b"\x89PNG\r\n\x1a\n":
        raise StoreError(f"picture '{picture.title}'", expected="the bytes of a PNG file")
    width, height = struct.unpack(">II", picture.png[16:24])
    data = base64.b64encode(picture.png).decode("ascii")
    return Image(picture.title, picture.caption, data, width, height, picture.wide)
