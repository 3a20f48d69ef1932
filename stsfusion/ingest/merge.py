"""Merge: an instrument of two detectors as one, by what both saw in the middle of the scene.

The second detector is moved and dimmed until it agrees with the first in their overlap; what is too little to
be told from nothing is left, and what no two calibrated detectors can differ by is told, and left, too.
Strips lie where their RPCs say; that two of them lie apart, or show different things, is told.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

from stsfusion.cube.grid import Grid
from stsfusion.ingest.detectors import Seam, seam
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.strips import Joint, joints
from stsfusion.ingest.view import View
from stsfusion.window import Interval

__all__ = ["merged"]

_SIDE = 144
"""Pixels along one side of what is compared."""

_SHIFT = 0.1
"""Offsets below this are not told from none, pixels."""

_RATIO = 0.005
"""Nor are ratios as near to one as this."""

_SUSPICIOUS = 2.0
"""Offset of two detectors beyond which one of them has a wrong RPC, more likely than not; pixels."""

_APART = 1.0
"""The same of two strips, which are not moved."""


def merged(view: View, grid: Grid) -> tuple[View, dict[str, Any]]:
    """The scene with its second detector put right, and what was found; as it was where there is but one.

    What is suspicious is among the scene's notes then, and the user is warned of it.

    Parameters
    ----------
    grid
        Of the scene's cube.
    """
    if view.strips:
        found = joints(view, grid)
        return _noted(view, [words for one in found for words in _apart(one)]), {}
    second = _second(view)
    rows, cols = (_middle(span) for span in pixels_of(view.scene, grid))
    if second is None or min(rows[1] - rows[0], cols[1] - cols[0]) < 1:
        return view, {}
    part = view.tile(grid, rows, cols)
    fit = seam(part.reflectance, part.valid, view.bands, known_sensor(view.scene.sensor))
    shift = fit.shift
    moved = shift.status == "good" and shift.length >= _SHIFT
    dimmed = fit.status == "good" and abs(fit.ratio - 1) >= _RATIO
    told = {**_words(fit), "detector": second, "moved": moved, "dimmed": dimmed}
    view = view.corrected(
        east=shift.right * grid.pixel if moved else 0.0,
        north=-shift.down * grid.pixel if moved else 0.0,
        gain=fit.ratio if dimmed else 1.0,
        layer=second,
    )
    suspicious = shift.status != "nothing to compare" and shift.length > _SUSPICIOUS
    words = [f"detector {second} lies {shift.length:.1f} pixels off the other: its RPC may be another's"]
    return _noted(view, words if suspicious else []), {"detectors": told}


def _apart(joint: Joint) -> list[str]:
    """What is suspicious of two strips; nothing where they fit, or nothing can be said."""
    off = math.hypot(joint.down, joint.right)
    both = " and ".join(joint.names)
    if joint.alike and off > _APART:
        return [f"strips {both} lie {off:.1f} pixels apart in their overlap: an RPC may be another's"]
    if joint.windows and not joint.alike:
        return [f"strips {both} do not show the same in their overlap: an image or an RPC may be another's"]
    return []


def _noted(view: View, notes: list[str]) -> View:
    """The scene with more notes, of which the user is warned."""
    for words in notes:
        warnings.warn(f"scene {view.scene.name}: {words}", UserWarning, stacklevel=2)
    return replace(view, scene=replace(view.scene, notes=(*view.scene.notes, *notes))) if notes else view


def _second(view: View) -> str | None:
    """The image that overlaps the first, whose overlap carries the flag; None where there are not two."""
    flagged = {
        band.name for band in known_sensor(view.scene.sensor).pick(view.bands) if "overlap" in band.flags
    }
    others = [image.layer.name for image in view.images if not flagged & set(image.layer.bands)]
    return others[0] if flagged and len(others) == 1 and len(view.images) == 2 else None


def _middle(span: Interval) -> Interval:
    half = min(_SIDE, span[1] - span[0]) // 2
    centre = (span[0] + span[1]) // 2
    return centre - half, centre + half


def _words(found: Seam) -> dict[str, Any]:
    return {
        "status": found.status, "ratio": round(found.ratio, 5), "spread": round(found.spread, 5),
        "pixels": found.count, "shift": found.shift.status,
        "down": round(found.shift.down, 4), "right": round(found.shift.right, 4),
    }  # fmt: skip
