"""Sections: what each part of a recipe may say, as frozen records whose keys are checked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.pipeline.settings import record_of
from stsfusion.records import Record

__all__ = [
    "Area",
    "CubeFiles",
    "Cubes",
    "Evaluate",
    "Fit",
    "Fuse",
    "Ingest",
    "Ratios",
    "Report",
    "RoleSpec",
    "Roles",
    "Simulate",
    "Text",
]

MethodSpec = str | dict[str, Any]
"""A method's name, or a mapping of `name` and settings."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _is_size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError("a size such as '4 GB' or '512 MiB'")
    return text


def _is_some(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not empty")
    return text


Text = Annotated[str, AfterValidator(_is_some)]
"""Anything but blanks."""


def _is_device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ValueError("'auto', 'cpu', 'cuda' or 'cuda:0'")
    return text


Device = Annotated[str, AfterValidator(_is_device)]
"""Where numbers are computed; a torch device without memory of its own is none."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What dice are thrown from."""

ByteSize = Annotated[str, AfterValidator(_is_size)]
"""A number with kB, MB, GB, TB, KiB, MiB, GiB or TiB."""


class Area(Record):
    """Which part of the ground is fused; snapped outward to whole coarse pixels."""

    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north in metres, in `crs` or the cubes' own reference system; none: all there is."""

    crs: Text | None = None
    """Of the grid that scenes are laid on, as 'EPSG:32650'; none: their UTM zone. Cubes bring their own."""

    pixel: float | None = Field(default=None, gt=0)
    """Of the base grid that scenes are laid on, m; none: that of the finest instrument."""


class RoleSpec(Record):
    """Which instrument plays a role, and how it blurs."""

    sensor: Text | None = None
    """A file of catalogs/sensors, by name; none: an instrument with the cube's own bands."""

    psf: Text = "optics"
    """Point spread function: optics (the sensor's own), gaussian, gaussian:FWHM, bilinear or box."""

    known: bool | None = None
    """False: point spread function, responses and registration are nominal, and blind methods estimate their
    own; none: false for a user's own cubes, true for simulated ones."""


class Roles(Record):
    """Who plays which role; an instrument's name is short for its mapping."""

    rich: Text | RoleSpec | None = None
    """The hyperspectral instrument: all bands."""

    sharp: Text | RoleSpec | None = None
    """The instrument with the finest pixels."""

    dense: Text | RoleSpec | None = None
    """The instrument with every date."""

    def spec(self, role: str) -> RoleSpec:
        """The role's instrument, as a mapping."""
        given = getattr(self, role)
        return RoleSpec(sensor=given) if isinstance(given, str) else given or RoleSpec()


class CubeFiles(Record):
    """A cube in files, and what the files do not tell themselves."""

    path: Text | tuple[Text, ...]
    """A NetCDF file, a Zarr folder, a folder of GeoTIFF files or a list of them, one a date."""

    variable: str | None = None
    """Which variable; none: 'reflectance', or the only one that can be meant."""

    group: str | None = None
    """Which group of a NetCDF or Zarr."""

    times: tuple[str, ...] | None = None
    """Dates in the files' order; none: as the files or their names tell."""

    wavelength: tuple[float, ...] | None = None
    """Centres of the bands, nm."""

    fwhm: tuple[float, ...] | None = None
    """Widths of the bands, nm."""

    nodata: float | None = None
    """Stored number that stands for a gap."""

    scale: float | None = None
    """Reflectance of one stored count."""

    pixel: float | None = None
    """Size of a pixel, m, where the files have no coordinates."""


class Cubes(Record):
    """A user's own cubes, one a role; a path is short for its mapping. Paths are seen from the recipe."""

    rich: Text | CubeFiles | None = None
    """The hyperspectral series."""

    sharp: Text | CubeFiles | None = None
    """The series with the finest pixels."""

    dense: Text | CubeFiles | None = None
    """The series with every date."""

    @property
    def files(self) -> dict[Role, CubeFiles]:
        """What was given, by role."""
        given = {role: getattr(self, role) for role in ROLES}
        return {
            role: CubeFiles(path=value) if isinstance(value, str) else value
            for role, value in given.items()
            if value is not None
        }


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
    """Whether a simple test for thick cloud makes gaps."""

    masks: dict[str, Text] = {}
    """One's own, on a map, by scene, in place of that test: 0 clear, 1 cloud, 2 shadow, 255 unknown."""


class Simulate(Record):
    """A multi-date truth made from one real hyperspectral scene, and what three sensors saw of it."""

    scene: str = "indian-pines"
    """'indian-pines' (from the package tensorly) or a NetCDF file with `reflectance` and `wavelength`."""

    seed: Seed = 0
    """Of the seasons; the protocol has its own."""

    protocol: record_of(Protocol) = Field(default_factory=lambda: record_of(Protocol)())  # type: ignore[valid-type]
    """How the three sensors see the truth."""


class Fit(Record):
    """The sampled tiles from which a method learns what is global."""

    tiles: int = Field(default=16, ge=1, le=4096)
    """Number of windows at most, spread evenly over the area."""

    size: int = Field(default=96, ge=6, le=4096)
    """Side of a window, target pixels."""

    seed: Seed = 0
    """Of their places."""


class Fuse(Record):
    """The method and how the work is carried out."""

    method: MethodSpec
    """A method's name, or its name and settings."""

    tile: int = Field(default=384, ge=1)
    """Side of a tile's core, target pixels; at least a shard."""

    shard: int | None = Field(default=None, ge=1)
    """Side of an output shard, target pixels; none: 384, or the tile when that is smaller."""

    budget: ByteSize | None = None
    """Memory of one worker; none: its share of what is free."""

    executor: Literal["inline", "local", "address"] = "local"
    """Where tiles run: in this process, on a cluster of this machine, or at a scheduler's address."""

    address: str | None = None
    """The scheduler, for the executor 'address'."""

    workers: int = Field(default=2, ge=1)
    """Processes of the executor 'local'."""

    dates: tuple[str, ...] | None = None
    """Dates to publish (YYYY-MM-DD); none: those of the dense sensor, or all that were observed."""

    device: Device = "auto"
    """torch device; auto: cuda when there is one, else cpu."""

    wall: float = Field(default=3600.0, gt=0)
    """Seconds after which a tile is given up."""

    def budget_bytes(self) -> int | None:
        """The budget as a number."""
        match = _SIZE.fullmatch(self.budget) if self.budget else None
        return int(float(match[1]) * _UNITS[match[2]]) if match else None

    @property
    def shard_size(self) -> int:
        """The shard's side that is meant."""
        return self.shard or min(384, self.tile)


class Evaluate(Record):
    """How good the result is said to be."""

    compare: tuple[MethodSpec, ...] = ("bicubic", "lineartime", "gsa")
    """Methods that are run on the same input for the table."""

    size: int = Field(default=288, ge=24)
    """Side of the central window where methods are compared, target pixels; a smaller scene goes whole."""

    coarser: bool = False
    """Without a truth: compare one scale coarser, the hyperspectral image as truth (Wald's protocol)."""

    hidden: bool = False
    """There, hide each date between others from the hyperspectral and the fine sensor, and ask for it."""


class Report(Record):
    """The page for people."""

    title: str | None = None
    """Its heading; none: the recipe's name."""

    pictures: bool = True
    """Whether it shows quick looks, spectra and maps; without them it is written in a second."""
