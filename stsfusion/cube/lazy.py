"""Lazy: a compact dataset that xarray has opened, with all its bands, of which only what is used is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dask.array
import numpy as np
from numpy.typing import NDArray
from xarray import Dataset, Variable

from stsfusion.cube.compact import Compact
from stsfusion.cube.factors import Factors
from stsfusion.cube.layout import LABELS, TILED, factors_of
from stsfusion.window import Window

__all__ = ["expanded", "is_compact"]

_KEPT = ("valid", "qa")


def is_compact(dataset: Dataset) -> bool:
    """Whether it is a compact series of ours."""
    return "coefficients" in dataset and dataset.attrs.get("product") == "compact"


def expanded(dataset: Dataset) -> Dataset:
    """The same names as in a full dataset: reflectance (float32, gaps NaN) in chunks of a shard, valid, qa.

    `sigma` comes beside it where it is kept.

    Parameters
    ----------
    dataset
        Opened with numbers as they are stored (`mask_and_scale=False`) and without dask.
    """
    shard = _shard(dataset)
    told = {str(name): dict(variable.attrs) for name, variable in dataset.variables.items()}
    labels = {key: dataset[key].values for key in LABELS if key in dataset.variables}
    factors = factors_of(told, labels)
    assert factors is not None
    kinds = ("reflectance", "sigma") if factors.anchors else ("reflectance",)
    made = {kind: _variable(_Bands(dataset, factors, shard, kind)) for kind in kinds}
    gone = {*TILED, "basis", "mean_spectrum", "sigma_weights"} - {*_KEPT}
    bare = dataset.drop_vars([name for name in gone if name in dataset.variables])
    bare = bare.set_coords([key for key in ("wavelength", "fwhm", "spatial_ref") if key in bare.variables])
    bare = bare.chunk({"time": 1, "y": shard, "x": shard})
    bare.attrs = {key: value for key, value in bare.attrs.items() if not key.endswith("expansion")}
    return bare.assign(made)


def _variable(bands: _Bands) -> Variable:
    """(time, band, y, x) in dask, every shard a chunk; slices of bands reach down to where they are made."""
    band = bands.shape[1]
    chunks = (1, band, bands.shard, bands.shard)
    empty = np.zeros((0,) * 4, np.float32)
    made = dask.array.from_array(  # type: ignore[no-untyped-call]
        bands, chunks=chunks, name=False, asarray=False, lock=False, inline_array=True, meta=empty
    )
    name = {"reflectance": "reflectance", "sigma": "standard deviation of reflectance"}[bands.kind]
    notes = {"long_name": name, "units": "1", "_FillValue": np.float32(np.nan), "grid_mapping": "spatial_ref"}
    return Variable(("time", "band", "y", "x"), made, notes)


@dataclass(frozen=True, eq=False)
class _Bands:
    """What numpy would show of all bands; each index makes just what it asks for."""

    dataset: Dataset
    """As it is stored."""

    factors: Factors
    """How bands come back."""

    shard: int
    """Pixels along one side of a shard."""

    kind: str
    """`reflectance` or `sigma`."""

    dtype = np.dtype(np.float32)
    ndim = 4

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        time, _, y, x = self.dataset["coefficients"].shape
        return time, len(self.factors.mean), y, x

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Values, NaN in gaps; each axis is indexed by itself."""
        axes = [np.arange(size)[own] for size, own in zip(self.shape, index, strict=True)]
        wanted = [np.atleast_1d(axis) for axis in axes]
        if not all(len(axis) for axis in wanted):
            return np.zeros([len(axis) for axis in wanted], np.float32)
        time, bands, y, x = wanted
        window = Window(_span(time), _span(y), _span(x))
        made = self._made(window, bands)
        first = (window.dates[0], 0, window.rows[0], window.cols[0])
        inside = np.ix_(
            *(axis - start for axis, start in zip((time, np.arange(len(bands)), y, x), first, strict=True))
        )
        return made[inside][tuple(0 if axis.ndim == 0 else slice(None) for axis in axes)]

    def _made(self, window: Window, bands: NDArray[np.intp]) -> NDArray[np.float32]:
        compact = Compact(self._give, self.factors, self.shape, self.shard)
        if self.kind == "sigma":
            return compact.sigma(window, bands)
        values, known = compact.values(window, bands)
        values[~np.broadcast_to(known, values.shape)] = np.nan
        return values

    def _give(self, key: str, place: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self.dataset[key].variable[place].values)


def _span(axis: NDArray[np.intp]) -> tuple[int, int]:
    return int(axis.min()), int(axis.max()) + 1


def _shard(dataset: Dataset) -> int:
    """The side of a shard, from how xarray says the file is cut."""
    encoding = dataset["coefficients"].encoding
    return int((encoding.get("shards") or encoding["chunks"])[-1])
