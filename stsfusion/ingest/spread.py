"""Spread: windows that lie evenly over an area, and means over blocks of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.window import Interval

__all__ = ["begins", "means"]


def begins(span: Interval, side: int, most: int) -> list[int]:
    """First pixels of windows that lie evenly over a span.

    Parameters
    ----------
    side
        Of a window, pixels.
    most
        Windows at most.
    """
    count = min(most, max(1, (span[1] - span[0]) // side))
    return [round(span[0] + i * (span[1] - span[0] - side) / max(1, count - 1)) for i in range(count)]


def means(values: NDArray[Any], ratio: int) -> NDArray[np.float64]:
    """(…, y / ratio, x / ratio) means of (…, y, x) over blocks of `ratio` pixels each way."""
    *lead, rows, cols = values.shape
    blocks = values.reshape(*lead, rows // ratio, ratio, cols // ratio, ratio)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float64))
