"""Plates: what pictures show of one answer, small enough to be kept as JSON: three bands, errors, scores.

::

    answer, truth  (band, y, x) ─► look (3, y, x) · rmse, sam, mrae (y, x) · psnr (band,)
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAPS", "Plates", "every"]

MAPS = ("rmse", "mrae", "sam")
"""The maps, in the order in which they are shown."""

_SIDE = 256
"""Most pixels along one side."""

_LARGEST = 6e4
"""Largest number of half precision, about."""

_SMALLEST = 2.0**-24
"""Share of the peak below which an error counts as rounding, as in `quality.metrics`."""

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Plates:
    """One answer held against the truth."""

    look: Values
    """(3, y, x) the bands of the colour composite, reflectance."""

    rmse: Values
    """(y, x) root mean square error over bands, reflectance."""

    sam: Values
    """(y, x) spectral angle, degrees; NaN where the true spectrum is zero."""

    mrae: Values
    """(y, x) mean over bands of |x − t| / |t|, bands where t is zero left out."""

    psnr: Values
    """(band,) 10 log10(peak² / MSE), dB, of the band's largest true value; NaN where that is not above 0."""

    @classmethod
    def of(cls, image: Values, truth: Values, shown: tuple[int, int, int]) -> Self:
        """Compare an answer with the truth, both (band, y, x); `shown` are the composite's bands."""
        a, t = (np.asarray(values, np.float64) for values in (image, truth))
        apart = a - t
        step = every(a.shape[1:])
        return cls(
            look=_half(a[list(shown)][:, step, step]),
            rmse=_half(np.sqrt((apart**2).mean(0))[step, step]),
            sam=_half(_angles(a, t)[step, step]),
            mrae=_half(_relative(apart, t)[step, step]),
            psnr=_half(_psnr(apart, t)),
        )

    def to_json(self) -> dict[str, Any]:
        """Arrays as compressed text."""
        return {name: _packed(values) for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(**{field.name: _unpacked(data[field.name]) for field in fields(cls)})


def every(size: tuple[int, ...]) -> slice:
    """Every n-th pixel, so that neither side of (y, x) has more than 256."""
    step = max(1, -(-max(size) // _SIDE))
    return slice(step // 2, None, step)


def _angles(a: Values, t: Values) -> Values:
    """2 atan2(|u − v|, |u + v|) of the unit spectra u and v, degrees."""
    long, true = np.sqrt((a**2).sum(0)), np.sqrt((t**2).sum(0))
    u, v = a / np.where(long > 0, long, 1), t / np.where(true > 0, true, 1)
    angle = 2 * np.arctan2(np.sqrt(((u - v) ** 2).sum(0)), np.sqrt(((u + v) ** 2).sum(0)))
    return np.where(true > 0, np.degrees(angle), np.nan)


def _relative(apart: Values, t: Values) -> Values:
    known = t != 0
    share = np.abs(apart) / np.where(known, np.abs(t), 1)
    count = known.sum(0)
    total = np.where(known, share, 0).sum(0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _psnr(apart: Values, t: Values) -> Values:
    peak = t.max((1, 2))
    peak = np.where(peak > 0, peak, np.nan)
    error = np.maximum(np.sqrt((apart**2).mean((1, 2))), peak * _SMALLEST)
    return np.asarray(20 * np.log10(peak / error))


def _half(values: Values) -> Values:
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)


def _packed(values: Values) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(values, "<f2").tobytes(), 9))
    return {"shape": list(values.shape), "half": data.decode("ascii")}


def _unpacked(data: Mapping[str, Any]) -> Values:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(data["half"])), "<f2")
    return flat.reshape(data["shape"]).astype(np.float32)
