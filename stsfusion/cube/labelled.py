"""A stored dataset as people see it: lazy, labelled, reflectance as numbers and gaps as NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray import Dataset

from stsfusion.cube.lazy import expanded
from stsfusion.cube.packing import REFLECTANCE, SIGMA, Packing

__all__ = ["open_labelled"]

_PACKED = {"reflectance": REFLECTANCE, "sigma": SIGMA}
_STORED = ("scale_factor", "add_offset", "_FillValue")


def open_labelled(path: Path, name: str, shard: int, *, compact: bool = False) -> Dataset:
    """A published dataset in dask chunks of one shard, unpacked to float32.

    Parameters
    ----------
    path, name
        The store's folder, and the dataset in it ('' at the root).
    shard
        Pixels along one side of a shard, so that no file is opened by two tasks.
    compact
        Whether it keeps maps of coefficients; they are expanded where they are used.
    """
    chunks = None if compact else {"time": 1, "y": shard, "x": shard}
    stored = xr.open_dataset(
        path,
        engine="zarr",
        group=name or None,
        chunks=chunks,
        mask_and_scale=False,
        cache=False,
        consolidated=True,
        zarr_format=3,
    )
    ours = expanded(stored) if compact else _unpacked(stored)
    light = {key: ours[key].load() for key in ("band", "wavelength", "fwhm") if key in ours.variables}
    light["band"] = light["band"].astype(object)
    return ours.assign_coords(light)


def _unpacked(stored: Dataset) -> Dataset:
    unpacked = {
        key: xr.apply_ufunc(
            _unpack,
            stored[key],
            kwargs={"packing": packing},
            dask="parallelized",
            output_dtypes=[np.float32],
            keep_attrs=True,
        )
        for key, packing in _PACKED.items()
        if key in stored
    }
    for cube in unpacked.values():
        cube.attrs = {key: value for key, value in cube.attrs.items() if key not in _STORED}
    return stored.assign(unpacked)


def _unpack(counts: NDArray[np.integer], packing: Packing) -> NDArray[np.float32]:
    values, known = packing.unpack(counts)
    values[~known] = np.nan
    return values
