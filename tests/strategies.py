"""Hypothesis strategies: grids, ratios, windows and masks."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stsfusion.cube.grid import Grid
from stsfusion.window import Window

__all__ = ["grids", "masks", "ratios", "reflectances", "windows"]

ratios = st.sampled_from([1, 2, 3, 4, 6])
"""Integer ratios between two grids."""


@st.composite
def grids(draw: st.DrawFn, multiple: int = 1, most: int = 60) -> Grid:
    """Grids on Earth and local ones, of whole multiples in rows and columns."""
    rows, cols = (multiple * draw(st.integers(1, max(most // multiple, 1))) for _ in range(2))
    pixel = draw(st.sampled_from([1.0, 2.5, 10.0, 16.0, 30.0]))
    corner = draw(st.integers(-50_000, 50_000)), draw(st.integers(-500_000, 500_000))
    crs = draw(st.sampled_from([None, "EPSG:32650", "EPSG:32733"]))
    return Grid((rows, cols), pixel, (corner[0] * pixel, corner[1] * pixel), crs, draw(st.booleans()))


@st.composite
def windows(draw: st.DrawFn, dates: int, rows: int, cols: int) -> Window:
    """Windows of at least one pixel and date inside a grid."""

    def interval(size: int) -> tuple[int, int]:
        start = draw(st.integers(0, size - 1))
        return start, draw(st.integers(start + 1, size))

    return Window(interval(dates), interval(rows), interval(cols))


def masks(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """True where something is known."""
    return arrays.arrays(bool, shape)


def reflectances(shape: tuple[int, ...], most: float = 3.0) -> st.SearchStrategy[np.ndarray]:
    """float32 values between −most and most."""
    return arrays.arrays(np.float32, shape, elements=st.floats(-most, most, width=32))
