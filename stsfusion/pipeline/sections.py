"""Sections: where the cubes of a recipe come from, and which instrument plays which role."""

from __future__ import annotations

from pydantic import Field

from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.pipeline.fields import Seed, Text
from stsfusion.pipeline.settings import record_of
from stsfusion.records import Record

__all__ = ["CubeFiles", "Cubes", "RoleSpec", "Roles", "Simulate"]


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


class Simulate(Record):
    """A multi-date truth made from one real hyperspectral scene, and what three sensors saw of it."""

    scene: str = "indian-pines"
    """'indian-pines' (from the package tensorly) or a NetCDF file with `reflectance` and `wavelength`."""

    seed: Seed = 0
    """Of the seasons; the protocol has its own."""

    protocol: record_of(Protocol) = Field(default_factory=lambda: record_of(Protocol)())  # type: ignore[valid-type]
    """How the three sensors see the truth."""
