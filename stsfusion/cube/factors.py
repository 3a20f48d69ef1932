"""Factors: what a series of low rank has in common at all pixels, and how finely its maps must be kept.

::

    reflectance = mean + Σ_k coefficient_k · basis_k + bicubic(residual)      max_b |basis_kb| = 1

A coefficient is thus in reflectance, too: the most that it adds in any band. A map rounded to `step` errs by
at most step / 2, so that all of them together, and the residual as bicubic interpolation can enlarge its
error, err by no more than half a step of 1e-4 when

    step · max_b Σ_k |basis_kb|  +  gain · residual_step  ≤  1e-4

The sum is shared by the number of maps and of residuals a pixel, which makes the product of all steps, and
with it the number of bits, the least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.anchors import Anchors
from stsfusion.cube.packing import REFLECTANCE
from stsfusion.errors import StoreError

__all__ = ["BOUND", "Factors", "sizes_of"]

BOUND = REFLECTANCE.scale / 2
"""Largest error, reflectance: that of a series whose bands are all kept."""

_SPARE = 0.98
"""Share of the bound that rounding may take; the rest is for arithmetic in float32."""

_GAIN = 1.25**2
"""Largest sum of the sizes of the weights of cubic convolution in two dimensions."""


@dataclass(frozen=True)
class Factors:
    """Spectra of a series of low rank, and the steps of its maps."""

    basis: tuple[tuple[float, ...], ...]
    """(K, band) spectra, the entry of largest size in each 1 or −1; no unit."""

    mean: tuple[float, ...]
    """(band,) reflectance."""

    step: float
    """Reflectance of one count of a coefficient."""

    ratio: int | None = None
    """Pixels along one side of a residual's; None: there is no residual."""

    residual_step: float | None = None
    """Reflectance of one count of the residual."""

    anchors: Anchors | None = None
    """How a standard deviation is kept; None: it is not."""

    @classmethod
    def of(
        cls,
        basis: NDArray[np.floating],
        mean: NDArray[np.floating],
        ratio: int | None = None,
        anchors: Anchors | None = None,
    ) -> Factors:
        """Spectra brought to size one, and the largest steps within the bound.

        Parameters
        ----------
        basis
            (K, band), reflectance per unit of whatever the maps are in.
        mean
            (band,) reflectance.
        ratio
            Of the residual.
        anchors
            Of the standard deviation.

        Raises
        ------
        StoreError
            When shapes do not fit or numbers are not finite.
        """
        if basis.ndim != 2 or mean.shape != basis.shape[1:] or not (np.isfinite(basis).all() and basis.size):
            raise StoreError(
                "factors of a series",
                expected="a basis (K, band) of finite numbers and a mean (band,)",
                got=f"shapes {basis.shape} and {mean.shape}",
            )
        rows = (basis / sizes_of(basis)[:, None]).astype(np.float32)
        step, fine = _steps(rows, ratio)
        plain = tuple(tuple(row) for row in rows.tolist())
        return cls(plain, tuple(mean.astype(np.float32).tolist()), step, ratio, fine, anchors)

    @property
    def rank(self) -> int:
        """K."""
        return len(self.basis)

    @cached_property
    def spectra(self) -> NDArray[np.float32]:
        """(K, band) the basis."""
        return np.asarray(self.basis, dtype=np.float32)

    @cached_property
    def centre(self) -> NDArray[np.float32]:
        """(band,) the mean."""
        return np.asarray(self.mean, dtype=np.float32)

    @property
    def bound(self) -> float:
        """Largest error that rounding to these steps can make in any band, reflectance."""
        maps = np.abs(self.spectra.astype(np.float64)).sum(0).max() * self.step
        return float(maps + _GAIN * (self.residual_step or 0.0)) / 2

    @property
    def gain(self) -> float:
        """How many times fewer values are kept of a pixel than it has bands."""
        bands = len(self.mean)
        return bands / (self.rank + _residuals(bands, self.ratio))


def sizes_of(basis: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K,) by which maps are multiplied when the rows of their basis are brought to size one."""
    most = np.abs(basis.astype(np.float64)).max(axis=1)
    return np.where(most > 0, most, 1.0)


def _steps(rows: NDArray[np.float32], ratio: int | None) -> tuple[float, float | None]:
    """Steps of the maps and of the residual, rounded down to four digits."""
    budget = 2 * BOUND * _SPARE
    rank, bands = rows.shape
    fine = _residuals(bands, ratio)
    largest = max(float(np.abs(rows.astype(np.float64)).sum(0).max()), 1.0)
    step = _rounded_down(budget * rank / (rank + fine) / largest)
    return step, None if ratio is None else _rounded_down(budget * fine / (rank + fine) / _GAIN)


def _residuals(bands: int, ratio: int | None) -> float:
    """Values of the residual a pixel."""
    return 0.0 if ratio is None else bands / ratio**2


def _rounded_down(value: float) -> float:
    """The next number of four digits below: the same on every machine."""
    digits = 3 - math.floor(math.log10(value))
    return math.floor(value * 10**digits) / 10**digits
