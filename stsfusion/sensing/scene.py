"""Scene: one acquisition of one instrument as it was delivered, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = ["Layer", "Role", "Scene", "SceneFile", "Values"]

Values = Literal["counts", "radiance", "reflectance"]
"""What stored numbers are: detector counts, W m⁻² sr⁻¹ µm⁻¹, or 0–1; the last two after scaling."""

Role = Literal["raster", "rpc", "metadata", "gains", "wavelengths", "header"]
"""What a file of a delivery is for."""


@dataclass(frozen=True)
class SceneFile:
    """One file of a delivery."""

    path: str
    """Below the delivery's folder, or inside its archive, with '/'."""

    role: Role
    """What it is for."""

    layer: str
    """The image that it belongs to; '' when it belongs to all."""

    size: int
    """Bytes."""

    sha256: str
    """Of its bytes, hexadecimal."""


@dataclass(frozen=True)
class Layer:
    """One image of a delivery: a detector, a strip, or all there is."""

    name: str
    """'VN', 'MUX', '2', as the sensor's package names it; '' for a scene of one image."""

    bands: tuple[str, ...]
    """(band,) the sensor's names, in the file's order."""

    shape: tuple[int, int]
    """(rows, columns)."""

    kind: str
    """Type of stored numbers, as 'uint16'."""

    wavelength: tuple[float, ...]
    """(band,) centres, nm: the delivery's own, or the sensor's where it brings none."""

    fwhm: tuple[float, ...]
    """(band,) widths, nm."""

    gain: tuple[float, ...] = ()
    """(band,) W m⁻² sr⁻¹ µm⁻¹ per count from the delivery's own files; what stored radiance or reflectance is
    multiplied by, where it is not one scale for all; empty where the delivery brings none."""

    offset: tuple[float, ...] = ()
    """(band,) what is added then, as the gains."""

    good: tuple[bool, ...] = ()
    """(band,) False where the delivery calls a band bad; empty where it says nothing."""

    crs: str | None = None
    """Reference system of a delivery that lies on a map already; None: raw, see its RPC."""

    transform: tuple[float, float, float, float, float, float] | None = None
    """(a, b, c, d, e, f) of x = a·column + b·row + c, y = d·column + e·row + f, pixel corners."""

    nodata: float | None = None
    """The stored number that stands for no data; None: the file says it, or 0 does."""


@dataclass(frozen=True)
class Scene:
    """One acquisition by one instrument."""

    name: str
    """The product's name, unlike any other's in a catalog."""

    sensor: str
    """Name in catalogs/sensors."""

    platform: str
    """Satellite, as 'ZY1-02D'."""

    level: str
    """Of processing, as 'L1A'."""

    time: datetime
    """Middle of the acquisition, or its begin where the delivery says no more, UTC."""

    footprint: tuple[tuple[float, float], ...]
    """Corners (longitude, latitude), degrees, in order round the scene, the first not repeated."""

    sun_zenith: float
    """Degrees."""

    sun_azimuth: float
    """Degrees from north by east."""

    delivery: str
    """Path of the folder or archive."""

    layers: tuple[Layer, ...]
    """Its images."""

    files: tuple[SceneFile, ...]
    """Everything that was read, and will be."""

    archive: str = ""
    """sha256 of the archive, hexadecimal; '' when the delivery is a folder."""

    values: Values = "counts"
    """What the stored numbers are."""

    scale: float = 1.0
    """What stored radiance or reflectance is multiplied by; 1 where each band of a layer has its own."""

    produced: datetime | None = None
    """When the delivery was made, as written there (local time of the station)."""

    span: tuple[datetime, datetime] | None = None
    """Begin and end of the acquisition, UTC; None: not known."""

    view_zenith: float | None = None
    """Degrees from straight down."""

    view_azimuth: float | None = None
    """Degrees from north by east."""

    cloud: float | None = None
    """Percent, by the provider; None: unknown."""

    pixel: float | None = None
    """Side of a pixel on the ground by the provider, m."""

    notes: tuple[str, ...] = ()
    """What was found odd and how it was taken."""

    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """All fields of the metadata, word for word."""

    def layer(self, name: str) -> Layer:
        """The image of this name."""
        return next(layer for layer in self.layers if layer.name == name)

    def file(self, role: Role, layer: str) -> SceneFile | None:
        """The file of a role for an image, or for all; None where there is none."""
        found = [file for file in self.files if file.role == role and file.layer in (layer, "")]
        return max(found, key=lambda file: len(file.layer), default=None)
