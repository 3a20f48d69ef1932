"""The RPC that ENVI keeps in a header, when a raw image was calibrated or cut without being put on a map."""

from __future__ import annotations

import math
import re
from pathlib import Path

from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational, check_rational

__all__ = ["read_rpc_info"]

_OFFSETS, _TERMS = 10, 20
_COUNTS = (90, 93)
"""Numbers of an entry: offsets and scales, 4 times 20 coefficients; rows and columns cut off, and a 1."""


def read_rpc_info(path: Path, text: str) -> Rational:
    """The RPC of an entry 'rpc info', moved to the part of the image that is there.

    Raises
    ------
    DeliveryError
        When it is not so many finite numbers, or no place on Earth.
    """
    try:
        values = [float(word) for word in re.split(r"[,\s]+", text.strip(", \r\n\t"))]
    except ValueError:
        values = []
    if len(values) not in _COUNTS or not all(math.isfinite(value) for value in values):
        raise DeliveryError(
            f"file {path}: rpc info", expected="90 or 93 finite numbers", got=f"{len(values)}"
        )
    line, sample, lat, lon, height = values[:5]
    top, left = values[90:92] or (0.0, 0.0)
    parts = [tuple(values[i : i + _TERMS]) for i in range(_OFFSETS, 90, _TERMS)]
    found = Rational(line - top, sample - left, lat, lon, height, *values[5:10], *parts)  # type: ignore[arg-type]
    check_rational(path, found)
    return found
