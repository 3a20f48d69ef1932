"""From a product's files to a Scene: every side file read, and held against the others.

What must agree: the product's name with the XML (satellite, instrument, number, date, place), the XML's size
with the images, its corners with the RPC, its sun with the sky, each column with the number of bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from stsfusion.ingest.columns import check_centres, read_gains, read_wavelengths
from stsfusion.ingest.files import digest
from stsfusion.ingest.finding import Product
from stsfusion.ingest.footprint import footprint
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.metadata import Facts, read_facts
from stsfusion.ingest.naming import check_name
from stsfusion.ingest.raster import Raster, open_raster
from stsfusion.ingest.recognise import product_name
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.sight import check_place, check_sight
from stsfusion.ingest.sun import settle
from stsfusion.sensing.scene import Layer, Role, Scene, SceneFile
from stsfusion.sensing.sensor import Sensor
from stsfusion.sensing.sensor_file import Package

__all__ = ["product_scene"]

_PLATFORMS = {"ZY1E": "ZY1-02D", "ZY1F": "ZY1-02E", "GF6": "GF-6"}
_NUMBERS = ("uint8", "uint16", "int16", "uint32")
"""Counts are whole numbers: others are of a product that somebody has worked on, and have no saturation."""


@dataclass
class _Intake:
    """A product being read: what is known so far."""

    product: Product
    package: Package
    facts: Facts
    home: Path
    limits: Limits
    files: list[SceneFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sensor(self) -> Sensor:
        return self.product.sensor

    def keep(self, path: Path, role: Role, layer: str = "") -> None:
        """Note a file with its sum."""
        place = path.relative_to(self.home).as_posix()
        self.files.append(SceneFile(place, role, layer, path.stat().st_size, digest(path)))


def product_scene(
    product: Product, home: Path, *, allow_missing: bool = False, limits: Limits | None = None
) -> Scene:
    """Read one product.

    Parameters
    ----------
    home
        The delivery's folder, that paths are told from.
    allow_missing
        Take a product of which images are missing; what is missing is noted.

    Raises
    ------
    DeliveryError
        With the first file that lacks, is broken, or contradicts another.
    """
    limits = limits or Limits()
    package = product.sensor.package
    assert package is not None, "products are found by their packages"
    _check_images(product, package, allow_missing)
    path = _metadata(product, package)
    intake = _Intake(product, package, read_facts(path, limits), home, limits)
    intake.keep(path, "metadata")
    intake.notes += [f"image {name} is missing" for name in product.absent]
    level = check_name(product.name, intake.facts)
    layers = tuple(_layer(intake, name, file) for name, file in product.ordered)
    _check_copies(intake)
    facts = intake.facts
    sun = settle(f"file {facts.path}", facts.taken, *facts.centre, *facts.sun)
    several = len({name.lower() for name in package.rasters}) > 1
    return Scene(
        name=product.name if several else f"{product.name}-{next(iter(package.rasters))}",
        sensor=intake.sensor.name,
        platform=_PLATFORMS.get(facts.platform.upper(), facts.platform),
        level=level,
        time=sun.time,
        span=_moved(facts, sun.time),
        footprint=facts.corners,
        sun_zenith=sun.zenith,
        sun_azimuth=sun.azimuth,
        delivery=str(home),
        layers=layers,
        files=tuple(intake.files),
        produced=facts.produced,
        view_zenith=facts.view[0],
        view_azimuth=facts.view[1],
        cloud=facts.cloud,
        pixel=facts.pixel,
        notes=(*intake.notes, *sun.notes),
        texts=facts.texts,
    )


def _moved(facts: Facts, time: datetime) -> tuple[datetime, datetime] | None:
    """Begin and end in UTC, once it is settled what the time between them is."""
    if facts.span is None:
        return None
    start, end = (time + (one - facts.taken) for one in facts.span)
    return start, end


def _check_images(product: Product, package: Package, allow_missing: bool) -> None:
    """Each image of the product once."""
    if product.doubles:
        raise DeliveryError(
            f"file {product.doubles[0]}",
            expected=f"one image of its kind in {product.name}",
            got="another one beside it",
            mend="Remove one of them.",
        )
    if product.absent and not allow_missing:
        raise DeliveryError(
            f"product {product.folder / product.name}",
            expected=f"images {', '.join(package.rasters)}",
            got=f"none called {', '.join(product.absent)}",
            mend="Fetch the delivery again, or allow what is missing to be missing.",
        )


def _check_copies(intake: _Intake) -> None:
    """No image, and no RPC, is another one's copy: both see the same then, and one of them is lost."""
    for role in ("raster", "rpc"):
        seen: dict[str, str] = {}
        for file in intake.files:
            if file.role == role and (first := seen.setdefault(file.sha256, file.path)) != file.path:
                raise DeliveryError(
                    f"file {intake.home / file.path}",
                    expected="bytes of its own",
                    got=f"a copy of {first}",
                    mend="One of them was overwritten: fetch the delivery again.",
                )


def _metadata(product: Product, package: Package) -> Path:
    """The XML of the product, or of one of its images; check files and orders are others."""
    parts = {"", *(f"{mark}{name}".lower() for name in package.rasters for mark in "-_")}
    found = [path for path in product.beside(package.metadata) if product.part(path) in parts]
    if not found:
        raise DeliveryError(
            f"product {product.folder / product.name}",
            expected=f"{product.name}.xml",
            got="none",
            mend="Fetch the delivery again.",
        )
    return min(found, key=lambda path: (len(path.name), path.name))


def _layer(intake: _Intake, name: str, path: Path) -> Layer:
    """One image with its side files."""
    bands = intake.package.held(name, intake.sensor.names)
    with open_raster(path, limits=intake.limits) as raster:
        _check_image(intake, raster, len(bands), name)
        kind = str(raster.dataset.dtypes[0])
        place = tuple(raster.dataset.transform)[:6] if raster.placed() else None
        crs = str(raster.dataset.crs.to_wkt()) if raster.placed() else None
    intake.keep(path, "raster", name)
    if place is None or crs is None:
        _rational(intake, name, path, raster.shape[1:])
    else:
        check_place(path, footprint(f"file {path}", crs, place, raster.shape[1:]), intake.facts)
    gain, offset = _pairs(intake, "gains", name, len(bands)) or ((), ())
    own = _pairs(intake, "wavelengths", name, len(bands))
    known = intake.sensor.pick(bands)
    if own is not None:
        path = intake.home / intake.files[-1].path
        check_centres(path, bands, own[0], [band.wavelength for band in known])
    else:
        own = tuple(band.wavelength for band in known), tuple(band.fwhm for band in known)
    return Layer(name, bands, raster.shape[1:], kind, *own, gain, offset, (), crs, place)


def _check_image(intake: _Intake, raster: Raster, bands: int, name: str) -> None:
    """Bands as the sensor has them, rows and columns as the XML says, counts as cameras count, 0 for none."""
    count, rows, cols = raster.shape
    kind = str(raster.dataset.dtypes[0])
    if count != bands or kind not in _NUMBERS:
        raise DeliveryError(
            f"file {raster.path}",
            expected=f"{bands} bands of counts ({', '.join(_NUMBERS)})",
            got=f"{count} of {kind}",
        )
    if raster.nodata not in (None, 0.0):
        raise DeliveryError(
            f"file {raster.path}",
            expected="0 where there is no data, as the instrument's products have it",
            got=f"{raster.nodata:g}",
            mend=f"If the pixels are as they were delivered: gdal_edit.py -unsetnodata {raster.path.name}.",
        )
    said = intake.facts.shape
    if said is None or said == (rows, cols):
        return
    if len(intake.package.rasters) > 1 and not intake.package.holds:
        # Strips: whether the XML tells of one or of all of them is not known.
        intake.notes.append(
            f"image {name} has {rows} × {cols} pixels, the metadata say {said[0]} × {said[1]}"
        )
        return
    raise DeliveryError(
        f"file {raster.path}",
        expected=f"{said[0]} × {said[1]} pixels, as {intake.facts.path.name} says",
        got=f"{rows} × {cols}",
        mend="Image and metadata belong to different products.",
    )


def _rational(intake: _Intake, name: str, raster: Path, shape: Sequence[int]) -> None:
    """The image's RPC, which must see the ground that the XML tells of."""
    stem = raster.name[: raster.name.rindex(".")].lower()
    found = [path for path in intake.product.beside(r"\.rpb$") if path.name.lower() == f"{stem}.rpb"]
    if not found:
        raise DeliveryError(
            f"file {raster}",
            expected=f"{stem}.rpb beside it, or a reference system",
            got="neither",
            mend="Fetch the delivery again.",
        )
    rational = read_rpb(found[0], intake.limits)
    intake.keep(found[0], "rpc", name)
    strips = len(intake.package.rasters) > 1 and not intake.package.holds
    check_sight(found[0], rational, shape, intake.facts, strip=strips)


def _of_product(product: Product, paths: Sequence[Path]) -> list[Path]:
    """Side files that bear the product's own name; else those that bear none."""
    own = [path for path in paths if product.part(path) is not None]
    return own or [path for path in paths if product_name(path.name) is None]


def _pairs(
    intake: _Intake, role: Role, name: str, bands: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The two columns of a side file; None where the sensor's deliveries have no such file."""
    pattern = (intake.package.gains if role == "gains" else intake.package.wavelengths).get(name)
    if pattern is None:
        return None
    found = _of_product(intake.product, intake.product.beside(pattern))
    if len(found) != 1:
        expected = f"one file of {role} for image {name}"
        got = ", ".join(path.name for path in found) or "none"
        raise DeliveryError(f"folder {intake.product.folder}", expected=expected, got=got)
    read = read_gains if role == "gains" else read_wavelengths
    columns = read(found[0], bands, intake.limits)
    intake.keep(found[0], role, name)
    return columns
