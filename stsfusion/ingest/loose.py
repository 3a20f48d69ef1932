"""Images that users made elsewhere: ENVI cubes, and GeoTIFFs with a note beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from stsfusion.cube.source import date_in
from stsfusion.errors import SensorError
from stsfusion.ingest.bandnames import by_wavelength
from stsfusion.ingest.envi import EnviHeader, read_header
from stsfusion.ingest.files import digest
from stsfusion.ingest.finding import known_product, known_sensor
from stsfusion.ingest.footprint import footprint
from stsfusion.ingest.headersun import sun_angles, sun_of
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.metadata import moment
from stsfusion.ingest.note import Note, read_note
from stsfusion.ingest.raster import Raster, open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.scaling import of_header, scaling
from stsfusion.sensing.dateline import middle
from stsfusion.sensing.scene import Layer, Role, Scene, SceneFile
from stsfusion.sensing.sensor import Sensor

__all__ = ["envi_scene", "tiff_scene"]

_MORNING = 10.5
"""Local solar hour of satellites in orbits like theirs, where only the date is known."""

_MEND = "Write a note beside it: sensor, time, values and scale in a YAML file of the same name."


@dataclass(frozen=True)
class _Image:
    """What there is to know of an image, wherever it was said."""

    path: Path
    home: Path
    note: Note
    scale: float
    time: datetime
    notes: tuple[str, ...]
    layer: Layer
    files: tuple[SceneFile, ...]
    footprint: tuple[tuple[float, float], ...]
    angles: tuple[float | None, float | None] = (None, None)
    guessed: bool = False


def tiff_scene(path: Path, home: Path, limits: Limits | None = None) -> Scene:
    """A GeoTIFF on a map, with a note beside it.

    Raises
    ------
    DeliveryError
        When the note is absent or wrong, or the image lies nowhere.
    """
    limits = limits or Limits()
    told = read_note(path, limits)
    if told is None:
        raise DeliveryError(
            f"file {path}", expected="a known product, or a note beside it", got="neither", mend=_MEND
        )
    note, where = told
    sensor = _sensor(note.sensor, where)
    names = note.bands or sensor.names
    bands = _pick(sensor, names, where)
    with open_raster(path, limits=limits) as raster:
        if raster.shape[0] != len(names) or not raster.placed():
            raise DeliveryError(
                f"file {path}",
                expected=f"{len(names)} bands on a map",
                got=f"{raster.shape[0]} bands" + ("" if raster.placed() else " without a reference system"),
            )
        found = scaling(note, where, (path, *raster.scaling))
        nodata = _nodata(note, where, raster)
        place = tuple(raster.dataset.transform)[:6]
        crs, kind = str(raster.dataset.crs.to_wkt()), str(raster.dataset.dtypes[0])
    layer = Layer(
        "",
        tuple(names),
        raster.shape[1:],
        kind,
        tuple(b.wavelength for b in bands),
        tuple(b.fwhm for b in bands),
        found.gain,
        found.offset,
        crs=crs,
        transform=place,
        nodata=nodata,
    )
    files = (_file(path, home, "raster"), _file(where, home, "metadata"))
    ground = footprint(f"file {path}", crs, place, layer.shape)
    return _scene(_Image(path, home, note, found.scale, moment(where, note.time), (), layer, files, ground))


def envi_scene(path: Path, home: Path, limits: Limits | None = None) -> Scene:
    """An ENVI cube on a map: its header tells bands and place, its name or a note the sensor and the time.

    Raises
    ------
    DeliveryError
        When sensor, time, place or the kind of numbers cannot be told.
    """
    limits = limits or Limits()
    head = read_header(path, limits)
    placed = head.crs is not None and head.transform is not None
    if not placed and head.rational is None:
        raise DeliveryError(
            f"file {path}",
            expected="'map info' with a reference system, or 'rpc info'",
            got="neither",
            mend="Bring the cube onto a map first, or deliver the raw product.",
        )
    found = read_note(path, limits)
    note, where, notes = (*found, ()) if found else _told(head)
    sensor = _sensor(note.sensor, where)
    names = note.bands or (
        by_wavelength(sensor, head.wavelength, path, _MEND) if head.wavelength else sensor.names
    )
    if len(names) != head.shape[0]:
        raise DeliveryError(f"file {path}", expected=f"{len(names)} bands", got=f"{head.shape[0]}")
    bands = _pick(sensor, names, where)
    scaled = scaling(note, where, of_header(head, note.values))
    layer = Layer(
        "",
        tuple(names),
        head.shape[1:],
        str(np.dtype(head.kind).name),
        head.wavelength or tuple(b.wavelength for b in bands),
        head.fwhm or tuple(b.fwhm for b in bands),
        scaled.gain,
        scaled.offset,
        good=head.good,
        crs=head.crs,
        transform=head.transform,
    )
    files = [_file(head.data, home, "raster"), _file(path, home, "header")]
    files += [_file(where, home, "metadata")] if found else []
    return _scene(
        _Image(
            path,
            home,
            note,
            scaled.scale,
            moment(where, note.time),
            notes,
            layer,
            tuple(files),
            _ground(head),
            sun_angles(head),
            guessed=bool(notes),
        )
    )


def _told(head: EnviHeader) -> tuple[Note, Path, tuple[str, ...]]:
    """What a header and its file's name say in a note's stead."""
    stem = head.path.with_suffix("").name
    sensor, date = known_product(stem), date_in(stem)
    time = head.texts.get("acquisition time", "")
    if sensor is None or (date is None and not time):
        raise DeliveryError(
            f"file {head.path}", expected="a product's name, or a note beside it", got=repr(stem), mend=_MEND
        )
    if head.scale is None:
        raise DeliveryError(
            f"file {head.path}",
            expected="'reflectance scale factor', or a note beside it",
            got="neither",
            mend=_MEND,
        )
    notes: tuple[str, ...] = ()
    if not time and date is not None:
        lon = _ground(head)[0][0]
        day = datetime.fromisoformat(str(date.astype("datetime64[D]"))).replace(tzinfo=UTC)
        time = f"{day + timedelta(hours=_MORNING - lon / 15):%Y-%m-%dT%H:%M:%SZ}"
        notes = (f"time of day unknown: taken as {_MORNING} h of local solar time",)
    return Note(sensor=sensor.name, time=time), head.path, notes


def _nodata(note: Note, where: Path, raster: Raster) -> float | None:
    """What the note calls no data, where the file does not say it, and can hold it."""
    if note.nodata is None or note.nodata == raster.nodata:
        return None
    kind = np.dtype(raster.kind)
    if raster.nodata is not None:
        expected = f"{raster.nodata:g}, as {raster.path.name} says itself"
    elif kind.kind in "iu" and not (
        note.nodata.is_integer() and np.iinfo(kind).min <= note.nodata <= np.iinfo(kind).max
    ):
        expected = f"a number of type {kind.name}, as {raster.path.name} holds"
    else:
        return note.nodata
    raise DeliveryError(f"file {where}: nodata", expected=expected, got=f"{note.nodata:g}")


def _matched(sensor: Sensor, head: EnviHeader) -> tuple[str, ...]:
    """The sensor's band for each wavelength of a cube; all of them where it says none."""
    return by_wavelength(sensor, head.wavelength, head.path, _MEND) if head.wavelength else sensor.names


def _sensor(name: str, where: Path) -> Sensor:
    try:
        return known_sensor(name)
    except SensorError as fault:
        raise DeliveryError(
            f"file {where}: {fault.where}", expected=fault.expected, got=fault.got, mend=fault.mend
        ) from None


def _pick(sensor: Sensor, names: Sequence[str], where: Path) -> tuple[Any, ...]:
    try:
        return sensor.pick(names)
    except SensorError as fault:
        raise DeliveryError(
            f"file {where}: bands", expected=fault.expected, got=fault.got, mend=fault.mend
        ) from None


def _file(path: Path, home: Path, role: Role) -> SceneFile:
    return SceneFile(path.relative_to(home).as_posix(), role, "", path.stat().st_size, digest(path))


def _ground(head: EnviHeader) -> tuple[tuple[float, float], ...]:
    """(longitude, latitude) of a cube's four corners, by its map or by its RPC."""
    if head.crs is not None and head.transform is not None:
        return footprint(f"file {head.path}", head.crs, head.transform, head.shape[1:])
    assert head.rational is not None
    rows, cols = head.shape[1] - 1, head.shape[2] - 1
    height = head.rational.height_offset
    try:
        lon, lat = head.rational.ground([0, cols, cols, 0], [0, 0, rows, rows], height)
    except DeliveryError as fault:
        raise DeliveryError(f"file {head.path}: rpc info", expected=fault.expected, got=fault.got) from None
    return tuple(zip(lon.tolist(), lat.tolist(), strict=True))


def _scene(image: _Image) -> Scene:
    layer, note = image.layer, image.note
    if note.values == "counts" and np.dtype(layer.kind).kind not in "iu":
        raise DeliveryError(f"file {image.path}", expected="counts as whole numbers", got=layer.kind)
    footprint = image.footprint
    ground = middle(footprint)
    sun = sun_of(image.path, image.time, ground, image.angles, guessed=image.guessed)
    return Scene(
        name=image.path.with_suffix("").name,
        sensor=note.sensor,
        platform="",
        level="",
        time=sun.time,
        footprint=footprint,
        sun_zenith=sun.zenith,
        sun_azimuth=sun.azimuth,
        delivery=str(image.home),
        layers=(layer,),
        files=image.files,
        values=note.values,
        scale=image.scale,
        cloud=note.cloud,
        notes=(*image.notes, *sun.notes),
    )
