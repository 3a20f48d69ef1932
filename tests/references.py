"""Plain numpy formulas in double precision, written on their own, against which ours are held."""

from __future__ import annotations

import numpy as np

__all__ = ["blurred", "enlarged"]


def _keys(distance: float) -> float:
    """Keys (1981), eq. 4 with a = −1/2."""
    d = abs(distance)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def _enlarging(size: int, ratio: int) -> np.ndarray:
    """(size · ratio, size) weights of cubic convolution between pixel centres, edges repeated."""
    matrix = np.zeros((size * ratio, size))
    for fine in range(size * ratio):
        place = (fine + 0.5) / ratio - 0.5
        first = int(np.floor(place)) - 1
        for tap in range(first, first + 4):
            matrix[fine, min(max(tap, 0), size - 1)] += _keys(place - tap)
    return matrix


def enlarged(series: np.ndarray, ratio: int) -> np.ndarray:
    """(…, y, x) `ratio` times as fine, by cubic convolution."""
    rows, cols = (_enlarging(size, ratio) for size in series.shape[-2:])
    return np.einsum("Yy,...yx,Xx->...YX", rows, series.astype(np.float64), cols)


def blurred(series: np.ndarray, kernel: np.ndarray, ratio: int) -> np.ndarray:
    """(…, y, x) under a point spread function, one number for each ratio × ratio block, edges repeated."""
    (ky, kx), (rows, cols) = kernel.shape, series.shape[-2:]
    top, left = (ky - ratio) // 2, (kx - ratio) // 2
    pad = [(0, 0)] * (series.ndim - 2) + [(top, top), (left, left)]
    padded = np.pad(series.astype(np.float64), pad, mode="edge")
    out = np.zeros((*series.shape[:-2], rows // ratio, cols // ratio))
    for i in range(ky):
        for j in range(kx):
            out += kernel[i, j] * padded[..., i : i + rows : ratio, j : j + cols : ratio]
    return out
