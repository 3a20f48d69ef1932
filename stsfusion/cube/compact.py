"""Compact: a series of low rank as small maps, packed into integers and expanded again where it is read.

::

    coefficient = step · (count + 65535 · carry)      count int16, carry 0 but where a map is beyond its range
    reflectance = mean + Σ_k coefficient_k · basis_k + bicubic(residual), clipped as all reflectance at rest
    a gap       = a pixel whose counts are gaps, or a band that is dead in its shard
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.enlarge import enlarge, needed
from stsfusion.cube.factors import Factors
from stsfusion.cube.packing import REFLECTANCE, SIGMA, Packing
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["COUNTS", "RESIDUAL_GAP", "Compact", "Give", "pack_maps", "pack_residual"]

Give = Callable[[str, tuple[slice, ...]], NDArray[np.generic]]
"""Stored numbers of an array, by its name and a window in its own indices."""

COUNTS = Packing("int16", 1.0, gap=-32768, least=-32767, most=32767)
"""A coefficient's counts; the carry beside them counts whole ranges."""

RESIDUAL_GAP = COUNTS.gap
"""The count of a residual that is not known."""

_RANGE = COUNTS.most - COUNTS.least + 1
_FAREST = COUNTS.most * _RANGE


def pack_maps(
    maps: NDArray[np.floating], known: NDArray[np.bool_], factors: Factors
) -> dict[str, NDArray[np.integer]]:
    """Counts and carries of coefficient maps.

    Parameters
    ----------
    maps
        (time, K, y, x) coefficients, reflectance: the most that each adds in any band.
    known
        (time, y, x) bool; what is not known is not looked at.
    factors
        With the step.

    Raises
    ------
    StoreError
        When a known coefficient is not finite, or beyond all bounds.
    """
    here = known[:, None]
    counts = np.rint(np.where(here, maps, 0.0) / factors.step)
    if not (np.abs(counts) <= _FAREST).all():
        raise StoreError(
            "coefficients to be written",
            expected=f"finite numbers up to {_FAREST * factors.step:.0f} wherever the pixel is valid",
            got="others",
            mend="Set valid to False there, or keep all bands with 'product: full'.",
        )
    total = counts.astype(np.int64)
    carry = (total + COUNTS.most) // _RANGE
    packed = np.where(here, total - carry * _RANGE, COUNTS.gap)
    return {"coefficients": packed.astype(np.int16), "carry": carry.astype(np.int16)}


def pack_residual(residual: NDArray[np.floating], factors: Factors) -> dict[str, NDArray[np.integer]]:
    """Counts of (time, band, y', x') residuals, reflectance; what is not finite is a gap.

    Raises
    ------
    StoreError
        When one is beyond the range of its counts.
    """
    assert factors.residual_step is not None
    finite = np.isfinite(residual)
    counts = np.rint(np.where(finite, residual, 0.0) / factors.residual_step)
    if np.abs(counts).max(initial=0.0) > COUNTS.most:
        raise StoreError(
            "residual to be written",
            expected=f"at most {COUNTS.most * factors.residual_step:.2f}",
            got=f"{np.abs(counts).max() * factors.residual_step:.2f}",
            mend="Keep all bands with 'product: full'.",
        )
    return {"residual": np.where(finite, counts, RESIDUAL_GAP).astype(np.int16)}


@dataclass(frozen=True, eq=False)
class Compact:
    """A compact dataset that can be read by windows and bands; it decodes only what is asked for."""

    give: Give
    """Where its numbers come from."""

    factors: Factors
    """Its spectra and steps."""

    shape: tuple[int, int, int, int]
    """(time, band, y, x) when expanded."""

    shard: int
    """Pixels along one side of a shard."""

    def values(
        self, window: Window, bands: slice | NDArray[np.integer] = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Reflectance of a window, and where it is known.

        Returns
        -------
        values
            (time, band, y, x) float32, gaps 0.
        known
            (time, band or 1, y, x) bool.
        """
        place = window.slices
        counts, carry = (self.give(key, place) for key in ("coefficients", "carry"))
        known = np.asarray(counts[:, :1] != COUNTS.gap)
        maps = counts.astype(np.float32)
        if carry.any():
            maps = (counts + np.multiply(carry, _RANGE, dtype=np.int32)).astype(np.float32)
        maps *= np.float32(self.factors.step)
        values = _product(self.factors.spectra[:, bands], maps)
        values += self.factors.centre[bands, None, None]
        if self.factors.ratio is not None:
            values += self._residual(window, bands)
        limit = np.float32(REFLECTANCE.most * REFLECTANCE.scale)
        np.clip(values, -limit, limit, out=values)
        known = known & ~self._dead(window, bands)
        values *= known
        return values, known

    def sigma(self, window: Window, bands: slice | NDArray[np.integer] = slice(None)) -> NDArray[np.float32]:
        """(time, band, y, x) float32 standard deviation, NaN where it is not known."""
        anchors = self.factors.anchors
        assert anchors is not None
        kept, known = SIGMA.unpack(np.asarray(self.give("sigma_anchors", window.slices), dtype=np.uint16))
        values = np.maximum(_product(anchors.table[:, bands], kept), 0.0)
        return np.where(known[:, :1] & ~self._dead(window, bands), values, np.float32(np.nan))

    def _residual(self, window: Window, bands: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        """(time, band, y, x) interpolated from what lies about the window."""
        ratio = self.factors.ratio
        assert ratio is not None
        assert self.factors.residual_step is not None
        whole = self.shape[2] // ratio, self.shape[3] // ratio
        spans = [
            needed(span, ratio, size) for span, size in zip((window.rows, window.cols), whole, strict=True)
        ]
        place = (slice(*window.dates), slice(None), *(slice(*span) for span in spans))
        counts = self.give("residual", place)[:, bands]
        coarse = np.where(counts == RESIDUAL_GAP, 0, counts) * np.float32(self.factors.residual_step)
        return enlarge(coarse.astype(np.float32), (window.rows, window.cols), ratio, whole)

    def _dead(self, window: Window, bands: slice | NDArray[np.integer]) -> NDArray[np.bool_]:
        """(time, band, y, x) bool of bands without data in their shard; (1, 1, 1, 1) where there are none."""
        place = window.snap(self.shard).coarsen(self.shard)
        dead = np.asarray(self.give("dead", place.slices), dtype=bool)[:, bands]
        if not dead.any():
            return np.zeros((1, 1, 1, 1), dtype=bool)
        rows = np.arange(*window.rows) // self.shard - place.rows[0]
        cols = np.arange(*window.cols) // self.shard - place.cols[0]
        return dead[:, :, rows[:, None], cols]


def _product(table: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(time, band, y, x): Σ_k table_kb · maps_k."""
    time, rank, rows, cols = maps.shape
    flat = table.T @ maps.reshape(time, rank, rows * cols)
    return np.asarray(flat.reshape(time, table.shape[1], rows, cols), dtype=np.float32)
