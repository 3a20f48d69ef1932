"""Calendar: what covers a field through the year, by crop, for the North China plain (37° north).

A crop is a table of days with three shares: green cover, dry cover (straw, litter, bare branches) and the
vigour of what is green (1: prime, 0: ripe). Between its days everything runs straight; what neither green
nor dry plants cover is soil. Winter wheat greens up in March, is at its height in April and May and is
harvested in mid June; maize follows it or stands alone; cotton is sown in April; meadows are cut in May.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARABLE", "CROPS", "Cover", "Crop"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cover:
    """What covers some fields on one date; each (field,), shares from 0 to 1."""

    green: Floats
    """Ground under green leaves."""

    dry: Floats
    """Ground under straw, litter or bare branches."""

    vigour: Floats
    """Chlorophyll and water of the green leaves; 1: prime."""


@dataclass(frozen=True)
class Crop:
    """One crop's year."""

    name: str
    """As an agronomist would say it."""

    days: tuple[tuple[int, float, float, float], ...]
    """(days since 1 December, green, dry, vigour), rising."""

    def cover(self, days: Floats) -> Cover:
        """The cover on these days since 1 December."""
        at, *shares = np.array(self.days).T
        green, dry, vigour = (np.interp(days, at, share) for share in shares)
        return Cover(green, dry, vigour)


CROPS: tuple[Crop, ...] = (
    Crop(
        "winter wheat",
        (
            (0, 0.4, 0.05, 0.85), (25, 0.36, 0.1, 0.7), (48, 0.16, 0.3, 0.3), (75, 0.24, 0.2, 0.45),
            (95, 0.4, 0.08, 0.85), (115, 0.72, 0.03, 0.97), (140, 0.93, 0.02, 1.0), (165, 0.88, 0.05, 0.85),
            (180, 0.55, 0.38, 0.4), (191, 0.08, 0.85, 0.05), (197, 0.03, 0.6, 0.3), (212, 0.18, 0.4, 0.9),
        ),
    ),
    Crop(
        "cotton",
        (
            (0, 0.03, 0.45, 0.2), (60, 0.02, 0.35, 0.2), (95, 0.04, 0.22, 0.5), (112, 0.02, 0.03, 0.5),
            (150, 0.04, 0.02, 0.9), (170, 0.14, 0.02, 0.95), (190, 0.4, 0.02, 1.0), (212, 0.72, 0.02, 1.0),
        ),
    ),
    Crop(
        "spring maize",
        (
            (0, 0.03, 0.7, 0.2), (80, 0.03, 0.55, 0.2), (125, 0.1, 0.4, 0.8), (138, 0.01, 0.06, 0.8),
            (155, 0.05, 0.04, 0.9), (175, 0.35, 0.03, 1.0), (195, 0.82, 0.02, 1.0), (212, 0.95, 0.02, 1.0),
        ),
    ),
    Crop(
        "vegetables",
        (
            (0, 0.6, 0.05, 0.9), (20, 0.5, 0.1, 0.8), (35, 0.08, 0.15, 0.5), (75, 0.05, 0.1, 0.5),
            (90, 0.25, 0.05, 0.9), (112, 0.75, 0.03, 1.0), (128, 0.8, 0.05, 0.9), (138, 0.03, 0.1, 0.5),
            (155, 0.2, 0.03, 0.9), (175, 0.8, 0.02, 1.0), (190, 0.6, 0.15, 0.7), (200, 0.1, 0.25, 0.5),
            (212, 0.12, 0.1, 0.8),
        ),
    ),
    Crop(
        "meadow",
        (
            (0, 0.25, 0.6, 0.45), (50, 0.07, 0.8, 0.2), (85, 0.14, 0.68, 0.4), (110, 0.42, 0.42, 0.75),
            (140, 0.8, 0.14, 0.95), (162, 0.92, 0.05, 1.0), (167, 0.4, 0.35, 0.6), (180, 0.6, 0.2, 0.85),
            (212, 0.88, 0.08, 0.9),
        ),
    ),
    Crop(
        "woodland",
        (
            (0, 0.14, 0.5, 0.4), (90, 0.12, 0.5, 0.4), (115, 0.22, 0.42, 0.7), (135, 0.62, 0.2, 0.85),
            (155, 0.88, 0.06, 0.95), (180, 0.95, 0.03, 1.0), (212, 0.96, 0.02, 0.95),
        ),
    ),
)  # fmt: skip
"""All crops, the arable ones first."""

ARABLE = 4
"""How many of the crops are sown: these may change from one field of a class to the next."""
