"""Maps: what is written of a window of a compact dataset, ready for its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.compact import pack_maps, pack_residual
from stsfusion.cube.factors import Factors
from stsfusion.cube.packing import SIGMA
from stsfusion.cube.shards import fit, planes
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["packed"]


def packed(
    factors: Factors,
    shard: int,
    window: Window,
    maps: NDArray[np.floating],
    valid: NDArray[np.bool_],
    beside: Mapping[str, NDArray[Any] | None],
) -> dict[str, NDArray[Any]]:
    """Stored numbers by array.

    Parameters
    ----------
    factors, shard
        Of the dataset; the side of its shards.
    window
        Whole shards.
    maps, valid
        (time, K, y, x) coefficients and (time, y, x) bool.
    beside
        `residual`, `dead`, `qa` and `sigma`, as `CubeStore.write_maps` takes them; None: not given.

    Raises
    ------
    StoreError
        When shapes do not fit, something lacks that the dataset keeps, or a number is beyond its range.
    """
    dates, rows, cols = window.shape
    fit(f"maps for {window}", maps, (dates, factors.rank, rows, cols))
    bands = len(factors.mean)
    dead = np.zeros(bands, dtype=bool) if beside["dead"] is None else np.asarray(beside["dead"], dtype=bool)
    known = np.broadcast_to(np.asarray(valid, dtype=bool), (dates, rows, cols)) & ~dead.all()
    cells = window.snap(shard).coarsen(shard).shape
    parts: dict[str, NDArray[Any]] = {
        **pack_maps(maps, known, factors),
        **planes(known[:, None], beside["qa"]),
        "dead": np.broadcast_to(dead[:, None, None], (dates, bands, *cells[1:])),
    }
    residual, ratio = _wanted("residual", beside, factors.ratio), factors.ratio
    if residual is not None and ratio is not None:
        fit(f"residual for {window}", residual, (dates, bands, rows // ratio, cols // ratio))
        parts |= pack_residual(residual, factors)
    sigma = _wanted("sigma", beside, factors.anchors)
    if sigma is not None and factors.anchors is not None:
        fit(f"sigma for {window}", sigma, (dates, len(factors.anchors.bands), rows, cols))
        parts["sigma_anchors"] = SIGMA.pack(sigma, known[:, None])
    return parts


def _wanted(key: str, beside: Mapping[str, NDArray[Any] | None], kept: object) -> NDArray[Any] | None:
    """What is given, if the dataset keeps it; one without the other is refused."""
    given = beside[key]
    if (given is None) != (kept is None):
        raise StoreError(
            "maps to be written",
            expected=f"{'no ' if kept is None else ''}{key}, as in the dataset's frame",
            got="none" if given is None else "one",
            mend="Give what CubeSpec.factors tells of.",
        )
    return given
