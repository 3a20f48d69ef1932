"""Ranges: parts of the spectrum that are scored on their own, since not every sensor sees all of them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["RANGES", "ranges"]

_BORDER = 1000.0
"""Where silicon detectors end, nm."""

RANGES = {"vnir": "VNIR, up to 1000 nm", "swir": "SWIR, beyond 1000 nm"}
"""Part -> what it is."""


def ranges(wavelengths: Sequence[float]) -> dict[str, list[int]]:
    """Indices of the bands of each part; nothing where all bands lie in one."""
    parts = {"vnir": [i for i, nm in enumerate(wavelengths) if nm <= _BORDER]}
    parts["swir"] = [i for i in range(len(wavelengths)) if i not in set(parts["vnir"])]
    return parts if all(parts.values()) else {}
