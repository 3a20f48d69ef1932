"""Seen: whether a scene shows anything at all of a cube's ground."""

from __future__ import annotations

from itertools import product

import numpy as np

from stsfusion.cube.grid import Grid
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.spread import begins
from stsfusion.ingest.view import View

__all__ = ["unseen"]

_SIDE, _ACROSS = 16, 7
"""Pixels along a window, and windows along each axis of the scene's box."""


def unseen(view: View, grid: Grid) -> list[str]:
    """What is to be said of a scene without one valid pixel in windows that lie evenly over its ground.

    Parameters
    ----------
    grid
        Of the scene's cube.
    """
    rows, cols = pixels_of(view.scene, grid)
    side = min(_SIDE, rows[1] - rows[0], cols[1] - cols[0])
    if side < 1:
        return ["no pixel of the cube lies in it"]
    places = list(product(begins(rows, side, _ACROSS), begins(cols, side, _ACROSS)))
    # From the middle outwards: most scenes show something there.
    places.sort(key=lambda at: abs(at[0] - np.mean(rows)) + abs(at[1] - np.mean(cols)))
    for top, left in places:
        if view.tile(grid, (top, top + side), (left, left + side), "nearest").valid.any():
            return []
    return [f"nothing valid in {len(places)} windows spread over its ground: it adds nothing to the cube"]
