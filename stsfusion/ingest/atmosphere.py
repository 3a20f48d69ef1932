"""Atmosphere: the light that never touched the ground, told from the darkest pixels and taken away.

    haze(λ) = min(dark(λ) − 0.01, haze(λ₀) · λ₀ / λ),   at least 0

with λ₀ the shortest wavelength. The darkest pixels of a scene are taken to reflect one part in a hundred;
what they show beyond that is haze. Where the ground has nothing dark, as often beyond the red, haze is held
to what a moderately clear atmosphere scatters there. Transmission is left as it is, so the result is like
surface reflectance, not equal to it. Reflectance that was delivered as such is never touched.

Source: Chavez (1988), doi 10.1016/0034-4257(88)90019-3, for dark objects and the relative scatter; Chavez
(1996), Photogrammetric Engineering & Remote Sensing 62(9), 1025–1036, for the one part in a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.lineage import SURFACE
from stsfusion.ingest.measure import Bench, Found, Series
from stsfusion.ingest.plan import Scale
from stsfusion.ingest.sampled import of_scene, places, sampled

__all__ = ["Haze", "corrected", "haze_of"]

Array = NDArray[np.float64]
Status = Literal["good", "too few pixels", "nothing dark"]

_OBJECT = 0.01
"""Reflectance that the darkest pixels are taken to have."""

_DARKEST = 0.001
"""Part of the pixels that counts as darkest."""

_LEAST = 500
"""Pixels by which the darkest can be told."""

_MOST = 0.25
"""Haze beyond which a scene was not seen to have a dark pixel at all, reflectance."""


@dataclass(frozen=True, eq=False)
class Haze:
    """What the darkest pixels say."""

    dark: Array
    """(band,) their reflectance; NaN where too few pixels are known."""

    haze: Array
    """(band,) what is to be taken away, reflectance; 0 where the status is not good."""

    status: Status
    """'good', or why nothing is taken away."""


def haze_of(values: Array, valid: NDArray[np.bool_], nm: Array) -> Haze:
    """Haze from the darkest pixels.

    Parameters
    ----------
    values, valid
        (band, pixel) reflectance at the top of the atmosphere.
    nm
        (band,) wavelengths.
    """
    dark = np.array([_dark(one[known]) for one, known in zip(values, valid, strict=True)])
    known = np.flatnonzero(np.isfinite(dark))
    none = np.zeros(len(dark))
    if not known.size:
        return Haze(dark, none, "too few pixels")
    first = known[nm[known].argmin()]
    start = max(0.0, dark[first] - _OBJECT)
    if start > _MOST:
        return Haze(dark, none, "nothing dark")
    haze = np.clip(dark - _OBJECT, 0.0, start * nm[first] / nm)
    return Haze(dark, np.where(np.isfinite(haze), haze, 0.0), "good")


def _dark(values: Array) -> float:
    return float(np.quantile(values, _DARKEST)) if values.size >= _LEAST else float("nan")


def corrected(bench: Bench, series: Series, one: Found) -> Found:
    """A scene without haze, as far as it could be told, and what was found; surface reflectance as it is."""
    if one.piece.scene.values == "reflectance":
        return replace(one, told={**one.told, "atmosphere": {"status": "surface reflectance as delivered"}})
    (member,) = bench.readers.members([one.piece])
    windows = places([[one.piece.scene]], series.spec.grid)
    bands = member.view.bands
    nm = np.array([band.wavelength for band in known_sensor(series.sensor).pick(bands)])
    found = Haze(np.full(len(bands), np.nan), np.zeros(len(bands)), "too few pixels")
    if windows:
        image = of_scene(member, series.spec, series.ratio, bench.options.clouds)
        found = haze_of(*sampled([image], windows)[0], nm)
    return _without(one, found, bands)


def _without(one: Found, found: Haze, bands: tuple[str, ...]) -> Found:
    """The scene on its new lines, and the words for its lineage."""
    haze = np.round(found.haze, 6)
    told: dict[str, Any] = {"method": "dark-object", "status": found.status, "bands": {
        band: {"dark": None if np.isnan(dark) else round(float(dark), 5), "haze": float(taken)}
        for band, dark, taken in zip(bands, found.dark, haze, strict=True)
    }}  # fmt: skip
    if found.status != "good":
        return replace(one, told={**one.told, "atmosphere": told})
    scales = [Scale(band, 1.0, -float(taken)) for band, taken in zip(bands, haze, strict=True) if taken]
    steps = [*one.told["steps"], "haze taken away by its darkest pixels"]
    said = {**one.told, "quantity": SURFACE, "steps": steps, "atmosphere": told}
    return Found(replace(one.piece, scales=(*one.piece.scales, *scales)), said)
