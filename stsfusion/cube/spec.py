"""CubeSpec: all that must be known of a dataset before its first pixel is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import DataArray

from stsfusion.cube.factors import Factors
from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["INNER", "SHARD", "CubeSpec", "milliseconds"]

SHARD = 384
"""Pixels along one side of a shard on the base grid; 2, 3, 4, 6, 8 and 12 divide it."""

INNER = 96
"""Pixels along one side of an inner chunk on the base grid: what one read decodes at least."""


_BITS = tuple(8 << place for place in range(13))


def milliseconds(times: object) -> NDArray[np.int64]:
    """(time,) int64 milliseconds since 1970-01-01 UTC.

    Raises
    ------
    StoreError
        When dates are missing, come twice or do not rise.
    """
    counted = np.asarray(times, dtype="datetime64[ms]").reshape(-1)
    stamps = counted.astype(np.int64)
    if np.isnat(counted).any() or (np.diff(stamps) <= 0).any():
        raise StoreError(
            "dates",
            expected="rising and unique to the millisecond",
            got=", ".join(str(date) for date in counted[:6]),
            mend="Sort them and drop those that come twice.",
        )
    return stamps


@dataclass(frozen=True)
class CubeSpec:
    """The frame of one dataset in a store: place, dates, bands, and how it is cut into files."""

    grid: Grid
    """Where its pixels lie."""

    times: tuple[int, ...]
    """(time,) milliseconds since 1970-01-01 UTC, rising."""

    bands: tuple[str, ...]
    """(band,) names, unique, in the provider's order."""

    wavelength: tuple[float, ...]
    """(band,) centres, nm."""

    fwhm: tuple[float, ...] | None = None
    """(band,) widths, nm; None: not known."""

    shard: int = SHARD
    """Pixels along one side of a shard on this grid: the least that is ever written."""

    inner: int = INNER
    """Pixels along one side of an inner chunk on this grid."""

    sigma: bool = False
    """Whether a standard deviation is kept beside every value."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Title and provenance as JSON knows them; nothing that changes from run to run."""

    marks: Mapping[str, int] = field(default_factory=dict)
    """Bits of `qa` by what they mean, from 8 on: the lower ones tell how a pixel came to be."""

    factors: Factors | None = None
    """How all bands follow from a few maps, which are kept in their place; None: all bands are kept."""

    def __post_init__(self) -> None:
        milliseconds(np.asarray(self.times, dtype="datetime64[ms]"))
        count = len(self.bands)
        if len(set(self.bands)) != count or len(self.wavelength) != count or not count:
            raise StoreError(
                "bands of a dataset",
                expected="at least one name, all different, and as many wavelengths",
                got=f"{count} names, {len(self.wavelength)} wavelengths",
            )
        bits = list(self.marks.values())
        if len(set(bits)) != len(bits) or any(bit not in _BITS for bit in bits):
            raise StoreError(
                "marks of a dataset", expected="different single bits from 8 to 32768", got=f"{bits}"
            )
        if self.shard % self.inner or self.inner < 1:
            raise StoreError(
                "layout of a dataset",
                expected="shards of whole inner chunks",
                got=f"shard {self.shard}, inner {self.inner}",
                mend="Choose a shard that is a multiple of the inner chunk, such as 384 and 96.",
            )
        if self.factors is not None:
            self._admit(self.factors)

    def _admit(self, factors: Factors) -> None:
        """Refuse factors that are not of this frame."""
        ratio = factors.ratio or 1
        if len(factors.mean) != len(self.bands) or self.sigma != (factors.anchors is not None):
            raise StoreError(
                "factors of a dataset",
                expected=f"{len(self.bands)} bands, and anchors just where sigma is kept",
                got=f"{len(factors.mean)} bands, sigma {self.sigma}, anchors {factors.anchors is not None}",
            )
        if self.shard % ratio or any(size % ratio for size in self.grid.shape):
            raise StoreError(
                "residual of a dataset",
                expected=f"a ratio that divides shards of {self.shard} and a grid of {self.grid.shape}",
                got=f"{ratio}",
                mend="Keep all bands with 'product: full'.",
            )

    @classmethod
    def like(
        cls,
        cube: DataArray,
        *,
        ratio: int = 1,
        shard: int = SHARD,
        inner: int = INNER,
        sigma: bool = False,
        attributes: Mapping[str, Any] | None = None,
    ) -> CubeSpec:
        """The frame of a checked cube.

        Parameters
        ----------
        cube
            (time, band, y, x), as schema.check gives it back.
        ratio
            Base pixels along one of its pixels; shard and inner are given on the base grid.
        shard, inner, sigma, attributes
            See the fields.
        """
        fwhm = cube.coords["fwhm"].values if "fwhm" in cube.coords else None
        spec = cls(
            grid_of(cube),
            tuple(milliseconds(cube["time"].values).tolist()),
            tuple(str(band) for band in cube["band"].values),
            tuple(float(nm) for nm in cube["wavelength"].values),
            None if fwhm is None else tuple(float(nm) for nm in fwhm),
            shard=shard,
            inner=inner,
            sigma=sigma,
            attributes=dict(attributes or {}),
        )
        return spec.divided(ratio)

    def divided(self, ratio: int) -> CubeSpec:
        """The same frame with shards and inner chunks divided by a ratio, so that files nest on the ground.

        Raises
        ------
        StoreError
            When the ratio does not divide them.
        """
        if self.shard % ratio or self.inner % ratio:
            raise StoreError(
                "layout of a dataset",
                expected=f"a shard and an inner chunk that the ratio {ratio} divides",
                got=f"shard {self.shard}, inner {self.inner}",
                mend=f"Choose multiples of {ratio}; the rule, 384 and 96, serves 2, 3, 4, 6, 8 and 12.",
            )
        return replace(self, shard=self.shard // ratio, inner=self.inner // ratio)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        return len(self.times), len(self.bands), *self.grid.shape

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """(time,) datetime64[ms]."""
        return np.asarray(self.times, dtype="datetime64[ms]")

    @property
    def window(self) -> Window:
        """The whole of it."""
        return Window.whole(len(self.times), *self.grid.shape)

    def shards(self, dates: tuple[int, int] | None = None) -> list[Window]:
        """Every shard of these dates (all by default), clipped at the edges; rows first."""
        first, last = dates or (0, len(self.times))
        rows, cols = (_pieces(size, self.shard) for size in self.grid.shape)
        return [Window((t, t + 1), r, c) for t in range(first, last) for r in rows for c in cols]

    def extended(self, times: Sequence[int]) -> CubeSpec:
        """The same frame with further dates at its end."""
        return replace(self, times=(*self.times, *times))


def _pieces(size: int, step: int) -> list[tuple[int, int]]:
    return [(i * step, min((i + 1) * step, size)) for i in range(math.ceil(size / step))]
