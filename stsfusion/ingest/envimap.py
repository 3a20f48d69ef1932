"""The 'map info' of an ENVI header: where its image lies, and in which reference system.

    {UTM, 1, 1, 475000, 4150000, 30, 30, 50, North, WGS-84, units=Meters}
    {Geographic Lat/Lon, 1, 1, 116.7, 37.5, 0.0003, 0.0003, WGS-84, units=Degrees}

A datum that is told by a name alone is only taken where it is WGS 84.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rasterio.crs import CRS
from rasterio.errors import CRSError

from stsfusion.ingest.refusal import DeliveryError

__all__ = ["map_place"]

_MEND = "Write the whole reference system into 'coordinate system string', as GDAL does."

_DATUMS = ("", "wgs84", "wgs1984")
"""Datums that 'map info' may name alone, in small letters and digits."""


def map_place(
    path: Path, texts: Mapping[str, str]
) -> tuple[str | None, tuple[float, float, float, float, float, float] | None]:
    """Reference system and geotransform from 'map info' and 'coordinate system string'; None: they say none.

    Raises
    ------
    DeliveryError
        For anything but a map with north up, in a system that is told in full.
    """
    if "map info" not in texts:
        return None, None
    words = [word.strip() for word in texts["map info"].split(",")]
    try:
        at_x, at_y, x, y, wide, high = (_finite(word) for word in words[1:7])
        crs = _crs(words, texts.get("coordinate system string", ""))
        turned = [
            _finite(word.partition("=")[2]) for word in words[7:] if word.lower().startswith("rotation")
        ]
    except (ValueError, IndexError, CRSError) as fault:
        raise _nowhere(path, str(fault)[:80]) from fault
    if any(turned):
        raise _nowhere(path, f"rotation={turned[0]:g}: a map that is turned")
    if crs is None:
        return None, None
    if wide <= 0 or high <= 0:
        raise _nowhere(path, f"pixels of {wide:g} × {high:g}")
    return crs, (wide, 0.0, x - (at_x - 1) * wide, 0.0, -high, y + (at_y - 1) * high)


def _nowhere(path: Path, got: str) -> DeliveryError:
    return DeliveryError(f"file {path}: map info", expected="a place on a map", got=got, mend=_MEND)


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word!r}, which is no number")
    return value


def _crs(words: Sequence[str], text: str) -> str | None:
    """The reference system; a datum is only taken for the one that it is."""
    if text:
        return str(CRS.from_wkt(text).to_wkt())
    kind = words[0].lower()
    utm = kind == "utm"
    if not utm and not kind.startswith("geographic"):
        return None
    named = [word for word in words[9 if utm else 7 :] if "=" not in word]
    if named and re.sub(r"[^a-z0-9]", "", named[0].lower()) not in _DATUMS:
        raise ValueError(f"datum {named[0]!r}, and no 'coordinate system string'")
    _check_unit(words, "met" if utm else "deg")
    if not utm:
        return "EPSG:4326"
    if not (words[7].isascii() and words[7].isdigit() and 1 <= int(words[7]) <= 60):
        raise ValueError(f"zone {words[7]!r} of 60")
    if not words[8].lower().startswith(("n", "s")):
        raise ValueError(f"{words[8]!r}, where North or South is to stand")
    return f"EPSG:{(32700 if words[8].lower().startswith('s') else 32600) + int(words[7])}"


def _check_unit(words: Sequence[str], expected: str) -> None:
    for word in words[7:]:
        name, _, unit = (part.strip().lower() for part in word.partition("="))
        if name == "units" and not unit.startswith(expected):
            raise ValueError(f"units of {unit!r}")
