"""Packing: reflectance to small integers and back, with gaps, and without a wrap or a NaN.

value = raw · scale, raw = clip(round(value / scale)); a gap is one number that no value can take.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stsfusion.errors import StoreError

__all__ = ["REFLECTANCE", "SIGMA", "Packing"]


@dataclass(frozen=True)
class Packing:
    """How one quantity lies in the file."""

    dtype: str
    """Integer type in the file."""

    scale: float
    """What one count is worth."""

    gap: int
    """The count that stands for 'no value'."""

    least: int
    """The smallest count a value may take."""

    most: int
    """The largest."""

    def pack(self, values: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.integer]:
        """Counts of values; what is too small or too large is clipped before the cast, never wrapped.

        Parameters
        ----------
        values
            Any shape, finite wherever valid.
        valid
            Broadcastable to values.

        Raises
        ------
        StoreError
            When a valid value is NaN or infinite.
        """
        if not (np.isfinite(values) | ~np.asarray(valid)).all():
            raise StoreError(
                "values to be written",
                expected="finite numbers wherever valid is True",
                got="NaN or infinity",
                mend="Set valid to False there.",
            )
        counts = np.clip(values, self.least * self.scale, self.most * self.scale, dtype=np.float32)
        counts *= np.float32(1 / self.scale)
        np.rint(counts, out=counts)
        return np.where(valid, counts, np.float32(self.gap)).astype(self.dtype)

    def unpack(self, counts: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(values float32 with gaps as 0, known bool), both in the counts' shape."""
        known = counts != self.gap
        values = np.multiply(counts, np.float32(self.scale), dtype=np.float32)
        values *= known
        return values, known


REFLECTANCE = Packing("int16", 1e-4, gap=-32768, least=-32767, most=32767)
"""Reflectance from −3.2767 to 3.2767 in steps of 0.0001."""

SIGMA = Packing("uint16", 1e-5, gap=65535, least=0, most=65534)
"""Standard deviation from 0 to 0.65534 in steps of 0.00001."""
