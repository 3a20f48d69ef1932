"""Enlarge: bicubic interpolation of coarse maps to a window of a grid that is an integer ratio finer.

The weights are those of the operator `Upsample`, by the fine pixel's place inside its coarse one; edges of
the whole are repeated. Source: cubic convolution of Keys (1981), eq. 15, with a = −1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["enlarge", "needed"]

_BEFORE, _AFTER = 2, 2
"""Coarse pixels on either side that a fine one may need."""


def needed(fine: tuple[int, int], ratio: int, size: int) -> tuple[int, int]:
    """Coarse pixels, of `size` in all, from which an interval of fine ones is interpolated."""
    if ratio == 1:
        return fine
    return max(fine[0] // ratio - _BEFORE, 0), min((fine[1] - 1) // ratio + 1 + _AFTER, size)


def enlarge(
    coarse: NDArray[np.float32],
    fine: tuple[tuple[int, int], tuple[int, int]],
    ratio: int,
    whole: tuple[int, int],
) -> NDArray[np.float32]:
    """Interpolate (…, y', x') to (…, rows, cols) of a fine window.

    Parameters
    ----------
    coarse
        The pixels that `needed` tells for the rows and columns.
    fine
        Rows and columns of the window, half-open.
    ratio
        Fine pixels along one side of a coarse one.
    whole
        Rows and columns of the whole coarse grid.
    """
    if ratio == 1:
        return coarse
    down, across = (_weights(span, ratio, size) for span, size in zip(fine, whole, strict=True))
    return np.asarray(down @ coarse @ across.T, dtype=np.float32)


def _weights(fine: tuple[int, int], ratio: int, size: int) -> NDArray[np.float32]:
    """(fine, coarse) weights of the needed coarse pixels."""
    first, last = needed(fine, ratio, size)
    place = np.arange(*fine)
    centre = (2 * (place % ratio) + 1) / (2 * ratio) - 0.5
    left = np.floor(centre)
    table = np.zeros((len(place), last - first))
    for tap in (-1, 0, 1, 2):
        column = np.clip(place // ratio + left.astype(int) + tap, 0, size - 1) - first
        np.add.at(table, (np.arange(len(place)), column), _keys(centre - left - tap))
    return table.astype(np.float32)


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1.0
    far = -0.5 * d**3 + 2.5 * d**2 - 4.0 * d + 2.0
    return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))
