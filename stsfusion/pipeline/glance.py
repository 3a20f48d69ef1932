"""Glance: every n-th pixel of one date of a stored cube; memory and time do not grow with the scene.

::

    step < chunk    every chunk is opened, one after the other, and thinned out
    step = n·chunk  one chunk of n × n is opened
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.cube.packing import REFLECTANCE
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore

__all__ = ["SIDE", "Glance", "Planes", "affordable", "glance", "planes", "stride"]

SIDE = 320
"""Pixels along the longer side of what is seen, about; never more than half as many again."""

MOST = 2**31
"""Values that are opened for the glances at one cube, about: some ten seconds."""

_FEW = 2
"""Dates that are looked at however large they are."""


@dataclass(frozen=True, eq=False)
class Planes:
    """What is known of the pixels of one date, thinned out."""

    qa: NDArray[np.uint16]
    """(y, x) how each pixel came to be, and its marks."""

    seen: NDArray[np.bool_]
    """(y, x) whether any band holds a value."""


@dataclass(frozen=True, eq=False)
class Glance:
    """One date of a cube, thinned out."""

    image: xr.DataArray
    """(band, y, x) reflectance, gaps NaN, with `band` and `wavelength` (nm)."""

    planes: Planes
    """What is known of its pixels."""


def affordable(spec: CubeSpec, most: int) -> int:
    """How many dates can be looked at in full, `most` at most."""
    rows, cols = spec.grid.shape
    return min(most, max(_FEW, MOST // 2 // (rows * cols * len(spec.bands))))


def stride(spec: CubeSpec, dates: int, bands: int | None = None) -> int:
    """Pixels from one to the next, so that glances at so many dates stay small.

    Parameters
    ----------
    bands
        That are read; None: all, as they lie together.
    """
    rows, cols = spec.grid.shape
    step = max(1, round(max(rows, cols) / SIDE))
    share = rows * cols * (bands or len(spec.bands)) * dates / MOST
    if share <= 1:
        return step
    chunks = min(math.ceil(math.sqrt(share)), max(1, min(rows, cols) // spec.inner))
    return max(step, spec.inner * chunks)


def glance(store: CubeStore, name: str, date: int, step: int) -> Glance:
    """Look at one date of a published dataset; the first pixel is number step // 2, both ways.

    Parameters
    ----------
    date
        Number on its time axis.
    """
    part = _part(store, name, date, step)
    values, known = REFLECTANCE.unpack(part["reflectance"].values)
    spec = store.spec(name)
    image = xr.DataArray(
        np.where(known, values, np.float32(np.nan)),
        dims=("band", "y", "x"),
        coords={"band": list(spec.bands), "wavelength": ("band", list(spec.wavelength))},
    )
    return Glance(image, _planes(part))


def planes(store: CubeStore, name: str, date: int, step: int) -> Planes:
    """The same without values."""
    return _planes(_part(store, name, date, step))


def _part(store: CubeStore, name: str, date: int, step: int) -> xr.Dataset:
    stored = xr.open_zarr(
        store.path, group=name or None, chunks=None, mask_and_scale=False, consolidated=True, zarr_format=3
    )
    return stored.isel(time=date, y=slice(step // 2, None, step), x=slice(step // 2, None, step))


def _planes(part: xr.Dataset) -> Planes:
    return Planes(np.asarray(part["qa"].values, np.uint16), np.asarray(part["valid"].values, np.bool_))
