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
        step = every(truth.shape[1:])
        sums = _Sums.over(image, truth)
        return cls(
            look=_half(image[list(shown), step, step]),
            rmse=_half(np.sqrt(sums.square / len(truth))[step, step]),
            sam=_half(sums.angle[step, step]),
            mrae=_half(sums.share[step, step]),
            psnr=_half(np.array(sums.psnr)),
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


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is summed over bands, one band in double precision at a time."""

    square: Values
    """(y, x) Σ (x − t)²."""

    angle: Values
    """(y, x) 2 atan2(|u − v|, |u + v|) of the unit spectra u and v, degrees."""

    share: Values
    """(y, x) mean of |x − t| / |t| over bands where t is not zero."""

    psnr: list[float]
    """(band,) dB."""

    @classmethod
    def over(cls, image: Values, truth: Values) -> Self:
        """Both (band, y, x)."""
        own, true = _length(image), _length(truth)
        square, apart, together, share = (np.zeros(truth.shape[1:]) for _ in range(4))
        known, psnr = np.zeros(truth.shape[1:], int), []
        for x, t in zip(image, truth, strict=True):
            x, t = x.astype(float), t.astype(float)
            u, v = x / np.where(own > 0, own, 1), t / np.where(true > 0, true, 1)
            square += (x - t) ** 2
            apart += (u - v) ** 2
            together += (u + v) ** 2
            share += np.where(t != 0, np.abs(x - t) / np.where(t != 0, np.abs(t), 1), 0)
            known += t != 0
            psnr.append(_psnr(x, t))
        angle = np.degrees(2 * np.arctan2(np.sqrt(apart), np.sqrt(together)))
        mean = np.divide(share, known, out=np.full(share.shape, np.nan), where=known > 0)
        return cls(square, np.where(true > 0, angle, np.nan), mean, psnr)


def _length(cube: Values) -> Values:
    """(y, x) root of the sum over bands of the squares."""
    total = np.zeros(cube.shape[1:])
    for band in cube:
        total += band.astype(float) ** 2
    return np.asarray(np.sqrt(total))


def _psnr(x: Values, t: Values) -> float:
    """20 log10(peak / RMSE) of one band."""
    peak = float(t.max())
    if peak <= 0:
        return np.nan
    return float(20 * np.log10(peak / max(float(np.sqrt(((x - t) ** 2).mean())), peak * _SMALLEST)))


def _half(values: Values) -> Values:
    return np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)


def _packed(values: Values) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(values, "<f2").tobytes(), 9))
    return {"shape": list(values.shape), "half": data.decode("ascii")}


def _unpacked(data: Mapping[str, Any]) -> Values:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(data["half"])), "<f2")
    return flat.reshape(data["shape"]).astype(np.float32)
