"""Scene sections: how delivered scenes become cubes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stsfusion.pipeline.fields import Text
from stsfusion.records import Record

__all__ = ["Area", "Ingest", "Ratios"]


class Area(Record):
    """Which part of the ground is fused; snapped outward to whole coarse pixels."""

    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north in metres, in `crs` or the cubes' own reference system; none: all there is."""

    crs: Text | None = None
    """Of the grid that scenes are laid on, as 'EPSG:32650'; none: their UTM zone. Cubes bring their own."""

    pixel: float | None = Field(default=None, gt=0)
    """Of the base grid that scenes are laid on, m; none: that of the finest instrument."""


class Ratios(Record):
    """Base pixels along one pixel of each role's cube; none: as many as lose no detail."""

    rich: int | None = Field(default=None, ge=1, le=64)
    """Of the hyperspectral cube."""

    sharp: int | None = Field(default=None, ge=1, le=64)
    """Of the cube with the finest pixels."""

    dense: int | None = Field(default=None, ge=1, le=64)
    """Of the cube with every date."""


class Ingest(Record):
    """How delivered scenes become cubes."""

    ratios: Ratios = Ratios()
    """Sizes of pixels."""

    terrain: float | Text | None = None
    """Height of the ground, m above the ellipsoid, or a file of heights; none: as each RPC states it."""

    gains: dict[str, Text] = {}
    """Files of gains of one's own, by instrument, for deliveries that bring none."""

    detectors: bool = True
    """Whether the second detector of an instrument is fitted to the first where both see the same."""

    align: bool = True
    """Whether scenes are moved onto those of 'sharp' by what both show."""

    threshold: float = Field(default=3.0, gt=0)
    """Offset beyond which a scene is not moved, but told of, pixels of its cube."""

    clouds: bool = True
    """Whether simple tests for thick cloud and its shadow make gaps."""

    masks: dict[str, Text] = {}
    """One's own, on a map, by scene, in place of those tests: 0 clear, 1 cloud, 2 shadow, 255 unknown; where
    they are unknown or end, the tests go on."""

    atmosphere: Literal["none", "dark-object"] = "none"
    """dark-object: the haze that the darkest pixels of a scene show is taken away; what was delivered as
    surface reflectance is never touched."""

    normalise: Literal["none", "pif"] = "none"
    """pif: dates and instruments are brought to one brightness by pixels that did not change. It mends gains
    that are off, but takes what changed on all the ground alike, as a season does, for brightness."""

    allow_missing: bool = False
    """Whether to go on without deliveries that are bad, cut short or gone; cubes and report tell of them."""
