"""Detectors: how two of one instrument fit together where they see the same wavelengths.

Both saw the overlap in the same light: their ratio there must be one, and their offset none. What differs is
told, and can be put right on the second detector.

::

    VN  … 1006  1014  1023  1032  1040
    SW    1005         1022        1038  1055 …      VN on straight lines between its centres, read at SW's
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.register import Registration, register
from stsfusion.sensing.sensor import Sensor

__all__ = ["Seam", "seam"]

Status = Literal["good", "too dark", "uneven", "no overlap"]

_DARK = 0.02
"""Reflectance under which a ratio says nothing."""

_LEAST = 200
"""Pixels that a ratio is made of at least."""

_EVEN = (0.8, 1.25)
"""Ratios that two calibrated detectors can differ by."""


@dataclass(frozen=True)
class Seam:
    """What the overlap says."""

    ratio: float
    """Second detector over first, median over pixels; 1 where nothing can be said."""

    spread: float
    """1.4826 times the median distance of single pixels' ratios from it."""

    count: int
    """Pixels."""

    shift: Registration
    """By how much the second lies beside the first, pixels."""

    status: Status
    """'good', or why the ratio is not to be used."""


def seam(
    reflectance: NDArray[np.float32], valid: NDArray[np.bool_], bands: tuple[str, ...], sensor: Sensor
) -> Seam:
    """Compare the detectors of a scene where they overlap.

    Parameters
    ----------
    reflectance, valid
        (band, y, x).
    bands
        (band,) the sensor's names; the first detector's overlap carries the flag 'overlap'.
    """
    chosen = sensor.pick(bands)
    near = [i for i, band in enumerate(chosen) if "overlap" in band.flags]
    nm = np.array([band.wavelength for band in chosen])
    if len(near) < 2:
        return _nothing("no overlap")
    low, high = nm[near].min(), nm[near].max()
    far = [i for i in range(len(chosen)) if i not in near and low <= nm[i] <= high]
    if not far:
        return _nothing("no overlap")
    there = valid[near].all(axis=0) & valid[far].all(axis=0)
    first = np.mean([_between(reflectance[near], nm[near], nm[i]) for i in far], axis=0)
    second = reflectance[far].mean(axis=0, dtype=np.float64)
    shift = register(np.where(there, first, np.nan), np.where(there, second, np.nan))
    bright = there & (first > _DARK) & (second > _DARK)
    if bright.sum() < _LEAST:
        return Seam(1.0, 0.0, int(bright.sum()), shift, "too dark")
    ratios = second[bright] / first[bright]
    middle = float(np.median(ratios))
    spread = 1.4826 * float(np.median(np.abs(ratios - middle)))
    status: Status = "good" if _EVEN[0] <= middle <= _EVEN[1] else "uneven"
    return Seam(middle, spread, int(bright.sum()), shift, status)


def _between(values: NDArray[np.float32], nm: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """(y, x) the spectrum on straight lines between its bands, at one wavelength within them."""
    order = np.argsort(nm)
    above = int(np.clip(np.searchsorted(nm[order], at), 1, len(nm) - 1))
    one, other = order[above - 1], order[above]
    share = (at - nm[one]) / (nm[other] - nm[one])
    return np.asarray((1 - share) * values[one].astype(np.float64) + share * values[other])


def _nothing(status: Status) -> Seam:
    return Seam(1.0, 0.0, 0, Registration(0.0, 0.0, 0.0, "nothing to compare", ()), status)
