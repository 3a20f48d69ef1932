"""What every sensor must be: the contract that any catalog file can be held against."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from stsfusion.errors import SensorError
from stsfusion.sensing.sensor import Sensor

__all__ = ["SENSOR_CHECKS", "check_sensor"]

_CENTRE = 1.0
"""Tolerated distance of a response's centroid from the stated centre, nm, …"""
_CENTRE_SHARE = 0.05
"""… or this share of the width, if that is more."""


def check_sensor(sensor: Sensor) -> None:
    """Hold a sensor to the contract.

    Raises
    ------
    SensorError
        With the first thing that is wrong.
    """
    for check in SENSOR_CHECKS:
        for said in check(sensor):
            raise SensorError(f"sensor '{sensor.name}', {check.__name__.removeprefix('_')}", got=said)


def _name(sensor: Sensor) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", sensor.name) or not sensor.title.strip():
        yield f"'{sensor.name}', '{sensor.title}'"


def _sources(sensor: Sensor) -> Iterator[str]:
    for part, text in sensor.sources:
        if len(text.split()) < 2:
            yield f"nothing to find '{part}' by: '{text}'"


def _bands(sensor: Sensor) -> Iterator[str]:
    if not sensor.bands:
        yield "no bands"
    if len(set(sensor.names)) < len(sensor.names):
        yield "two bands of one name"
    if not sensor.usable:
        yield f"no band without the flags {sensor.dropped}"


def _wavelengths(sensor: Sensor) -> Iterator[str]:
    nm = sensor.wavelengths
    if not np.isfinite(nm).all() or np.any(nm < 200) or np.any(nm > 20_000):
        yield "wavelengths that are not nanometres between 200 and 20 000"
    if len(np.unique(nm)) < len(nm):
        yield "two bands at one wavelength"
    if not np.isfinite(sensor.fwhm).all() or np.any(sensor.fwhm <= 0):
        yield "a width that is not above zero"


def _figures(sensor: Sensor) -> Iterator[str]:
    for band in sensor.bands:
        if not 0 < band.pixel < 1e5:
            yield f"a pixel of {band.pixel} m in band {band.name}"
        if band.noise is not None and not 0 < band.noise < 0.1:
            yield f"a noise of {band.noise} reflectance in band {band.name}"
    if not 0 < sensor.optics.mtf < 1:
        yield f"a modulation of {sensor.optics.mtf}"


def _responses(sensor: Sensor) -> Iterator[str]:
    for band in sensor.bands:
        offset = abs(band.curve.centroid - band.wavelength)
        if offset > max(_CENTRE, _CENTRE_SHARE * band.fwhm):
            yield f"band {band.name} centred {offset:.1f} nm from its stated {band.wavelength} nm"
    low = min(band.low for band in sensor.bands)
    high = max(band.high for band in sensor.bands)
    matrix = sensor.response().matrix(np.arange(np.floor(low), np.ceil(high) + 1))
    if np.any(matrix < 0) or not np.allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-12):
        yield "responses with weights below zero, or without unit sum"


SENSOR_CHECKS: tuple[Callable[[Sensor], Iterator[str]], ...] = (
    _name,
    _sources,
    _bands,
    _wavelengths,
    _figures,
    _responses,
)
"""Each yields what is wrong with a sensor."""
