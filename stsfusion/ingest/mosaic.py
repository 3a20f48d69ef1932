"""Mosaic: all scenes of one day on some pixels of a cube, without cloud, and what is known of each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.mask import Flag, clouds, mean_of, user_mask
from stsfusion.ingest.raster import Raster
from stsfusion.ingest.shade import NEAR_INFRARED, Shade
from stsfusion.ingest.view import Part, View
from stsfusion.window import Interval

__all__ = ["MARKS", "Member", "cleared", "mosaic", "quality"]

_UP = 3
"""Places by which flags are moved in `qa`, above the number that tells how a pixel came to be."""

_KEPT = (Flag.SATURATED, Flag.PARTIAL, Flag.CLOUD, Flag.SHADOW, Flag.DEAD)
MARKS: Mapping[str, int] = MappingProxyType({flag.name.lower(): flag << _UP for flag in _KEPT if flag.name})
"""What the bits of `qa` above the lowest three mean; where nothing is seen at all the lowest say so."""

_OBSERVED = np.uint16(1)


@dataclass(frozen=True)
class Member:
    """One scene, ready to be read."""

    view: View
    """The scene."""

    mask: Raster | None = None
    """The user's own of cloud and shadow."""

    shade: Shade | None = None
    """Where shadow of its clouds may lie."""

    slope: NDArray[np.float32] | None = None
    """(band,) reflectance per reflectance, after the test for cloud; None: 1."""

    offset: NDArray[np.float32] | None = None
    """(band,) reflectance; None: 0."""


def mosaic(scenes: Sequence[Member], spec: CubeSpec, rows: Interval, cols: Interval, test: bool) -> Part:
    """All scenes of a day on some pixels; where two see a band of a pixel, the first stays.

    Parameters
    ----------
    test
        Whether the simple tests for cloud and shadow are made where no mask of the user's knows the pixel.
    """
    shape = len(spec.bands), rows[1] - rows[0], cols[1] - cols[0]
    values, valid = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    flags = np.full(shape[1:], np.uint16(Flag.NO_DATA))
    for one in scenes:
        part = cleared(one, spec.grid, rows, cols, test)
        which = [spec.bands.index(name) for name in one.view.bands]
        fresh = part.valid & ~valid[which]
        values[which] = np.where(fresh, part.reflectance, values[which])
        # A pixel is told of by the scene that it is from; what no scene shows, by all that looked.
        empty = ~valid.any(axis=0)
        first = empty & fresh.any(axis=0)
        flags = np.where(first, part.flags, np.where(empty, flags | part.flags, flags))
        valid[which] |= fresh
    partial = valid.any(axis=0) & ~valid.all(axis=0)
    flags = (flags & ~np.uint16(Flag.PARTIAL)) | np.where(partial, np.uint16(Flag.PARTIAL), np.uint16(0))
    return Part(values, valid, flags)


def cleared(one: Member, grid: Grid, rows: Interval, cols: Interval, test: bool) -> Part:
    """A scene on some pixels, without cloud and shadow, and on its lines."""
    part = one.view.tile(grid, rows, cols)
    found = np.zeros(part.flags.shape, dtype=np.uint16)
    if test:
        found = _tested(one, part, rows, cols)
    if one.mask is not None:
        flags, told = user_mask(one.mask, grid, rows, cols)
        found = np.where(told, flags, found)
    valid = part.valid & (found == 0)
    return Part(_scaled(one, part.reflectance, valid), valid, part.flags | found)


def _tested(one: Member, part: Part, rows: Interval, cols: Interval) -> NDArray[np.uint16]:
    """(y, x) cloud and shadow by the simple tests."""
    nm = [band.wavelength for band in known_sensor(one.view.scene.sensor).pick(one.view.bands)]
    cloud = clouds(part.reflectance, part.valid, nm)
    found = np.where(cloud, np.uint16(Flag.CLOUD), np.uint16(0))
    if one.shade is None:
        return found
    infrared = mean_of(part.reflectance, part.valid, nm, NEAR_INFRARED)
    shadow = one.shade.over(rows, cols) & ~cloud & np.isfinite(infrared) & (infrared < one.shade.dark)
    return np.where(shadow, np.uint16(Flag.SHADOW), found)


def _scaled(one: Member, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    if one.slope is None or one.offset is None:
        return values
    return np.where(valid, values * one.slope[:, None, None] + one.offset[:, None, None], np.float32(0))


def quality(part: Part) -> NDArray[np.uint16]:
    """(y, x) how a pixel came to be, and the flags above it."""
    kept = part.flags & np.uint16(sum(_KEPT))
    return np.asarray((kept << _UP) | (part.valid.any(axis=0) * _OBSERVED), dtype=np.uint16)
