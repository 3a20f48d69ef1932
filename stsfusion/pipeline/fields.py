"""Fields: what a single value of a recipe may be, whatever section it stands in."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

__all__ = ["ByteSize", "Device", "MethodSpec", "Seed", "Text", "size_in_bytes"]

MethodSpec = str | dict[str, Any]
"""A method's name, or a mapping of `name` and settings."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _is_size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError("a size such as '4 GB' or '512 MiB'")
    return text


def _is_some(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not empty")
    return text


Text = Annotated[str, AfterValidator(_is_some)]
"""Anything but blanks."""


def _is_device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ValueError("'auto', 'cpu', 'cuda' or 'cuda:0'")
    return text


Device = Annotated[str, AfterValidator(_is_device)]
"""Where numbers are computed; a torch device without memory of its own is none."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What dice are thrown from."""

ByteSize = Annotated[str, AfterValidator(_is_size)]
"""A number with kB, MB, GB, TB, KiB, MiB, GiB or TiB."""


def size_in_bytes(text: str) -> int | None:
    """What a ByteSize means; None: it is none."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else None
