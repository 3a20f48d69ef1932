"""Matching: what one instrument's bands would read of what another saw.

::

    much narrower bands     weighed by the response of each band          AHSI → WFV
    bands alike             the one with the nearest centre, if near      VNIC → WFV
    the same instrument     the very band
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.finding import known_sensor
from stsfusion.sensing.sensor import Sensor

__all__ = ["Match", "matched"]

_APART = 25.0
"""Nanometres that the centres of two bands alike may differ by."""

_NARROW = 0.5
"""Width of the reference's bands, in parts of the other's, below which they are weighed."""

_TRACE = 0.01
"""Part of a row's largest weight below which a band has no say."""


@dataclass(frozen=True, eq=False)
class Match:
    """The bands that can be compared."""

    bands: tuple[str, ...]
    """(pair,) of the instrument that is looked at."""

    by: tuple[str, ...]
    """(pair,) band of the reference with most weight."""

    weights: NDArray[np.float64]
    """(pair, reference band) rows of unit sum."""


def matched(reference: str, there: Sequence[str], sensor: str, bands: Sequence[str]) -> Match:
    """How the reference's bands stand for another instrument's; bands that are known to be poor are left out.

    Parameters
    ----------
    reference, there
        The reference's instrument and the bands that its image has.
    sensor, bands
        The other's.
    """
    first, second = known_sensor(reference), known_sensor(sensor)
    own = [name for name in bands if name in second.usable]
    usable = [i for i, name in enumerate(there) if name in first.usable]
    names = [there[i] for i in usable]
    if first.name == second.name:
        own = [name for name in own if name in names]
        rows = np.array([[float(one == name) for one in names] for name in own])
    elif names and own and _width(first, names) < _NARROW * _width(second, own):
        own, rows = _weighed(first, names, second, own)
    else:
        own, rows = _nearest(first, names, second, own)
    weights = np.zeros((len(own), len(there)))
    weights[:, usable] = rows.reshape(len(own), len(usable))
    return Match(tuple(own), tuple(there[int(row.argmax())] for row in weights), weights)


def _width(sensor: Sensor, names: Sequence[str]) -> float:
    return float(np.median([band.fwhm for band in sensor.pick(names)]))


def _weighed(
    first: Sensor, names: Sequence[str], second: Sensor, own: Sequence[str]
) -> tuple[list[str], NDArray[np.float64]]:
    """Bands whose whole response the reference samples, and its weights."""
    nm, fwhm = (np.array([getattr(b, key) for b in first.pick(names)]) for key in ("wavelength", "fwhm"))
    response = second.response(own)
    kept = [name for name, seen in zip(own, response.covered(nm, fwhm), strict=True) if seen]
    if not kept:
        return [], np.zeros((0, len(names)))
    rows = response.pick(kept).matrix(nm, fwhm)
    rows = np.where(rows >= _TRACE * rows.max(axis=1, keepdims=True), rows, 0.0)
    return kept, rows / rows.sum(axis=1, keepdims=True)


def _nearest(
    first: Sensor, names: Sequence[str], second: Sensor, own: Sequence[str]
) -> tuple[list[str], NDArray[np.float64]]:
    """Bands that show the same, and which."""
    centres = np.array([band.wavelength for band in first.pick(names)])
    kept, rows = [], []
    for band in second.pick(own):
        apart = np.abs(centres - band.wavelength)
        if apart.size and apart.min() <= _APART:
            kept.append(band.name)
            rows.append(np.eye(len(names))[int(apart.argmin())])
    return kept, np.array(rows)
