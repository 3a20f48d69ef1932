"""Sight: whether an image sees the ground that its metadata tell of; else it is of another product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from stsfusion.ingest.metadata import Facts
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational
from stsfusion.sensing.dateline import middle

__all__ = ["check_place", "check_sight"]

Place = tuple[float, float]
"""Longitude and latitude, degrees."""

_CORNER = 1000.0
"""Metres by which corners by XML and by RPC may differ, …"""

_CORNER_SHARE = 0.02
"""… or this share of the scene's diagonal: XML corners are rounded, and do not know the terrain."""

_METRES = 111_195.0
"""A degree of latitude."""


def check_sight(path: Path, rational: Rational, shape: Sequence[int], facts: Facts, *, strip: bool) -> None:
    """Hold the ground that an image sees by its RPC against the corners in the metadata.

    Parameters
    ----------
    path
        The RPC's file.
    shape
        Rows and columns of the image.
    strip
        Whether the image shows a part of the scene only; then it must come near to the scene's middle.

    Raises
    ------
    DeliveryError
        When they lie apart.
    """
    seen, corners = _seen(rational, shape, path), facts.corners
    diagonal = _apart(corners[0], corners[2])
    if strip:
        far = min(_apart(one, facts.centre) for one in seen) - diagonal
    else:
        far = max(min(_apart(one, other) for other in seen) for one in corners)
    if far > max(_CORNER, _CORNER_SHARE * diagonal):
        raise _elsewhere(path, facts, far)


def check_place(path: Path, seen: Sequence[Place], facts: Facts) -> None:
    """Hold an image that lies on a map against the metadata; a turned scene's box is larger than the scene.

    Parameters
    ----------
    seen
        The image's four corners.

    Raises
    ------
    DeliveryError
        When the two can share no ground.
    """
    corners = facts.corners
    far = _apart(middle(seen), middle(corners))
    if far > (_apart(seen[0], seen[2]) + _apart(corners[0], corners[2])) / 2:
        raise _elsewhere(path, facts, far)


def _elsewhere(path: Path, facts: Facts, far: float) -> DeliveryError:
    return DeliveryError(
        f"file {path}",
        expected=f"the ground that {facts.path.name} tells of",
        got=f"a place {far / 1000:.1f} km off",
        mend="It belongs to another product.",
    )


def _seen(rational: Rational, shape: Sequence[int], path: Path) -> list[Place]:
    """The four corners that the image sees at its middle height."""
    rows, cols = shape[0] - 1, shape[1] - 1
    try:
        lon, lat = rational.ground([0, cols, cols, 0], [0, 0, rows, rows], rational.height_offset)
    except DeliveryError as fault:
        raise DeliveryError(f"file {path}", expected=fault.expected, got=fault.got) from None
    return list(zip(lon.tolist(), lat.tolist(), strict=True))


def _apart(one: Place, other: Place) -> float:
    """Metres between two places that are near to one another."""
    east = ((one[0] - other[0] + 180) % 360 - 180) * math.cos(math.radians((one[1] + other[1]) / 2))
    return _METRES * math.hypot(east, one[1] - other[1])
