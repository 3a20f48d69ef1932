"""Band names: which bands of a sensor an image holds, by what is said of them: names, or wavelengths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.sensor import Sensor

__all__ = ["by_name", "by_wavelength"]

_SHARE = 0.5
"""Share of a band's width by which a wavelength may miss the band's centre."""


def by_wavelength(sensor: Sensor, nm: Sequence[float], where: Path, mend: str = "") -> tuple[str, ...]:
    """The sensor's band for each wavelength, each once.

    Raises
    ------
    DeliveryError
        When a wavelength is that of no band, or of none that is left.
    """
    names: list[str] = []
    for one in nm:
        free = [band for band in sensor.bands if band.name not in names]
        best = min(free, key=lambda band: abs(band.wavelength - one), default=None)
        if best is None or not abs(best.wavelength - one) <= _SHARE * best.fwhm:
            raise DeliveryError(
                f"file {where}: wavelength",
                expected=f"bands of {sensor.name}",
                got=f"{one:g} nm, which is none",
                mend=mend,
            )
        names.append(best.name)
    return tuple(names)


def by_name(sensor: Sensor, names: Sequence[str]) -> tuple[str, ...] | None:
    """The sensor's bands of these names, 'b2' being 'B02'; None where one of them is no band's name."""
    known = {_plain(band): band for band in sensor.names}
    found = [known.get(_plain(name)) for name in names]
    return None if None in found else tuple(name for name in found if name is not None)


def _plain(name: str) -> str:
    return re.sub(r"(?<=\D)0+(?=\d)", "", name.strip().lower())
