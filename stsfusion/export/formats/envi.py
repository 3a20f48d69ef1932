"""envi: a raw image a date, interleaved by line, with a header that says everything."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from odc.geo.crs import CRS

from stsfusion.cube.grid import Grid
from stsfusion.export.format import Format, Watch
from stsfusion.export.part import Block, Part
from stsfusion.export.quantity import Quantity, flag_attributes
from stsfusion.export.rasters import Image, images, number

__all__ = ["Envi"]

_SAID = {
    "sensor": "sensor type", "quantity": "quantity", "source": "source", "recipe": "recipe",
    "recipe_sha256": "recipe sha256", "inputs_sha256": "inputs sha256",
}  # fmt: skip
"""Attributes of a series that its header tells, and what they are called there."""

_TYPES = {"int16": 2, "uint16": 12}
"""ENVI's own numbers for types of pixels."""


class Envi(Format):
    """`.dat` with its `.hdr`: line by line, in each line band by band, little endian."""

    title = "ENVI raw image with header, one a date"

    def files(self, part: Part) -> list[str]:
        """Two for each date and quantity."""
        stems = [image.stem for image in images(part, lambda share, note: None)]
        return [f"{stem}{end}" for stem in stems for end in (".dat", ".hdr")]

    def write(self, part: Part, folder: Path, watch: Watch) -> None:
        """Pixels first, then the header, which says which bands are dead."""
        for image in images(part, watch):
            _write_pixels(image, folder / f"{image.stem}.dat")
            (folder / f"{image.stem}.hdr").write_text(header(image), encoding="utf-8")


def _write_pixels(image: Image, path: Path) -> None:
    """Each line of each band of a block at its own place in the file."""
    rows, cols = image.part.grid.shape
    bands, size = image.part.bands(image.quantity), np.dtype(image.quantity.dtype).itemsize
    with path.open("wb") as file:
        file.truncate(rows * bands * cols * size)
        for block, counts in image.blocks():
            _write_block(file.fileno(), block, counts.astype(f"<{counts.dtype.kind}{size}"), cols)
        os.fsync(file.fileno())


def _write_block(handle: int, block: Block, counts: np.ndarray, cols: int) -> None:
    bands, height, width = counts.shape
    size = counts.dtype.itemsize
    lines = np.ascontiguousarray(counts.transpose(1, 0, 2)).reshape(height * bands, width)
    first = (block.rows[0] * bands * cols + block.cols[0]) * size
    if width == cols:
        _put(handle, lines.tobytes(), first)
        return
    for at, line in enumerate(lines):
        _put(handle, line.tobytes(), first + at * cols * size)


def _put(handle: int, data: bytes, place: int) -> None:
    while data:
        written = os.pwrite(handle, data, place)
        data, place = data[written:], place + written


def header(image: Image) -> str:
    """The text of the header of an image whose blocks were all read."""
    part, quantity = image.part, image.quantity
    rows, cols = part.grid.shape
    lines = [
        "ENVI",
        f"description = {{{_plain(_description(part, quantity))}}}",
        f"samples = {cols}",
        f"lines = {rows}",
        f"bands = {part.bands(quantity)}",
        "header offset = 0",
        "file type = ENVI Standard",
        f"data type = {_TYPES[quantity.dtype]}",
        "interleave = bil",
        "byte order = 0",
        f"map info = {{{_map_info(part.grid)}}}",
    ]
    if part.grid.crs is not None:
        lines.append(f"coordinate system string = {{{CRS(part.grid.crs).proj.to_wkt('WKT1_ESRI')}}}")
    lines.append(f"acquisition time = {image.time:%Y-%m-%dT%H:%M:%S}.{image.time.microsecond // 1000:03d}Z")
    lines.append(f"band names = {{{', '.join(map(_plain, image.names))}}}")
    if quantity.packing is not None:
        lines.append(f"data ignore value = {quantity.packing.gap}")
        lines.append(f"reflectance scale factor = {number(1 / quantity.packing.scale)}")
    return "\n".join([*lines, *_spectral(image), *_origin(image)]) + "\n"


def _origin(image: Image) -> list[str]:
    """What the series says of where its numbers are from, and the scenes of the date."""
    said = image.part.spec.attributes
    words = {name: said[key] for key, name in _SAID.items() if isinstance(said.get(key), str)}
    day = f"{image.time:%Y-%m-%d}"
    dates = [one for one in said.get("lineage", ()) if one["date"] == day]
    scenes = [f"{scene['scene']} {scene['quantity']}" for one in dates for scene in one["scenes"]]
    lines = [f"{name} = {_plain(text)}" for name, text in words.items() if _plain(text)]
    return [*lines, *([f"scenes = {{{', '.join(map(_plain, scenes))}}}"] if scenes else [])]


def _spectral(image: Image) -> list[str]:
    if not image.wavelengths:
        return []
    centres, widths = zip(*image.wavelengths, strict=True)
    lines = [
        "wavelength units = Nanometers",
        f"wavelength = {{{', '.join(map(number, centres))}}}",
    ]
    if None not in widths:
        lines.append(f"fwhm = {{{', '.join(map(number, widths))}}}")
    return [*lines, f"bbl = {{{', '.join(map(str, image.good))}}}"]


def _description(part: Part, quantity: Quantity) -> str:
    if quantity.banded:
        return f"{part.title}: {quantity.title}"
    flags = flag_attributes(part.spec)
    pairs = zip(flags["flag_values"], flags["flag_meanings"].split(), strict=True)
    return f"{part.title}: {quantity.title}: {'; '.join(f'{value} {words}' for value, words in pairs)}"


def _map_info(grid: Grid) -> str:
    """Projection, the corner's pixel and place, the pixel's size, and what ENVI knows of the projection."""
    place = f"1, 1, {number(grid.origin[0])}, {number(grid.origin[1])}, {grid.pixel!r}, {grid.pixel!r}"
    crs = grid.crs or ""
    if crs.startswith(("EPSG:326", "EPSG:327")) and len(crs) == 10:
        half = "North" if crs[7] == "6" else "South"
        return f"UTM, {place}, {int(crs[8:])}, {half}, WGS-84, units=Meters"
    if crs and CRS(crs).geographic:
        return f"Geographic Lat/Lon, {place}, WGS-84, units=Degrees"
    return f"Arbitrary, {place}, 0, North, units=Meters"


def _plain(text: str) -> str:
    """Text without what the header's grammar uses."""
    return " ".join(text.translate({ord(mark): " " for mark in "{},\r\n"}).split())
