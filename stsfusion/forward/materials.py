"""Materials: soil, dry plants and roofs from formulas, and what water and chlorophyll do to a spectrum.

All are smooth functions of the wavelength with the textbook's features, made for plausibility and not for
retrieval. Spectra are reflectance (band,); effects are factors (…, band).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dry_plants", "dryness_of_leaves", "paleness", "roof", "soil", "wetness"]

Array = NDArray[np.float32]

_LIQUID = ((970, 40, 0.06), (1200, 50, 0.12), (1450, 60, 0.75), (1940, 80, 1.0))
"""Absorption of liquid water: centre nm, half-width nm, depth."""

_STRAW = ((1450, 60, 0.03), (1730, 35, 0.02), (1930, 60, 0.04), (2100, 60, 0.06), (2300, 45, 0.04))
"""Dips of cellulose, lignin and water in dry plants, as above, reflectance."""


def _peaks(nm: NDArray[np.float64], table: tuple[tuple[float, float, float], ...]) -> NDArray[np.float64]:
    return np.sum([depth * np.exp(-(((nm - at) / width) ** 2)) for at, width, depth in table], axis=0)


def _rise(nm: NDArray[np.float64], at: float, width: float) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-(nm - at) / width)))


def soil(nm: NDArray[np.float64]) -> Array:
    """A loam: rises out of iron's absorption in the blue, flat beyond 1600 nm, hydroxyl at 1415 and 2205."""
    body = 0.06 + 0.32 * (1.0 - np.exp(-(nm - 350.0) / 550.0))
    dips = _peaks(nm, ((880, 70, 0.010), (1415, 35, 0.02), (1915, 45, 0.03), (2205, 25, 0.025)))
    return np.asarray(np.clip(body - dips, 0.01, 1.0), dtype=np.float32)


def dry_plants(nm: NDArray[np.float64]) -> Array:
    """Straw: no red edge, bright near infrared, cellulose and lignin at 1730, 2100 and 2300 nm."""
    body = 0.08 + 0.36 * (1.0 - np.exp(-np.maximum(nm - 380.0, 0.0) / 330.0)) - 0.10 * _rise(nm, 1850, 120)
    dips = _peaks(
        nm, ((1450, 60, 0.03), (1730, 35, 0.02), (1930, 60, 0.04), (2100, 60, 0.06), (2300, 45, 0.04))
    )
    return np.asarray(np.clip(body - dips, 0.01, 1.0), dtype=np.float32)


def roof(nm: NDArray[np.float64]) -> Array:
    """Light concrete and sheet metal: bright and almost flat."""
    body = 0.30 + 0.10 * _rise(nm, 520, 60) - 0.06 * _rise(nm, 2250, 60)
    return np.asarray(body, dtype=np.float32)


def wetness(nm: NDArray[np.float64], water: Array) -> Array:
    """Factor on a soil: exp(−w (0.35 + 0.25 λ/µm + bands of liquid water)); w from 0, dry, to 1, soaked."""
    curve = 0.35 + 0.25 * nm / 1000.0 + 0.5 * _peaks(nm, _LIQUID)
    return np.exp(-water[..., None] * curve.astype(np.float32) * np.float32(0.8))


def paleness(nm: NDArray[np.float64], lost: Array) -> Array:
    """Factor on a green canopy that has lost this share of its chlorophyll.

    Brightens the blue and red troughs, more than the green, and moves the red edge to shorter wavelengths.
    """
    troughs = _peaks(nm, ((450, 55, 0.7), (550, 45, 0.35), (670, 38, 1.3), (705, 18, 0.7)))
    return np.exp(lost[..., None] * troughs.astype(np.float32))


def dryness_of_leaves(nm: NDArray[np.float64], lost: Array) -> Array:
    """Factor on a green canopy that has lost this share of its leaf water.

    The short-wave infrared brightens; with the leaves the near infrared loses some of its height.
    """
    swir = _rise(nm, 1380, 40)
    curve = 0.8 * swir + 0.6 * _peaks(nm, _LIQUID) - 0.2 * _rise(nm, 730, 15) * (1.0 - swir)
    return np.exp(lost[..., None] * curve.astype(np.float32))
