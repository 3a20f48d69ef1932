"""Anchors: a few bands from which a standard deviation of every band follows.

::

    sigma_b = max(Σ_a weight_ab · sigma_a, 0)

What makes a pixel unsure makes it so in all bands, so that a handful of bands, picked one after the other
where the others tell least, holds nearly all there is to say.

Source: interpolative decomposition by greedy column choice, Golub and Van Loan (2013), sec. 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Anchors"]

_MOST = 16
"""Bands that are kept at most."""

_ENOUGH = 0.01
"""Largest relative error of the sample at which no further band is added."""


@dataclass(frozen=True)
class Anchors:
    """Bands whose standard deviation is kept, and how the others follow."""

    bands: tuple[int, ...]
    """(anchor,) indices."""

    weights: tuple[tuple[float, ...], ...]
    """(anchor, band)."""

    error: float
    """Largest relative error at the pixels from which the weights come."""

    @classmethod
    def learn(cls, sample: NDArray[np.floating]) -> Anchors:
        """Choose bands and weights from (pixel, band) standard deviations, all above zero or nearly so."""
        values = np.asarray(sample, dtype=np.float64)
        typical = np.maximum(values.mean(0), 1e-12)
        left, chosen = values / typical, list[int]()
        while True:
            chosen.append(int((left**2).sum(0).argmax()))
            weights = np.linalg.lstsq(values[:, chosen], values, rcond=None)[0].astype(np.float32)
            off = np.abs(values[:, chosen] @ weights - values)
            error = float((off / np.maximum(values, 1e-3 * typical)).max())
            if error <= _ENOUGH or len(chosen) == min(_MOST, values.shape[1]):
                return cls(tuple(chosen), tuple(map(tuple, weights.tolist())), float(f"{error:.2g}"))
            axis = left[:, chosen[-1]] / np.linalg.norm(left[:, chosen[-1]])
            left = left - np.outer(axis, axis @ left)

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """(anchor, band) the weights."""
        return np.asarray(self.weights, dtype=np.float32)
