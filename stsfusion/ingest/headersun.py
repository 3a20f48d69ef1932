"""The sun in an ENVI header: its angles, held against the sky as those of products are."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from stsfusion.ingest.envi import EnviHeader
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.sun import Sun, position, settle

__all__ = ["sun_angles", "sun_of"]

_SUN = {"solar zenith": (0.0, 90.0), "solar azimuth": (-180.0, 360.0)}
"""Entries of a header, and the degrees that can stand there."""


def sun_angles(head: EnviHeader) -> tuple[float | None, float | None]:
    """Zenith and azimuth of the sun as the header says them; None where it does not.

    Raises
    ------
    DeliveryError
        For what is no angle, or none that the sun can have by day.
    """
    found: list[float | None] = []
    for name, (low, high) in _SUN.items():
        text = head.texts.get(name)
        try:
            value = None if text is None else float(text)
        except ValueError:
            value = math.nan
        if value is not None and not low <= value <= high:
            raise DeliveryError(
                f"file {head.path}: {name}", expected=f"{low:g} to {high:g} degrees", got=repr(text)[:40]
            )
        found.append(value)
    return found[0], found[1]


def sun_of(
    path: Path,
    written: datetime,
    place: tuple[float, float],
    angles: tuple[float | None, float | None],
    *,
    guessed: bool,
) -> Sun:
    """Time and sun of an image.

    Parameters
    ----------
    path
        The image, for messages.
    written
        When it was taken; without a zone it is UTC, or what the angles fit to.
    place
        Longitude and latitude of its middle.
    guessed
        Whether of the time no more than the day is known: then the sky proves nothing.

    Raises
    ------
    DeliveryError
        When the sun did not stand there.
    """
    zenith, azimuth = angles
    if zenith is not None and not guessed:
        return settle(f"file {path}", written, *place, zenith, azimuth)
    time = written if written.tzinfo else written.replace(tzinfo=UTC)
    high, turn = position(time, *place)
    if zenith is None:
        return Sun(time, high, turn, ("sun angles computed",))
    return Sun(time, zenith, turn if azimuth is None else azimuth % 360, ())
