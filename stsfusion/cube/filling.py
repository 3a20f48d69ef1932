"""Filling: a labelled cube, in memory or lazy, into a dataset of a store, shard by shard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xarray import DataArray

from stsfusion.cube.gaps import validity
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["fill"]


def fill(
    store: CubeStore, name: str, cube: DataArray, *, done: Callable[[Window], None] = lambda window: None
) -> None:
    """Write a checked cube into a dataset that create() has begun; publish() is left to the caller.

    Parameters
    ----------
    store, name
        Where to.
    cube
        (time, band, y, x) as schema.check gives it back, on the dataset's own grid and dates.
    done
        Called after every shard, for a progress bar.

    Raises
    ------
    StoreError
        When the cube has another shape than the dataset.
    """
    spec = store.spec(name, staged=True)
    if tuple(cube.shape) != spec.shape:
        raise StoreError(f"dataset '{name}'", expected=f"a cube of shape {spec.shape}", got=f"{cube.shape}")
    valid = validity(cube)
    for window in spec.shards():
        values = np.asarray(cube.variable[window.slices].values, dtype=np.float32)
        known = np.asarray(valid.variable[window.slices].values, dtype=bool)
        store.write(name, window, values, known)
        done(window)
