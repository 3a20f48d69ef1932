"""Cube frame: where a cube lies, which dates and bands it has, and what it says of itself.

Bands stay in the instrument's order, in which wavelengths need not rise: WFV and VNIC have theirs, and where
the detectors of AHSI overlap, VN72 … VN76 reach beyond SW01. Cubes say so; who needs a spectrum sorts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import INNER, SHARD, CubeSpec
from stsfusion.ingest.choose import Day
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.mosaic import MARKS

__all__ = ["cube_frame"]

_ORDER = "the instrument's: wavelengths do not rise from band to band; sort by wavelength to draw a spectrum"
_DOUBLE = ", or leave out the bands flagged 'overlap', which another detector sees as well"


def cube_frame(
    role: str, days: Sequence[Day], grid: Grid, ratio: int, attributes: Mapping[str, Any]
) -> CubeSpec:
    """The frame of a cube; bands in the instrument's order, labelled as the first delivery says.

    Parameters
    ----------
    grid
        The base grid.
    ratio
        Base pixels along one pixel of this cube.
    attributes
        What it says of itself beside instrument and role.
    """
    said: dict[str, tuple[float, float]] = {}
    for layer in (layer for day in days for scene in day.scenes for layer in scene.layers):
        for name, nm, width in zip(layer.bands, layer.wavelength, layer.fwhm, strict=True):
            said.setdefault(name, (nm, width))
    sensor = known_sensor(days[0].scenes[0].sensor)
    bands = tuple(name for name in sensor.names if name in said)
    inner = max(INNER // ratio, 1)
    flags = {band.name: list(band.flags) for band in sensor.pick(bands) if band.flags}
    centres = tuple(said[name][0] for name in bands)
    return CubeSpec(
        grid.coarsen(ratio),
        tuple(round(day.time.timestamp() * 1000) for day in days),
        bands,
        centres,
        tuple(said[name][1] for name in bands),
        shard=inner * (SHARD // INNER),
        inner=inner,
        attributes={
            "title": sensor.title,
            "role": role,
            "sensor": sensor.name,
            "simulated": False,
            "band_flags": flags,
            **_order(centres, flags),
            **attributes,
        },
        marks=dict(MARKS),
    )


def _order(centres: Sequence[float], flags: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What is said of the order of bands; nothing where wavelengths rise."""
    if all(one < other for one, other in pairwise(centres)):
        return {}
    double = any("overlap" in own for own in flags.values())
    return {"band_order": _ORDER + (_DOUBLE if double else "")}
