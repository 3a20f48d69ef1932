"""Where the sun stands, and whether what the metadata say of it and of the time can be true.

Products disagree on whether times are Beijing's or Greenwich's, and on whether 'SolarZenith' is the zenith or
its complement. The sky decides: of the four readings the one that agrees with astronomy is taken.

Source: The Astronomical Almanac, low-precision formulas (0.01° from 1950 to 2050), as in
Michalsky (1988), doi 10.1016/0038-092X(88)90045-X.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.dateline import middle
from stsfusion.sensing.scene import Scene

__all__ = ["Sun", "check_sun", "distance", "position", "settle"]

_EPOCH = datetime(2000, 1, 1, 12, tzinfo=UTC)
_BEIJING = timedelta(hours=8)
_CLOSE = 1.5
"""Degrees by which a stated zenith may differ from the computed one."""

_CLOSE_AZIMUTH = 6.0
"""Degrees, the same for the azimuth, times the sine of the zenith: on the sky, not on the horizon."""

_ROUND = 1e-3
"""Degrees by which angles in a catalog are rounded."""

_UP = 85.0
"""Zenith beyond which no image is taken, degrees."""


@dataclass(frozen=True)
class Sun:
    """Time and sun of a scene, settled."""

    time: datetime
    """UTC."""

    zenith: float
    """Degrees."""

    azimuth: float
    """Degrees from north by east."""

    notes: tuple[str, ...]
    """How the metadata were read."""


def _orbit(time: datetime) -> tuple[float, float]:
    """Days since the epoch and the mean anomaly, radians."""
    days = (time - _EPOCH) / timedelta(days=1)
    return days, math.radians((357.528 + 0.9856003 * days) % 360)


def distance(time: datetime) -> float:
    """From the Earth to the sun, astronomical units: d = 1.00014 − 0.01671 cos g − 0.00014 cos 2g."""
    _, g = _orbit(time)
    return 1.00014 - 0.01671 * math.cos(g) - 0.00014 * math.cos(2 * g)


def position(time: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Zenith and azimuth (from north by east) of the sun, degrees, without refraction.

    Parameters
    ----------
    time
        UTC, aware of it.
    lon, lat
        Degrees.
    """
    days, g = _orbit(time)
    mean = 280.460 + 0.9856474 * days
    ecliptic = math.radians(mean + 1.915 * math.sin(g) + 0.020 * math.sin(2 * g))
    tilt = math.radians(23.439 - 4e-7 * days)
    right = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    up = math.asin(math.sin(tilt) * math.sin(ecliptic))
    hours = time.hour + time.minute / 60 + (time.second + time.microsecond / 1e6) / 3600
    sidereal = 6.697375 + 0.0657098242 * days + hours
    hour_angle = math.radians((sidereal * 15 + lon) % 360) - right
    here = math.radians(lat)
    height = math.sin(here) * math.sin(up) + math.cos(here) * math.cos(up) * math.cos(hour_angle)
    east = -math.cos(up) * math.sin(hour_angle)
    north = math.sin(up) * math.cos(here) - math.cos(up) * math.sin(here) * math.cos(hour_angle)
    return math.degrees(math.acos(max(-1.0, min(1.0, height)))), math.degrees(math.atan2(east, north)) % 360


def settle(
    where: str, written: datetime, lon: float, lat: float, zenith: float | None, azimuth: float | None
) -> Sun:
    """Time and sun angles from what the metadata say, by the one reading that the sky allows.

    Parameters
    ----------
    where
        The metadata file, for messages.
    written
        The time as written, aware of its zone only if the metadata say one.
    zenith, azimuth
        As written, degrees; None: not there, and computed.

    Raises
    ------
    DeliveryError
        When no reading agrees with the sky, or two do that differ.
    """
    zones = _zones(written)
    sky = {name: (time, *position(time, lon, lat)) for name, time in zones.items()}
    if zenith is None:
        return _computed(where, sky)
    readings = {"zenith": zenith, "elevation": 90 - zenith}
    fits = [
        (zone, reading)
        for zone, (_, true, true_azimuth) in sky.items()
        for reading, angle in readings.items()
        if abs(angle - true) <= _CLOSE and _same_azimuth(azimuth, true_azimuth, true)
    ]
    if len({zone for zone, _ in fits}) != 1:
        raise _refused(where, zenith, azimuth, sky, fits)
    zone = fits[0][0]
    time, true, true_azimuth = sky[zone]
    notes = [] if zone in ("stated", "Beijing") else [f"time taken as {zone}"]
    if len(fits) == 2:
        notes.append("SolarZenith may be zenith or elevation: angles computed")
        return Sun(time, true, true_azimuth, tuple(notes))
    if fits[0][1] == "elevation":
        notes.append("SolarZenith holds the elevation")
    return Sun(time, readings[fits[0][1]], true_azimuth if azimuth is None else azimuth % 360, tuple(notes))


def check_sun(scene: Scene) -> None:
    """Hold what a catalog says of a scene's sun against the sky, as the delivery's own words were held.

    Of reflectance as delivered nothing depends on the sun, and nothing is asked.

    Raises
    ------
    DeliveryError
        When the sun does not stand there at that moment.
    """
    if scene.values == "reflectance":
        return
    zenith, azimuth = position(scene.time, *middle(scene.footprint))
    right = abs(scene.sun_zenith - zenith) <= _CLOSE + _ROUND
    if right and _same_azimuth(scene.sun_azimuth, azimuth, zenith):
        return
    raise DeliveryError(
        f"scene {scene.name}: sun in the catalog",
        expected=f"an elevation of {90 - zenith:.1f}° (azimuth {azimuth:.1f}°) "
        f"at {scene.time:%Y-%m-%d %H:%M} UTC",
        got=f"{90 - scene.sun_zenith:.1f}° (azimuth {scene.sun_azimuth:.1f}°)",
        mend="Build the catalog anew from the deliveries.",
    )


def _zones(written: datetime) -> dict[str, datetime]:
    """The moments that a written time can mean."""
    if written.tzinfo is not None:
        return {"stated": written.astimezone(UTC)}
    plain = written.replace(tzinfo=UTC)
    return {"Beijing": plain - _BEIJING, "UTC": plain}


def _same_azimuth(stated: float | None, true: float, zenith: float) -> bool:
    """Whether two azimuths agree, none said agreeing with all; 0–360 and −180–180 are one."""
    if stated is None:
        return True
    apart = abs((stated - true + 180) % 360 - 180)
    return apart * math.sin(math.radians(zenith)) <= _CLOSE_AZIMUTH


def _computed(where: str, sky: dict[str, tuple[datetime, float, float]]) -> Sun:
    """No angles are stated: the first zone in which the sun is up."""
    for zone, (time, zenith, azimuth) in sky.items():
        if zenith < _UP:
            return Sun(time, zenith, azimuth, (f"no sun angles given: computed for {zone} time",))
    raise DeliveryError(where, expected="a time by day", got="night, whatever the zone")


def _refused(
    where: str,
    zenith: float,
    azimuth: float | None,
    sky: dict[str, tuple[datetime, float, float]],
    fits: list[tuple[str, str]],
) -> DeliveryError:
    true = ", ".join(
        f"{true:.1f}° (azimuth {turn:.1f}°) for {zone} time" for zone, (_, true, turn) in sky.items()
    )
    said = f"SolarZenith {zenith:g}" + ("" if azimuth is None else f", SolarAzimuth {azimuth:g}")
    got = f"{said}, which fits none" if not fits else f"{said}, which fits both"
    return DeliveryError(
        f"{where}: sun",
        expected=f"a zenith of {true}",
        got=got,
        mend="Check that the metadata belong to this scene.",
    )
