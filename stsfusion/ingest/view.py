"""View: a whole scene on the grid, tile by tile: detectors side by side, strips one over the other.

::

    strips       [ 1 |1+2| 2 |2+3| 3 ]      of two that see a pixel, the one that sees it further inside
    detectors    VN01 … VN76  SW01 … SW90   all bands are kept, overlap included; the sensor flags them
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as to_map

from stsfusion.cube.grid import Grid
from stsfusion.ingest.calibrate import Calibration, GainsFile, calibration
from stsfusion.ingest.envi import EnviImage, read_header
from stsfusion.ingest.files import check_digest
from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.mask import Flag
from stsfusion.ingest.overlay import Image, Scarred
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational, read_rpb
from stsfusion.ingest.warp import Kernel, Terrain, onto
from stsfusion.sensing.scene import Layer, Role, Scene
from stsfusion.window import Interval

__all__ = ["Part", "View", "open_view"]

_ROLES: tuple[Role, ...] = ("raster", "rpc", "header")
_ROUND = 2
"""Decimals of the distance from a strip's edge by which strips are chosen: no rounding error chooses."""


@dataclass(frozen=True)
class Part:
    """One tile of a scene."""

    reflectance: NDArray[np.float32]
    """(band, y, x) at the top of the atmosphere; 0 where not valid."""

    valid: NDArray[np.bool_]
    """(band, y, x)."""

    flags: NDArray[np.uint16]
    """(y, x) of `mask.Flag`."""


@dataclass(frozen=True)
class _Image:
    """One open image and all it takes to use it."""

    layer: Layer
    raster: Image
    rational: Rational | None
    calibration: Calibration
    east: float = 0.0
    """Map units by which its content lies too far east, …"""
    north: float = 0.0
    """… and too far north."""
    gain: float = 1.0
    """What its reflectance is divided by."""
    fill: float = 0.0
    """The stored number that stands for no data."""


@dataclass(frozen=True)
class View:
    """An open scene."""

    scene: Scene
    """What is known of it."""

    bands: tuple[str, ...]
    """(band,) of all its images, in the sensor's order."""

    terrain: Terrain | None
    """How high the ground is; None only for scenes on a map."""

    images: tuple[_Image, ...]
    """Its images."""

    @property
    def provenance(self) -> tuple[str, ...]:
        """Where each image's gains are from, and what was odd."""
        lines = [f"{one.layer.name or self.scene.name}: {one.calibration.source}" for one in self.images]
        return tuple(
            dict.fromkeys([*lines, *(note for one in self.images for note in one.calibration.notes)])
        )

    @property
    def strips(self) -> bool:
        """Whether images share bands."""
        return sum(len(one.layer.bands) for one in self.images) > len(self.bands)

    def corrected(
        self, *, east: float = 0.0, north: float = 0.0, gain: float = 1.0, layer: str | None = None
    ) -> View:
        """The same scene with its content moved back and its brightness divided.

        Parameters
        ----------
        east, north
            Map units by which the content was found to lie too far.
        gain
            Factor by which it was found too bright.
        layer
            Only this image; None: all.
        """
        images = tuple(
            replace(one, east=one.east + east, north=one.north + north, gain=one.gain * gain)
            if layer in (None, one.layer.name)
            else one
            for one in self.images
        )
        return replace(self, images=images)

    def tile(self, grid: Grid, rows: Interval, cols: Interval, kernel: Kernel = "cubic") -> Part:
        """The scene on some pixels of the grid.

        Parameters
        ----------
        rows, cols
            First and last (exclusive) pixel.
        """
        shape = len(self.bands), rows[1] - rows[0], cols[1] - cols[0]
        values, valid = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
        flags, inside = np.zeros(shape[1:], dtype=np.uint16), np.full(shape, -np.inf)
        full, lost = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        place = _degrees(grid, rows, cols) if self.strips else None
        for image in self.images:
            which = [self.bands.index(name) for name in image.layer.bands]
            found, there, end, dead = self._image(image, grid, rows, cols, kernel)
            full[which] |= end
            lost[which] |= dead
            depth = self._depth(image, place) if place is not None else np.zeros(shape[1:])
            better = there & (depth > inside[which])
            values[which] = np.where(better, found, values[which])
            valid[which] |= better
            inside[which] = np.where(better, depth, inside[which])
        flags[(full & ~valid).any(axis=0)] |= np.uint16(Flag.SATURATED)
        flags[(lost & ~valid).any(axis=0)] |= np.uint16(Flag.DEAD)
        some, whole = valid.any(axis=0), valid.all(axis=0)
        flags[~some] |= np.uint16(Flag.NO_DATA)
        flags[some & ~whole] |= np.uint16(Flag.PARTIAL)
        return Part(values, valid, flags)

    def _image(
        self, image: _Image, grid: Grid, rows: Interval, cols: Interval, kernel: Kernel
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Reflectance of one image, whether it is there, where it is saturated, and where dead."""
        way = {"rational": image.rational, "terrain": self.terrain}
        top = self._saturation
        # What lies too far east is found by looking too far east.
        grid = replace(grid, origin=(grid.origin[0] + image.east, grid.origin[1] + image.north))
        stored, there = onto(image.raster, grid, rows, cols, kernel=kernel, fill=image.fill, above=top, **way)  # type: ignore[arg-type]
        full = np.zeros(there.shape, dtype=bool)
        if top is not None:
            nearest, seen = onto(image.raster, grid, rows, cols, kernel="nearest", fill=image.fill, **way)  # type: ignore[arg-type]
            full = seen & (nearest >= top)
            there &= ~full
        dead = np.zeros(there.shape, dtype=bool)
        if isinstance(image.raster, Scarred):
            whole, left = (
                onto(one, grid, rows, cols, kernel="nearest", fill=image.fill, **way)[1]  # type: ignore[arg-type]
                for one in (image.raster.whole, image.raster)
            )
            dead = whole & ~left
            there &= ~dead
        return (
            np.where(there, image.calibration.reflectance(stored) / np.float32(image.gain), np.float32(0)),
            there,
            full,
            dead,
        )

    @property
    def _saturation(self) -> int | None:
        package = known_sensor(self.scene.sensor).package
        return package.saturation if package is not None and self.scene.values == "counts" else None

    def _depth(
        self, image: _Image, place: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """(y, x) pixels from the image's nearest side edge."""
        if image.rational is None:
            return np.zeros(place[0].shape)
        sample = np.asarray(image.rational.pixel(*place, image.rational.height_offset)[0], dtype=np.float64)
        return np.asarray(np.round(np.minimum(sample, image.layer.shape[1] - 1 - sample), _ROUND))


@contextmanager
def open_view(
    scene: Scene,
    home: Path,
    *,
    terrain: Terrain | None = None,
    gains: GainsFile | None = None,
    limits: Limits | None = None,
) -> Iterator[View]:
    """Open a scene's images for reading.

    Parameters
    ----------
    home
        The delivery's folder; for an archive the folder that it was unpacked into.
    terrain
        How high the ground is; needed unless the scene lies on a map.
    gains
        The user's own.

    Raises
    ------
    DeliveryError
        When a file is not the one that was catalogued, or is not sound; when gains or terrain lack.
    """
    with ExitStack() as stack:
        images = tuple(
            stack.enter_context(_opened(scene, layer, home, gains, limits)) for layer in scene.layers
        )
        if terrain is None and any(one.rational is not None for one in images):
            raise DeliveryError(
                f"scene {scene.name}",
                expected="a height or an elevation model",
                got="neither",
                mend="State the height of the ground, or name a model.",
            )
        yield View(scene, _union(scene, [layer.bands for layer in scene.layers]), terrain, images)


def _union(scene: Scene, bands: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Every band once, as the sensor orders them."""
    there = {name for names in bands for name in names}
    return tuple(name for name in known_sensor(scene.sensor).names if name in there)


@contextmanager
def _opened(
    scene: Scene, layer: Layer, home: Path, gains: GainsFile | None, limits: Limits | None
) -> Iterator[_Image]:
    raster, rpc, header = (scene.file(role, layer.name) for role in _ROLES)
    if raster is None:
        raise DeliveryError(f"scene {scene.name}", expected=f"an image for {layer.name}", got="none")
    if header is not None:
        check_digest(home / header.path, header.sha256)
        head = read_header(home / header.path, limits)
        image = EnviImage(head, raster.sha256)
        yield _Image(
            layer,
            image,
            None if image.transform else head.rational,
            calibration(scene, layer, gains),
            fill=head.ignore or 0.0,
        )
        return
    rational = read_rpb(home / rpc.path, limits) if rpc is not None else None
    with open_raster(home / raster.path, sha256=raster.sha256, limits=limits) as opened:
        said = opened.nodata if layer.nodata is None else layer.nodata
        yield _Image(layer, opened, rational, calibration(scene, layer, gains), fill=said or 0.0)


def _degrees(grid: Grid, rows: Interval, cols: Interval) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(y, x) longitude and latitude of the pixels' centres."""
    x, y = np.meshgrid(grid.x[slice(*cols)], grid.y[slice(*rows)])
    lon, lat = to_map(CRS.from_user_input(grid.crs), CRS.from_epsg(4326), x.ravel(), y.ravel())
    return np.reshape(lon, x.shape), np.reshape(lat, x.shape)
