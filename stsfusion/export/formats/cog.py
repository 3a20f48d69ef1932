"""cog: a cloud-optimised GeoTIFF a date, with wavelengths that desktop programs show."""

from __future__ import annotations

import json
import os
from pathlib import Path

import rasterio
from rasterio.enums import Resampling
from rasterio.shutil import copy
from rasterio.windows import Window as Rectangle

from stsfusion.export.coglayout import LARGEST, check_layout
from stsfusion.export.format import Format, Watch
from stsfusion.export.part import Block, Part
from stsfusion.export.quantity import flag_attributes
from stsfusion.export.rasters import Image, images, number

__all__ = ["Cog"]

_TILES, _TILE_BYTES = (512, 256, 128), 32 * 2**20
"""Edges of tiles, largest first, and what one may take unpacked: all bands of a pixel lie together."""

_CACHE = 128
"""What GDAL may hold of the files it writes, MB."""

_READ, _REDUCED = 0.3, 0.5
"""Shares of the work that are done when all blocks are read, and when the overviews are there, too."""


class Cog(Format):
    """Integers with scale and gap, tiles of all bands, overviews, everything else in the tags."""

    title = "cloud-optimised GeoTIFF, one a date"

    def files(self, part: Part) -> list[str]:
        """One for each date and quantity."""
        return [f"{image.stem}.tif" for image in images(part, lambda share, note: None)]

    def write(self, part: Part, folder: Path, watch: Watch) -> None:
        """A plain tiled file first, block by block; then GDAL puts it into the order that the cloud likes."""
        threads = str(min(4, os.cpu_count() or 1))
        with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=_CACHE, GDAL_NUM_THREADS=threads):
            for image in images(part, watch):
                plain, final = folder / f"{image.stem}.plain", folder / f"{image.stem}.tif"
                _write_plain(image, plain)
                _write_overviews(image, plain)
                copy(plain, final, driver="COG", **_options(image))
                plain.unlink()
                check_layout(final)
                _compare(image, final)
                image.at(1.0)


def _write_plain(image: Image, path: Path) -> None:
    part, quantity = image.part, image.quantity
    rows, cols = part.grid.shape
    profile = {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": part.bands(quantity),
        "dtype": quantity.dtype,
        "transform": rasterio.Affine(*part.grid.transform),
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
        "interleave": "band",
        "compress": "deflate",
        "zlevel": 1,
        "bigtiff": "if_safer",
    }
    if part.grid.crs is not None:
        profile["crs"] = part.grid.crs
    if quantity.packing is not None:
        profile["nodata"] = quantity.packing.gap
    with rasterio.open(path, "w", **profile) as file:
        for block, counts in image.blocks(_READ):
            file.write(counts, window=_rectangle(block))
        _write_labels(file, image)


def _write_overviews(image: Image, path: Path) -> None:
    """Halve until the longer side is small; done here, band by band, for GDAL is slow at it further on."""
    longest, factors = max(image.part.grid.shape), [2]
    while longest / factors[-1] > LARGEST:
        factors.append(2 * factors[-1])
    if longest > LARGEST:
        with rasterio.open(path, "r+") as file:
            file.build_overviews(factors, Resampling.average if image.quantity.banded else Resampling.nearest)
    image.at(_REDUCED)


def _compare(image: Image, path: Path) -> None:
    with rasterio.open(path, driver="GTiff") as file:
        image.compare(path, lambda block: file.read(window=_rectangle(block)))


def _rectangle(block: Block) -> Rectangle:
    (top, bottom), (left, right) = block.rows, block.cols
    return Rectangle(left, top, right - left, bottom - top)


def _write_labels(file: rasterio.io.DatasetWriter, image: Image) -> None:
    """What every program asks: names, scale, wavelengths (GDAL's own and ENVI's words), time, provenance."""
    quantity = image.quantity
    file.update_tags(**_tags(image))
    for band, name in enumerate(image.names, start=1):
        file.set_band_description(band, name)
    if quantity.packing is None:
        flags = {key: _text(value) for key, value in flag_attributes(image.part.spec).items()}
        file.update_tags(1, **flags)
        return
    count = len(image.names)
    file.scales, file.offsets, file.units = (quantity.packing.scale,) * count, (0.0,) * count, ("1",) * count
    for band, ((centre, width), good) in enumerate(zip(image.wavelengths, image.good, strict=True), start=1):
        words = {"wavelength": number(centre), "wavelength_units": "Nanometers", "bbl": str(good)}
        imagery = {"CENTRAL_WAVELENGTH_UM": number(centre / 1000)}
        if width is not None:
            words["fwhm"], imagery["FWHM_UM"] = number(width), number(width / 1000)
        file.update_tags(band, **words)
        file.update_tags(band, ns="IMAGERY", **imagery)


def _tags(image: Image) -> dict[str, str]:
    part, time = image.part, image.time
    stamp = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
    told = {f"stsfusion_{key}": _text(value) for key, value in part.spec.attributes.items()}
    return {
        **told,
        "TIFFTAG_DATETIME": f"{time:%Y:%m:%d %H:%M:%S}",
        "TIFFTAG_IMAGEDESCRIPTION": f"{part.title}: {image.quantity.title}",
        "TIFFTAG_SOFTWARE": "stsfusion",
        "acquisition_time": stamp,
        "quantity": image.quantity.name,
    }


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(item, int) for item in value):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _options(image: Image) -> dict[str, str]:
    """What the driver is told; overviews are those of the plain file, for it is slow at making more."""
    layer = image.part.bands(image.quantity) * 2
    tile = next((edge for edge in _TILES if edge * edge * layer <= _TILE_BYTES), _TILES[-1])
    return {
        "blocksize": str(tile),
        "compress": "DEFLATE",
        "predictor": "2",
        "bigtiff": "IF_SAFER",
        "overviews": "FORCE_USE_EXISTING",
    }
