"""Mask: what is known against each pixel, as flags that can hold together.

The cloud test is simple on purpose: bright, white, and brighter in blue than haze-free ground of its redness.
A mask of the user's own is better.

Source: Zhu & Woodcock (2012), doi 10.1016/j.rse.2011.10.028, eq. 2 (whiteness) and 3 (haze-optimised test).
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stsfusion.cube.grid import Grid
from stsfusion.ingest.overlay import Image
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.warp import onto
from stsfusion.window import Interval

__all__ = ["VISIBLE", "Flag", "clouds", "mean_of", "user_mask"]

Mask = NDArray[np.bool_]


class Flag(IntFlag):
    """What a pixel may be; written as CF flag_masks and flag_meanings."""

    NO_DATA = 1
    """No detector saw it."""

    SATURATED = 2
    """At least one band counted to its end."""

    PARTIAL = 4
    """Some bands are missing, others are there."""

    CLOUD = 8
    """By the user's mask, or by the simple test."""

    SHADOW = 16
    """Of a cloud, by the user's mask, or by the simple test."""

    DEAD = 32
    """At least one band was to be read from a dead line or column of its detector."""


VISIBLE = ((450.0, 520.0), (520.0, 600.0), (620.0, 690.0))
"""Blue, green, red: bands whose centres lie here are averaged, nm."""

_BRIGHT = 0.25
"""Least mean of blue, green and red of a cloud, reflectance at the top of the atmosphere."""

_WHITE = 0.7
"""Largest sum of the three's distances from their mean, in parts of it."""

_HAZE = 0.08
"""blue − red / 2 of clear ground stays below."""

_CLEAR, _CLOUD, _SHADOW, _UNKNOWN = 0, 1, 2, 255
"""Numbers of a user's mask; where it is unknown or ends, the simple test is made."""


def clouds(reflectance: NDArray[np.float32], valid: Mask, wavelength: ArrayLike) -> Mask:
    """Pixels that look like thick cloud.

    Parameters
    ----------
    reflectance, valid
        (band, y, x) at the top of the atmosphere.
    wavelength
        (band,) centres, nm.

    Returns
    -------
    (y, x); nothing is cloud where blue, green or red are not measured at all.
    """
    nm = np.asarray(wavelength, dtype=float)
    blue, green, red = (mean_of(reflectance, valid, nm, span) for span in VISIBLE)
    mean = (blue + green + red) / 3
    with np.errstate(invalid="ignore", divide="ignore"):
        whiteness = (np.abs(blue - mean) + np.abs(green - mean) + np.abs(red - mean)) / mean
        found = (mean > _BRIGHT) & (whiteness < _WHITE) & (blue - red / 2 > _HAZE)
    return np.asarray(found, dtype=bool)


def mean_of(
    values: NDArray[np.float32], valid: Mask, nm: ArrayLike, span: tuple[float, float]
) -> NDArray[np.float64]:
    """(y, x) mean over the bands between two wavelengths, nm, as far as they are there; NaN where none is."""
    which = (np.asarray(nm, dtype=float) >= span[0]) & (np.asarray(nm, dtype=float) <= span[1])
    values, valid = values[which], valid[which]
    count = valid.sum(axis=0)
    total = np.where(valid, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def user_mask(
    raster: Image, grid: Grid, rows: Interval, cols: Interval
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """A mask of the user's on a map: 0 clear, 1 cloud, 2 shadow, 255 unknown.

    Returns
    -------
    (y, x) flags, and whether the mask knows the pixel at all.

    Raises
    ------
    DeliveryError
        When the mask lies nowhere, has several bands, or holds other numbers.
    """
    if raster.shape[0] != 1:
        raise DeliveryError(f"mask {raster.path}", expected="one band", got=f"{raster.shape[0]}")
    values, known = onto(raster, grid, rows, cols, kernel="nearest", fill=_UNKNOWN)
    strange = known & ~np.isin(values, (_CLEAR, _CLOUD, _SHADOW))
    if strange.any():
        raise DeliveryError(
            f"mask {raster.path}",
            expected="0 clear, 1 cloud, 2 shadow, 255 unknown",
            got=f"{values[strange][0]:g}",
        )
    flags = np.zeros(values.shape[1:], dtype=np.uint16)
    flags[(known & (values == _CLOUD))[0]] |= np.uint16(Flag.CLOUD)
    flags[(known & (values == _SHADOW))[0]] |= np.uint16(Flag.SHADOW)
    return flags, known[0]
