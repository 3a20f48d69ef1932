"""Shade: where the clouds of a scene may throw their shadows, found once on coarse cells of its cube.

::

    sun ☼
          ╲     cloud        each cloud is moved away from the sun by heights of 0.2 … 4 km × tan(zenith);
           ╲   ▟███▙         the height is taken at which most of what it falls on is dark in the near
            ╲  ╲   ╲         infrared. Pixels of a tile are shadow where they lie on such cells and are
    ─────────╲──▒▒▒▒──       dark themselves: tiles need no margin, and are the same whatever their size.

The test is simple on purpose: clouds count as flat and seen from straight above, and water that lies where a
shadow could is not told from it. A mask of the user's own is better.

Source: Zhu & Woodcock (2012), doi 10.1016/j.rse.2011.10.028, section 3.2, for matching by height.
"""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stsfusion.cube.grid import Grid
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.mask import VISIBLE, clouds, mean_of
from stsfusion.ingest.view import View
from stsfusion.ingest.warp import onto
from stsfusion.window import Interval, Window

__all__ = ["NEAR_INFRARED", "Shade", "cast", "shade_of"]

NEAR_INFRARED = (760.0, 900.0)
"""Bands whose centres lie here tell what is dark, nm."""

_HEIGHTS = (200.0, 4000.0)
"""Lowest and highest height of a cloud, m."""

_LOWEST_SUN = 75.0
"""Zenith of the sun beyond which shadows are too long to be told, degrees."""

_DARK = 0.5
"""Near infrared of shadow, in parts of the median of ground without cloud."""

_ALIKE = 0.6
"""Part of what a cloud falls on that must be dark."""

_SEEN = 0.3
"""Part of a cloud that must fall on ground that is seen."""

_CELLS = 512
"""Cells along the longer side of a scene at most."""

_EACH = 3
"""Bands of each colour that are read."""

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shade:
    """Cells of a cube's grid on which the shadow of a scene's clouds lies, as far as it is dark there."""

    corner: tuple[int, int]
    """First row and column, pixels of the cube."""

    cell: int
    """Pixels along the side of a cell."""

    shape: tuple[int, int]
    """Cells down and across."""

    bits: str
    """A bit a cell, packed, deflated, base64."""

    dark: float
    """Reflectance in the near infrared below which a pixel there is shadow."""

    def over(self, rows: Interval, cols: Interval) -> Mask:
        """(y, x) whether pixels of the cube lie on such cells."""
        packed = np.frombuffer(zlib.decompress(base64.b64decode(self.bits)), dtype=np.uint8)
        cells = np.unpackbits(packed, count=math.prod(self.shape)).reshape(self.shape).astype(bool)
        places = [
            (np.arange(*span) - first) // self.cell
            for span, first in zip((rows, cols), self.corner, strict=True)
        ]
        inside = [(at >= 0) & (at < size) for at, size in zip(places, self.shape, strict=True)]
        down, across = (np.clip(at, 0, size - 1) for at, size in zip(places, self.shape, strict=True))
        return np.asarray(cells[np.ix_(down, across)] & inside[0][:, None] & inside[1][None, :])


def shade_of(view: View, grid: Grid) -> Shade | None:
    """Where shadow may lie; None where there is no cloud, no shadow of one, or no way to tell.

    Parameters
    ----------
    grid
        Of the scene's cube.
    """
    scene = view.scene
    rows, cols = pixels_of(scene, grid)
    size = rows[1] - rows[0], cols[1] - cols[0]
    if min(size) < 1 or scene.sun_zenith > _LOWEST_SUN:
        return None
    cell = math.ceil(max(size) / _CELLS)
    shape = math.ceil(size[0] / cell), math.ceil(size[1] / cell)
    coarse = replace(grid.crop(Window((0, 1), rows, cols)), shape=shape, pixel=grid.pixel * cell)
    found = _overview(view, coarse, "cubic" if cell == 1 else "average")
    if found is None:
        return None
    values, valid, nm = found
    cloud, infrared = clouds(values, valid, nm), mean_of(values, valid, nm, NEAR_INFRARED)
    ground = np.isfinite(infrared) & ~cloud
    if not cloud.any() or not ground.any():
        return None
    dark = _DARK * float(np.median(infrared[ground]))
    shadow = cast(cloud, ground, ground & (infrared < dark), _away(view, coarse))
    if not shadow.any():
        return None
    packed = base64.b64encode(zlib.compress(np.packbits(shadow).tobytes(), 9)).decode()
    return Shade((rows[0], cols[0]), cell, shape, packed, round(dark, 6))


def _away(view: View, grid: Grid) -> tuple[float, float]:
    """Cells down and across by which the shadow of what is 1 m high lies off."""
    zenith, azimuth = np.radians([view.scene.sun_zenith, view.scene.sun_azimuth])
    length = float(np.tan(zenith)) / grid.pixel
    southward = -1.0 if grid.transform[4] > 0 else 1.0
    return southward * length * float(np.cos(azimuth)), -length * float(np.sin(azimuth))


def cast(cloud: Mask, ground: Mask, dark: Mask, away: tuple[float, float]) -> Mask:
    """(y, x) cells on which shadows of clouds lie, and those around them.

    Parameters
    ----------
    ground, dark
        (y, x) whether a cell shows the ground, and is dark.
    away
        Cells down and across by which the shadow of what is 1 m high lies off.
    """
    y, x = np.nonzero(cloud)
    label = ndimage.label(cloud)[0][y, x] - 1  # cells that hang together by their sides
    size = np.bincount(label)
    steps = math.ceil((_HEIGHTS[1] - _HEIGHTS[0]) * max(map(abs, away))) + 1
    best, height = np.zeros(len(size)), np.zeros(len(size))
    for metres in np.linspace(*_HEIGHTS, steps):
        down, across, inside = _moved(y, x, away, metres, cloud.shape)
        seen = np.bincount(label, inside & ground[down, across], len(size))
        hit = np.bincount(label, inside & dark[down, across], len(size))
        share = np.where(seen >= np.maximum(_SEEN * size, 1), hit / np.maximum(seen, 1), 0)
        height = np.where(share > best, metres, height)
        best = np.maximum(best, share)
    down, across, inside = _moved(y, x, away, height[label], cloud.shape)
    found = np.zeros(cloud.shape, dtype=bool)
    kept = inside & (best >= _ALIKE)[label]
    found[down[kept], across[kept]] = True
    return np.asarray(ndimage.binary_dilation(found, np.ones((3, 3))))


def _moved(
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    away: tuple[float, float],
    metres: Array | float,
    shape: tuple[int, ...],
) -> tuple[NDArray[np.intp], NDArray[np.intp], Mask]:
    """Rows and columns of moved cells, held inside, and whether they were."""
    down, across = (
        np.rint(one + step * metres).astype(np.intp) for one, step in zip((y, x), away, strict=True)
    )
    inside = (down >= 0) & (down < shape[0]) & (across >= 0) & (across < shape[1])
    return np.clip(down, 0, shape[0] - 1), np.clip(across, 0, shape[1] - 1), inside


def _overview(view: View, grid: Grid, kernel: str) -> tuple[NDArray[np.float32], Mask, Array] | None:
    """(band, y, x) reflectance of a few bands on a coarse grid, where it is known, and their centres, nm."""
    sensor = known_sensor(view.scene.sensor)
    nm = {band.name: band.wavelength for band in sensor.pick(view.bands)}
    wanted = [name for span in (*VISIBLE, NEAR_INFRARED) for name in _middle(nm, span)]
    if len({span for span in (*VISIBLE, NEAR_INFRARED) if _middle(nm, span)}) < 4:
        return None
    values = np.zeros((len(wanted), *grid.shape), dtype=np.float32)
    valid = np.zeros(values.shape, dtype=bool)
    spans = (0, grid.shape[0]), (0, grid.shape[1])
    package = sensor.package
    top = package.saturation if package is not None and view.scene.values == "counts" else None
    for image in view.images:
        bands = [name for name in wanted if name in image.layer.bands]
        if not bands:
            continue
        own, into = [image.layer.bands.index(n) for n in bands], [wanted.index(n) for n in bands]
        place = replace(grid, origin=(grid.origin[0] + image.east, grid.origin[1] + image.north))
        stored, there = onto(
            image.raster, place, *spans, rational=image.rational, terrain=view.terrain,
            bands=own, kernel=kernel, fill=image.fill, above=top,  # type: ignore[arg-type]
        )  # fmt: skip
        slope, intercept = (
            of[own][:, None, None] for of in (image.calibration.slope, image.calibration.intercept)
        )
        fresh = there & ~valid[into]
        values[into] = np.where(fresh, (stored * slope + intercept) / image.gain, values[into])
        valid[into] |= there
    return values, valid, np.array([nm[name] for name in wanted])


def _middle(nm: dict[str, float], span: tuple[float, float]) -> list[str]:
    """A few bands nearest the middle of a span."""
    inside = [name for name, centre in nm.items() if span[0] <= centre <= span[1]]
    return sorted(inside, key=lambda name: abs(nm[name] - sum(span) / 2))[:_EACH]
