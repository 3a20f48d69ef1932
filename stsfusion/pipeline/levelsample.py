"""Level sample: two dates of stored cubes at the same places, read in a few windows spread over them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.ingest.matching import matched
from stsfusion.ingest.spread import begins, means
from stsfusion.window import Window

__all__ = ["against"]

_SIDE = 48
"""Pixels of the coarser cube along one side of a window."""

_ACROSS = 4
"""Windows along one axis at most."""

Values = NDArray[np.float64]
Day = tuple[str, str]
"""Role and ISO date."""


def against(store: CubeStore, own: Day, reference: Day, bands: Sequence[str]) -> tuple[Values, Values] | None:
    """(band, pixel) stored reflectance of some bands of one date, and what the reference read for them.

    The finer of the two is averaged to the pixels of the coarser; those count that both know in all bands.

    Returns
    -------
    None when the cubes do not tell of these dates, or their pixels do not fit into one another.
    """
    dates = [_date(store, *day) for day in (own, reference)]
    if None in dates:
        return None
    first, second = store.spec(own[0]), store.spec(reference[0])
    pixel = max(first.grid.pixel, second.grid.pixel)
    steps = [round(pixel / spec.grid.pixel) for spec in (first, second)]
    if any(
        abs(pixel / spec.grid.pixel - step) > 1e-6 for spec, step in zip((first, second), steps, strict=True)
    ):
        return None
    match = matched(
        str(second.attributes["sensor"]), second.bands, str(first.attributes["sensor"]), list(bands)
    )
    if match.bands != tuple(bands):
        return None
    weights = [np.eye(len(first.bands))[[first.bands.index(band) for band in bands]], match.weights]
    parts = [
        _read(store, (own[0], reference[0])[i], dates[i] or 0, steps[i], weights[i], windows)
        for windows in [_windows(first, second, steps)]
        for i in (0, 1)
    ]
    both = np.isfinite(parts[0]).all(axis=0) & np.isfinite(parts[1]).all(axis=0)
    return parts[0][:, both], parts[1][:, both]


def _date(store: CubeStore, role: str, date: str) -> int | None:
    """The number of a date on a cube's time axis."""
    told = store.spec(role).attributes.get("lineage", ()) if role in store.names() else ()
    dates = [str(one["date"]) for one in told]
    return dates.index(date) if date in dates else None


def _windows(first: CubeSpec, second: CubeSpec, steps: Sequence[int]) -> list[tuple[int, int, int]]:
    """(top, left, side) of windows, pixels of the coarser cube."""
    rows, cols = (min(first.grid.shape[i] // steps[0], second.grid.shape[i] // steps[1]) for i in (0, 1))
    side = min(_SIDE, rows, cols)
    tops, lefts = (begins((0, size), side, min(_ACROSS, math.ceil(size / side))) for size in (rows, cols))
    return [(top, left, side) for top in tops for left in lefts]


def _read(
    store: CubeStore,
    name: str,
    date: int,
    step: int,
    weights: Values,
    windows: Sequence[tuple[int, int, int]],
) -> Values:
    """(band', pixel) weighed bands, averaged over blocks of step × step; NaN where a part is a gap."""
    found = []
    for top, left, side in windows:
        spans = ((one * step, (one + side) * step) for one in (top, left))
        values, valid = store.read(name, Window((date, date + 1), *spans))
        known = means(np.broadcast_to(valid, values.shape)[0], step).reshape(values.shape[1], -1) == 1.0
        level = weights @ np.where(known, means(values[0], step).reshape(known.shape), 0.0)
        lost = (weights > 0).astype(float) @ ~known > 0
        found.append(np.where(lost, np.nan, level))
    return np.concatenate(found, axis=1)
