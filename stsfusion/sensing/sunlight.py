"""Sunlight above the atmosphere, and what of it each band of an instrument sees."""

from __future__ import annotations

from functools import cache

import numpy as np

from stsfusion import resources
from stsfusion.errors import SensorError
from stsfusion.records import Record, load
from stsfusion.sensing.sensor_file import Numbers, Positive, Text
from stsfusion.sensing.spectra import Curve

__all__ = ["SunlightFile", "irradiance", "sunlight"]

_NAME = "tsis1-hsrs"


class SunlightFile(Record):
    """A solar spectrum on an even grid."""

    title: Text
    """Name in words."""

    source: Text
    """Where the figures come from."""

    start: Positive
    """Wavelength of the first value, nm."""

    step: Positive
    """Distance between values, nm."""

    values: Numbers
    """Irradiance at one astronomical unit, W m⁻² µm⁻¹."""


@cache
def sunlight(name: str = _NAME) -> tuple[str, Curve]:
    """Title and spectrum, W m⁻² µm⁻¹ over nm at one astronomical unit, of a file in catalogs/sun."""
    path = resources.find("catalogs", f"sun/{name}.yaml")
    if path is None:
        raise SensorError(f"sunlight '{name}'", expected="a file in catalogs/sun", got="none")
    file = load(path, SunlightFile, error=SensorError)
    nm = file.start + file.step * np.arange(len(file.values), dtype=np.float64)
    return file.title, Curve(nm, np.asarray(file.values, dtype=np.float64))


def irradiance(response: Curve, name: str = _NAME) -> float:
    """E = ∫ R(λ) E(λ) dλ / ∫ R(λ) dλ, W m⁻² µm⁻¹ at one astronomical unit.

    Raises
    ------
    SensorError
        When the band lies beyond the spectrum.
    """
    title, sun = sunlight(name)
    if response.nm[0] < sun.nm[0] or response.nm[-1] > sun.nm[-1]:
        raise SensorError(
            f"band from {response.nm[0]:.0f} to {response.nm[-1]:.0f} nm",
            expected=f"one within {sun.nm[0]:.0f}–{sun.nm[-1]:.0f} nm, which {title} covers",
        )
    inside = sun.nm[(sun.nm > response.nm[0]) & (sun.nm < response.nm[-1])]
    nm = np.union1d(inside, response.nm)
    weight = response.at(nm)
    return float(np.trapezoid(weight * sun.at(nm), nm) / np.trapezoid(weight, nm))
