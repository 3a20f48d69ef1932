"""Normalise: bring one image's radiometry to a reference's, by pixels that did not change between the two.

Which those are is decided by iteratively reweighted multivariate alteration detection: canonical variates
of both images are subtracted; the sum of the squared differences, each over its variance, is χ² with as
many degrees of freedom as there are variates where nothing changed; and each pixel weighs by the chance
of a larger value. The variances are taken from medians over all pixels: taken from the weighted ones they
would shrink from round to round, until nearly nothing is left. Through the pixels that stay a line is
laid in each band that takes errors on both sides (orthogonal regression).

Source: Nielsen (2007), doi 10.1109/TIP.2006.888195; Canty & Nielsen (2008), doi 10.1016/j.rse.2007.07.013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Line", "chance_above", "normalise", "unchanged"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Status = Literal["good", "too few pixels", "absurd slope", "poor fit"]

_ROUNDS = 50
_STILL = 1e-4
"""Rounds of reweighting at most, and the change of the canonical correlations at which they end."""

_DEVIATION = 1.4826
"""Standard deviation of a normal distribution in its median distances from the middle."""

_SURE = 0.5
"""Chance of a larger difference above which a pixel counts as unchanged."""

_LEAST = 500
"""Pixels that a line is laid through at least."""

_SLOPES = (0.5, 2.0)
"""Slopes that two calibrated images can differ by."""

_FIT = 0.5
"""R² under which a line says nothing."""

_VARIATES = 10
"""Bands that decide on change at most; more would only be each other's neighbours."""

_RIDGE = 1e-9
"""Part of a band's variance that is added to it, so that equal bands do no harm."""


@dataclass(frozen=True)
class Line:
    """reference = slope · image + offset for one band."""

    slope: float
    """Reflectance per reflectance; 1 when refused."""

    offset: float
    """Reflectance; 0 when refused."""

    r2: float
    """Squared correlation over the unchanged pixels."""

    count: int
    """Unchanged pixels."""

    status: Status
    """'good', or why the band is left as it is."""

    found: tuple[float, float] | None = None
    """Slope and offset that were measured, refused or not; None where none could be."""


def normalise(reference: Array, image: Array, valid: Mask) -> tuple[Line, ...]:
    """Lines that bring an image to a reference, one a band.

    Parameters
    ----------
    reference, image
        (band, pixel) the same bands and places.
    valid
        (pixel,) seen by both in all bands, and neither cloud nor shadow.
    """
    still = unchanged(reference, image, valid)
    return tuple(_line(one[still], other[still]) for one, other in zip(reference, image, strict=True))


def unchanged(reference: Array, image: Array, valid: Mask) -> Mask:
    """(pixel,) what did not change between the two; nothing where there is too little to tell."""
    bands = np.unique(np.linspace(0, len(reference) - 1, _VARIATES).round().astype(int))
    first, second = reference[bands][:, valid], image[bands][:, valid]
    found = np.zeros(valid.shape, dtype=bool)
    if first.shape[1] < _LEAST or _flat(first) or _flat(second):
        return found
    weights = np.ones(first.shape[1])
    before = np.zeros(len(bands))
    for _ in range(_ROUNDS):
        correlations, squares = _alteration(first, second, weights)
        weights = chance_above(squares, len(bands))
        if weights.sum() < len(bands) + 2 or np.abs(correlations - before).max() < _STILL:
            break
        before = correlations
    found[valid] = weights > _SURE
    return found


def _flat(values: Array) -> bool:
    """Whether a band is one number."""
    return bool((values.std(axis=1) <= 1e-9 * np.abs(values).max(axis=1)).any())


def _alteration(first: Array, second: Array, weights: Array) -> tuple[Array, Array]:
    """(variate,) canonical correlations, and (pixel,) sums of squared differences over their variances."""
    first, second = (_centred(one, weights) for one in (first, second))
    total = weights.sum()
    own, other = ((one * weights) @ one.T / total for one in (first, second))
    cross = (first * weights) @ second.T / total
    a, b = (np.linalg.cholesky(one + _RIDGE * np.diag(np.diag(one))) for one in (own, other))
    left, correlations, right = np.linalg.svd(np.linalg.solve(a, np.linalg.solve(b, cross.T).T))
    differences = left.T @ np.linalg.solve(a, first) - right @ np.linalg.solve(b, second)
    spread = np.maximum((_DEVIATION * np.median(np.abs(differences), axis=1)) ** 2, 1e-24)
    return correlations, np.asarray((differences**2 / spread[:, None]).sum(axis=0))


def _centred(values: Array, weights: Array) -> Array:
    return np.asarray(values - (values @ weights / weights.sum())[:, None])


def chance_above(value: Array, freedom: int) -> Array:
    """P(χ² > value) with so many degrees of freedom, by its finite sum.

    For even n it is e^(−v/2) Σ (v/2)^i / i!, i < n/2; for odd n erfc(√(v/2)) and the like with halves.
    """
    half = np.maximum(np.asarray(value, dtype=float), 0.0) / 2
    if freedom % 2:
        total = np.array([math.erfc(math.sqrt(one)) for one in half.ravel()]).reshape(half.shape)
        power, starts = np.sqrt(half) / math.gamma(1.5), [i - 0.5 for i in range(1, (freedom + 1) // 2)]
    else:
        total, power, starts = (
            np.zeros_like(half),
            np.ones_like(half),
            [float(i) for i in range(freedom // 2)],
        )
    fading = np.exp(-half)
    for start in starts:
        total = total + fading * power
        power = power * half / (start + 1)
    return np.asarray(np.clip(total, 0.0, 1.0))


def _line(reference: Array, image: Array) -> Line:
    """The line with the least squared distances from the pixels, or why there is none."""
    count = int(reference.size)
    if count < _LEAST:
        return Line(1.0, 0.0, 0.0, count, "too few pixels")
    (spread, shared), (_, other) = np.cov(image, reference)
    r2 = float(shared**2 / max(1e-30, spread * other))
    if r2 < _FIT or shared <= 0:
        return Line(1.0, 0.0, r2, count, "poor fit")
    slope = float((other - spread + math.hypot(other - spread, 2 * shared)) / (2 * shared))
    offset = float(reference.mean() - slope * image.mean())
    if not _SLOPES[0] <= slope <= _SLOPES[1]:
        return Line(1.0, 0.0, r2, count, "absurd slope", (slope, offset))
    return Line(slope, offset, r2, count, "good", (slope, offset))
