"""SpectralResponse: how an instrument's bands weigh the light, and what that means for a sampled spectrum.

The spectrum s between its samples (a target's bands) is read as straight lines, and a band of the instrument
sees y = ∫ R(λ) s(λ) dλ / ∫ R(λ) dλ. With φ_j the hat function of sample j this is a row of weights

    w_j = ∫ R(λ) φ_j(λ) dλ / Σ_j ∫ R(λ) φ_j(λ) dλ

::

    R         ____▔▔▔▔▔▔▔▔▔▔▔▔▔____
    samples    |   |   |  ||   |           |        any spacing; detectors may overlap
    sampled  [=====================]     [===]      a gap in the wavelengths stays a gap
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stsfusion.errors import SensorError

__all__ = ["COVERED", "Curve", "SpectralResponse", "box", "gaussian", "table"]

Array = NDArray[np.float64]

COVERED = 0.8
"""Share of a response's energy that must fall where the wavelengths sample the spectrum."""

_NEIGHBOURS = 4
_GAUSS = 0.5 / np.sqrt(3.0)


@dataclass(frozen=True, eq=False)
class Curve:
    """One band's response: straight lines between its nodes, nothing outside them."""

    nm: Array
    """(node,) wavelengths, nm, rising."""

    value: Array
    """(node,) relative response, never below zero."""

    def __post_init__(self) -> None:
        if len(self.nm) < 2 or np.any(np.diff(self.nm) <= 0) or not np.isfinite(self.nm).all():
            raise SensorError("response", expected="two or more rising wavelengths", got=f"{len(self.nm)}")
        if not np.isfinite(self.value).all() or np.any(self.value < 0) or not self.area > 0:
            raise SensorError("response", expected="finite values, none below zero, not all zero")

    @property
    def area(self) -> float:
        """∫ R dλ, nm."""
        return float(np.trapezoid(self.value, self.nm))

    @property
    def centroid(self) -> float:
        """∫ R λ dλ / ∫ R dλ, nm, exact for straight lines."""
        a, b, u, v = self.nm[:-1], self.nm[1:], self.value[:-1], self.value[1:]
        moment = (b - a) * (a * (2 * u + v) + b * (u + 2 * v)) / 6
        return float(moment.sum() / self.area)

    def at(self, nm: Array) -> Array:
        """The response at these wavelengths."""
        return np.interp(nm, self.nm, self.value, left=0.0, right=0.0)


def box(low: float, high: float) -> Curve:
    """One from `low` to `high` nm, nothing outside."""
    return Curve(np.array([low, high], dtype=float), np.ones(2))


def gaussian(centre: float, fwhm: float) -> Curve:
    """R = 2^(−(2 (λ − centre) / fwhm)²) on 129 nodes over two widths either side."""
    steps = np.linspace(-2.0, 2.0, 129)
    return Curve(centre + fwhm * steps, np.exp2(-((2.0 * steps) ** 2)))


def table(nm: ArrayLike, value: ArrayLike) -> Curve:
    """A measured response; values below zero are measuring noise and count as zero."""
    return Curve(np.asarray(nm, dtype=float), np.maximum(np.asarray(value, dtype=float), 0.0))


@dataclass(frozen=True, eq=False)
class SpectralResponse:
    """The responses of some bands of an instrument."""

    names: tuple[str, ...]
    """(band,) the bands' names."""

    curves: tuple[Curve, ...]
    """(band,) their responses."""

    def matrix(self, nm: ArrayLike, fwhm: ArrayLike | None = None) -> Array:
        """The weights that turn a spectrum on these wavelengths into what the bands see.

        Parameters
        ----------
        nm
            (sample,) wavelengths of the spectrum's bands, nm, distinct, in any order.
        fwhm
            (sample,) their widths, nm; None: as wide as the spacing around them. Widths only say how far
            from its centre a sample still speaks for the spectrum.

        Returns
        -------
        (band, sample) float64, no weight below zero, rows of unit sum.

        Raises
        ------
        SensorError
            When a band's response lies where nothing is sampled, naming the band.
        """
        samples = _Samples.of(nm, fwhm)
        missing = [
            f"{name} ({curve.nm[0]:.0f}–{curve.nm[-1]:.0f} nm)"
            for name, curve in zip(self.names, self.curves, strict=True)
            if _share(curve, samples) < COVERED
        ]
        if missing:
            raise SensorError(
                f"bands {', '.join(missing)}",
                expected=f"wavelengths that cover {COVERED:.0%} of each response",
                got=f"{samples.nm[0]:.0f}–{samples.nm[-1]:.0f} nm with their gaps",
                mend="Leave these bands out, or give a spectrum that reaches them.",
            )
        rows = np.stack([_integrate(curve, samples) for curve in self.curves])
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    def covered(self, nm: ArrayLike, fwhm: ArrayLike | None = None) -> NDArray[np.bool_]:
        """Whether each band can be made from a spectrum on these wavelengths.

        A wavelength is sampled when it lies within one width, or one local spacing if that is larger, of a
        sample: one missing sample is bridged, two are a gap. A band is covered when at least `COVERED` of its
        energy is sampled. Parameters as in `matrix`.

        Returns
        -------
        (band,) bool.
        """
        samples = _Samples.of(nm, fwhm)
        return np.array([_share(curve, samples) >= COVERED for curve in self.curves])

    def pick(self, names: Sequence[str]) -> SpectralResponse:
        """Some of the bands, in the order asked for.

        Raises
        ------
        SensorError
            For a band that is not there.
        """
        known = dict(zip(self.names, self.curves, strict=True))
        if unknown := [name for name in names if name not in known]:
            raise SensorError(
                "response", expected=f"bands of {', '.join(self.names)}", got=", ".join(unknown)
            )
        return SpectralResponse(tuple(names), tuple(known[name] for name in names))


@dataclass(frozen=True, eq=False)
class _Samples:
    """The wavelengths of a spectrum in rising order, with the ground they speak for."""

    nm: Array
    order: NDArray[np.intp]
    spans: Array
    """(span, 2) disjoint rising intervals, nm, in which the spectrum is known."""

    @classmethod
    def of(cls, nm: ArrayLike, fwhm: ArrayLike | None) -> _Samples:
        wavelengths = np.asarray(nm, dtype=float)
        if wavelengths.ndim != 1 or not len(wavelengths) or not np.isfinite(wavelengths).all():
            raise SensorError("wavelengths", expected="one or more finite numbers, nm", got=f"{nm!r:.80}")
        order = np.argsort(wavelengths)
        rising = wavelengths[order]
        if np.any(np.diff(rising) == 0):
            double = rising[1:][np.diff(rising) == 0][0]
            raise SensorError("wavelengths", expected="each once, nm", got=f"{double:g} nm twice")
        widths = np.zeros_like(rising) if fwhm is None else np.broadcast_to(fwhm, rising.shape)[order]
        if not np.isfinite(widths).all() or np.any(widths < 0):
            raise SensorError("wavelengths", expected="finite widths, nm, none below zero", got="others")
        reach = np.maximum(widths, _spacing(rising))
        return cls(rising, order, _merge(rising - reach, rising + reach))

    def known(self, nm: Array) -> NDArray[np.bool_]:
        """Whether the spectrum is sampled at these wavelengths."""
        at = np.searchsorted(self.spans[:, 0], nm, side="right") - 1
        return np.asarray((at >= 0) & (nm <= self.spans[np.maximum(at, 0), 1]))


def _spacing(rising: Array) -> Array:
    """The usual step around each sample: the upper quartile of its neighbours, which a lone gap cannot be."""
    if len(rising) == 1:
        return np.ones(1)
    steps = np.diff(rising)
    around = [steps[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS] for at in range(len(rising))]
    return np.array([np.quantile(near, 0.75, method="lower") for near in around])


def _merge(low: Array, high: Array) -> Array:
    """Disjoint rising intervals that cover the same ground."""
    spans: list[list[float]] = []
    for start, stop in sorted(zip(low, high, strict=True)):
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], stop)
        else:
            spans.append([start, stop])
    return np.array(spans)


def _cells(curve: Curve, samples: _Samples) -> tuple[Array, Array]:
    """Middles and widths, nm, of cells inside which response, spectrum and sampled ground change nothing."""
    inner = np.concatenate([samples.nm, samples.spans.ravel()])
    mesh = np.union1d(curve.nm, inner[(inner > curve.nm[0]) & (inner < curve.nm[-1])])
    return (mesh[1:] + mesh[:-1]) / 2, np.diff(mesh)


def _share(curve: Curve, samples: _Samples) -> float:
    """The part of a response's energy that is sampled."""
    middle, width = _cells(curve, samples)
    return float((curve.at(middle) * width)[samples.known(middle)].sum() / curve.area)


def _integrate(curve: Curve, samples: _Samples) -> Array:
    """∫ R φ_j dλ in the samples' own order; two Gauss points a cell are exact for a product of lines.

    A gap is crossed on a straight line; beyond the ends of what is sampled nothing counts.
    """
    middle, width = _cells(curve, samples)
    inside = (middle > samples.spans[0, 0]) & (middle < samples.spans[-1, 1])
    total = np.zeros(len(samples.nm))
    for side in (-_GAUSS, _GAUSS):
        point = middle + side * width
        area = np.where(inside, curve.at(point) * width / 2, 0.0)
        place = np.interp(point, samples.nm, np.arange(len(samples.nm)))
        left = place.astype(int)
        np.add.at(total, left, area * (left + 1 - place))
        np.add.at(total, np.minimum(left + 1, len(samples.nm) - 1), area * (place - left))
    result = np.empty_like(total)
    result[samples.order] = total
    return result
