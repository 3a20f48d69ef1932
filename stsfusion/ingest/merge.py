"""Merge: an instrument of two detectors as one, by what both saw in the middle of the scene.

The second detector is moved and dimmed until it agrees with the first in their overlap; what is too little to
be told from nothing is left, and what no two calibrated detectors can differ by is told, and left, too.
"""

from __future__ import annotations

from typing import Any

from stsfusion.cube.grid import Grid
from stsfusion.ingest.detectors import Seam, seam
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.view import View
from stsfusion.window import Interval

__all__ = ["merged"]

_SIDE = 144
"""Pixels along one side of what is compared."""

_SHIFT = 0.1
"""Offsets below this are not told from none, pixels."""

_RATIO = 0.005
"""Nor are ratios as near to one as this."""


def merged(view: View, grid: Grid) -> tuple[View, dict[str, Any]]:
    """The scene with its second detector put right, and what was found; as it was where there is but one.

    Parameters
    ----------
    grid
        Of the scene's cube.
    """
    second = _second(view)
    rows, cols = (_middle(span) for span in pixels_of(view.scene, grid))
    if second is None or min(rows[1] - rows[0], cols[1] - cols[0]) < 1:
        return view, {}
    part = view.tile(grid, rows, cols)
    found = seam(part.reflectance, part.valid, view.bands, known_sensor(view.scene.sensor))
    shift = found.shift
    moved = shift.status == "good" and shift.length >= _SHIFT
    dimmed = found.status == "good" and abs(found.ratio - 1) >= _RATIO
    told = {**_words(found), "detector": second, "moved": moved, "dimmed": dimmed}
    view = view.corrected(
        east=shift.right * grid.pixel if moved else 0.0,
        north=-shift.down * grid.pixel if moved else 0.0,
        gain=found.ratio if dimmed else 1.0,
        layer=second,
    )
    return view, {"detectors": told}


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
