"""Scaling: what the stored numbers of a user's image are multiplied by and moved by, said once or alike.

::

    note, STAC item         scale, offset       one for all bands, or one a band
    GeoTIFF                 its own tags        a scale and an offset a band
    ENVI                    'reflectance scale factor'; gains and offsets of 'data' are refused
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stsfusion.ingest.envi import EnviHeader
from stsfusion.ingest.note import Note
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["Scaling", "of_header", "scaling"]

_ALIKE = 1e-6
"""Relative difference of two numbers that are one."""

_MEND = "Say it in one place only, or alike in both."

_COLUMNS = {"data gain values": 1.0, "data offset values": 0.0}
"""Entries of ENVI headers by which numbers of any unit are meant, and what changes nothing."""


@dataclass(frozen=True)
class Scaling:
    """How the numbers of one image become what they mean."""

    scale: float
    """What all of them are multiplied by; 1 where each band has its own."""

    gain: tuple[float, ...] = ()
    """(band,) what each band is multiplied by; empty where one scale is enough."""

    offset: tuple[float, ...] = ()
    """(band,) what is added then."""


def scaling(note: Note, where: Path, said: tuple[Path, Sequence[float], Sequence[float]]) -> Scaling:
    """The one scaling that the note and the file agree on.

    Parameters
    ----------
    where
        The note, for messages.
    said
        The image's file, and what it says itself of each band: scales and offsets, (band,) each.

    Raises
    ------
    DeliveryError
        When they contradict each other, or scale what is counts, or by what is no number above zero.
    """
    path, scales, offsets = said
    for value in scales:
        if not (math.isfinite(value) and value > 0):
            raise DeliveryError(f"file {path}: scale", expected="a number above zero", got=f"{value:g}")
    for value in offsets:
        if not math.isfinite(value):
            raise DeliveryError(f"file {path}: offset", expected="a number", got=f"{value:g}")
    gain = _agreed("scale", note.scale, where, path, scales, 1.0)
    offset = _agreed("offset", note.offset, where, path, offsets, 0.0)
    plain = not any(offset) and all(value == gain[0] for value in gain)
    if note.values == "counts" and not (plain and gain[0] == 1.0):
        raise DeliveryError(
            f"file {path}",
            expected="counts as they were stored",
            got="a scale or an offset of them",
            mend="Gains turn counts into radiance: name them in ingest.gains, or say what the numbers are.",
        )
    return Scaling(gain[0]) if plain else Scaling(1.0, gain, offset)


def _agreed(
    word: str,
    noted: float | tuple[float, ...] | None,
    where: Path,
    path: Path,
    own: Sequence[float],
    idle: float,
) -> tuple[float, ...]:
    """(band,) what the note says, or the file."""
    if noted is None:
        return tuple(own)
    said = noted if isinstance(noted, tuple) else (noted,) * len(own)
    if len(said) != len(own):
        raise DeliveryError(f"file {where}: {word}", expected=f"{len(own)} of them", got=f"{len(said)}")
    idles = all(value == idle for value in own)
    if not idles and not all(math.isclose(a, b, rel_tol=_ALIKE) for a, b in zip(said, own, strict=True)):
        raise DeliveryError(
            f"file {where}: {word}",
            expected=f"{own[0]:g}, as {path.name} says itself",
            got=f"{said[0]:g}",
            mend=_MEND,
        )
    return tuple(said)


def of_header(head: EnviHeader, values: str) -> tuple[Path, Sequence[float], Sequence[float]]:
    """What an ENVI header says of each band.

    Raises
    ------
    DeliveryError
        When it names gains or offsets of the data: whether they are applied already is not said.
    """
    for name, idle in _COLUMNS.items():
        words = head.texts.get(name, "").replace(",", " ").split()
        if any(_number(word) != idle for word in words):
            raise DeliveryError(
                f"file {head.path}: {name}",
                expected=f"none, or {idle:g} for each band",
                got=", ".join(words[:5]),
                mend="Apply them to the numbers and take the entry away; or take it away where it is done.",
            )
    scale = head.scale if head.scale is not None and values == "reflectance" else 1.0
    return head.path, (scale,) * head.shape[0], (0.0,) * head.shape[0]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
