"""From stored numbers to reflectance at the top of the atmosphere.

    L = gain · count + offset                     W m⁻² sr⁻¹ µm⁻¹
    ρ = π d² L / (E cos θ)                        d in astronomical units

with E the sunlight that the band sees and θ the sun's zenith: for each band one line, ρ = slope · count +
intercept. Gains come from a file of the user's, the delivery's own files, or the tables published by year,
in this order; which one is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.sun import distance
from stsfusion.records import Record, load
from stsfusion.sensing.scene import Layer, Scene
from stsfusion.sensing.sensor import Band
from stsfusion.sensing.spectra import Curve, gaussian
from stsfusion.sensing.sunlight import irradiance

__all__ = ["Calibration", "GainsFile", "calibration", "read_gains_file"]

Array = NDArray[np.float64]

_SAME = 1e-3
"""Nanometres by which a delivery's centre and width may differ from the sensor's and be the same band."""

_DARKEST = 88.0
"""Zenith of the sun beyond which reflectance means nothing, degrees."""


class GainsFile(Record):
    """Gains of one's own, for products that bring none."""

    sensor: str
    """Name in the catalogs."""

    source: Annotated[str, Field(min_length=1)]
    """Where they come from."""

    unit: Literal["W m-2 sr-1 um-1"]
    """Of radiance; written out, so that none is guessed."""

    gains: dict[str, Annotated[float, Field(gt=0)]]
    """Radiance per count by band."""

    offsets: dict[str, float] = {}
    """Radiance at count zero by band; a band not named has none."""

    years: tuple[int, ...] | None = None
    """Years of acquisition they hold for; None: any."""


@dataclass(frozen=True)
class _Gains:
    """Gains of one image, and where they are from."""

    gain: Array
    offset: Array
    source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """How the numbers of one image become reflectance."""

    slope: Array
    """(band,) reflectance per stored number."""

    intercept: Array
    """(band,) reflectance at zero."""

    light: Array
    """(band,) radiance of a white surface, E cos θ / (π d²), W m⁻² sr⁻¹ µm⁻¹; NaN where none was needed."""

    source: str
    """Where the gains are from."""

    notes: tuple[str, ...]
    """What was odd about them."""

    def reflectance(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """(band, …) stored numbers to (band, …) reflectance; fill and saturation are the mask's business."""
        shape = (-1, *(1,) * (stored.ndim - 1))
        return np.asarray(
            stored * self.slope.reshape(shape) + self.intercept.reshape(shape), dtype=np.float32
        )

    def radiance(self, stored: NDArray[Any]) -> Array:
        """(band, …) stored numbers to (band, …) W m⁻² sr⁻¹ µm⁻¹."""
        shape = (-1, *(1,) * (stored.ndim - 1))
        light = self.light.reshape(shape)
        return np.asarray((stored * self.slope.reshape(shape) + self.intercept.reshape(shape)) * light)


def read_gains_file(path: Path) -> GainsFile:
    """Read a file of gains; every fault names the file and the line."""
    return load(path, GainsFile, error=DeliveryError)


def calibration(scene: Scene, layer: Layer, own: GainsFile | None = None) -> Calibration:
    """How one image of a scene becomes reflectance.

    Parameters
    ----------
    own
        Gains of the user's, which come before all others.

    Raises
    ------
    DeliveryError
        When there are no gains for its sensor, bands or year, or the sun is too low.
    """
    size = len(layer.bands)
    stated = np.array(layer.gain or (scene.scale,) * size), np.array(layer.offset or (0.0,) * size)
    if scene.values == "reflectance":
        return Calibration(*stated, np.full(size, np.nan), "reflectance as delivered", ())
    light = _light(scene, layer)
    if scene.values == "radiance":
        gains = _Gains(*stated, "radiance as delivered")
    else:
        gains = _gains(scene, layer, own)
    return Calibration(gains.gain / light, gains.offset / light, light, gains.source, gains.notes)


def _light(scene: Scene, layer: Layer) -> Array:
    """(band,) E cos θ / (π d²)."""
    if scene.sun_zenith > _DARKEST:
        raise DeliveryError(
            f"scene {scene.name}",
            expected=f"the sun above {90 - _DARKEST:g}°",
            got=f"{90 - scene.sun_zenith:.1f}°",
        )
    bands = known_sensor(scene.sensor).pick(layer.bands)
    curves = [
        _curve(band, *own)
        for band, own in zip(bands, zip(layer.wavelength, layer.fwhm, strict=True), strict=True)
    ]
    sun = math.cos(math.radians(scene.sun_zenith)) / (math.pi * distance(scene.time) ** 2)
    return np.array([irradiance(curve) for curve in curves]) * sun


def _curve(band: Band, centre: float, width: float) -> Curve:
    """The sensor's response, or a Gaussian where the delivery says that the band is another."""
    same = abs(band.wavelength - centre) < _SAME and abs(band.fwhm - width) < _SAME
    return band.curve if same else gaussian(centre, width)


def _gains(scene: Scene, layer: Layer, own: GainsFile | None) -> _Gains:
    if own is not None:
        return _own(scene, layer, own)
    if layer.gain:
        file = scene.file("gains", layer.name)
        return _Gains(
            np.array(layer.gain), np.array(layer.offset), f"delivery's {file.path if file else 'own gains'}"
        )
    return _published(scene, layer)


def _own(scene: Scene, layer: Layer, own: GainsFile) -> _Gains:
    """The user's gains, when they are of this sensor, these bands and this year."""
    absent = [name for name in layer.bands if name not in own.gains]
    names = known_sensor(scene.sensor).names
    strange = [name for name in dict.fromkeys((*own.gains, *own.offsets)) if name not in names]
    faults = (
        (own.sensor != scene.sensor, f"gains of {scene.sensor}", f"gains of {own.sensor}"),
        (bool(strange), f"bands of {scene.sensor}: {', '.join(names)}", ", ".join(map(repr, strange[:5]))),
        (bool(absent), f"gains of all bands of {scene.sensor}", f"none of {', '.join(absent[:5])}"),
        (
            own.years is not None and scene.time.year not in own.years,
            f"gains of {scene.time.year}",
            f"of {own.years}",
        ),
    )
    for wrong, expected, got in faults:
        if wrong:
            raise DeliveryError(
                f"scene {scene.name}: ingest.gains", expected=expected, got=got, mend=_say(scene, layer)
            )
    notes = ("the delivery's own gains were set aside",) if layer.gain else ()
    return _Gains(
        np.array([own.gains[name] for name in layer.bands]),
        np.array([own.offsets.get(name, 0.0) for name in layer.bands]),
        f"ingest.gains: {own.source}",
        notes,
    )


def _say(scene: Scene, layer: Layer) -> str:
    """How to give gains of one's own."""
    table = ", ".join(f"{band}: …" for band in layer.bands)
    return (
        f"Say --set ingest.gains.{scene.sensor}=FILE. The file is YAML and holds four entries: "
        f"`sensor: {scene.sensor}`; `source:` where the gains come from; `unit: W m-2 sr-1 um-1`; and "
        f"`gains: {{{table}}}`, the radiance of one count in each band, as the provider states it. To do "
        "without this instrument, say --set roles.ROLE=null for its role and take a method that needs it not."
    )


def _published(scene: Scene, layer: Layer) -> _Gains:
    """The table of the year of acquisition, or of the last year before it that has one."""
    sensor = known_sensor(scene.sensor)
    tables = sensor.package.published if sensor.package else None
    year = scene.time.year
    known = sorted(int(one) for one in tables.years) if tables else []
    usable = [one for one in known if one <= year]
    if tables is None or not usable:
        got = (
            f"tables of {known[0]} and later" if known else "neither gains in the delivery nor a public table"
        )
        raise DeliveryError(
            f"scene {scene.name}",
            expected=f"gains of {scene.sensor} for {year}",
            got=got,
            mend=_say(scene, layer),
        )
    row = dict(zip(sensor.names, tables.years[str(usable[-1])], strict=True))
    notes = () if usable[-1] == year else (f"no gains are public for {year}: those of {usable[-1]} are used",)
    gain = np.array([row[name] for name in layer.bands])
    return _Gains(
        gain, np.zeros(len(gain)), f"published for {usable[-1]}: {' '.join(tables.source.split())}", notes
    )
