"""Layout of a cloud-optimised GeoTIFF: a reader far away needs the head, then only the tiles it shows.

::

    | head: every image's directory, large to small | tiles of the smallest overview | … | tiles in full |
"""

from __future__ import annotations

from pathlib import Path

import rasterio

from stsfusion.errors import StoreError

__all__ = ["LARGEST", "check_layout"]

LARGEST = 512
"""Pixels along the longer side up to which an image needs no overview."""


def check_layout(path: Path) -> None:
    """Raise when a file is no cloud-optimised GeoTIFF.

    Raises
    ------
    StoreError
        With all that is amiss.

    Source: OGC 21-026, Cloud Optimized GeoTIFF, requirements on tiling, overviews and order.
    """
    with rasterio.open(path, driver="GTiff") as file:
        faults = _faults(file)
    if faults:
        raise StoreError(
            f"file {path}",
            expected="the layout of a cloud-optimised GeoTIFF",
            got="; ".join(faults),
            mend="Export again; if it stays so, this GDAL cannot write such files.",
        )


def _faults(file: rasterio.io.DatasetReader) -> list[str]:
    rows, cols = file.block_shapes[0]
    faults = []
    if max(file.shape) > LARGEST and (not file.profile.get("tiled") or max(rows, cols) > 2 * LARGEST):
        faults.append(f"blocks of {rows}×{cols} pixels, no tiles")
    overviews = file.overviews(1)
    if max(file.shape) > LARGEST and not overviews:
        faults.append("no overviews")
    if overviews != sorted(overviews):
        faults.append(f"overviews by {overviews}, not growing")
    heads = [_number(file, "IFD_OFFSET", level) for level in _levels(overviews)]
    tiles = [_number(file, "BLOCK_OFFSET_0_0", level) for level in _levels(overviews)]
    if heads != sorted(heads):
        faults.append(f"directories at {heads}, not in the order of the images")
    if heads[0] > 300:
        faults.append(f"first directory at byte {heads[0]}, not at the file's head")
    written = [place for place in tiles if place]
    if written != sorted(written, reverse=True):
        faults.append(f"first tiles at {tiles}, not overviews first")
    if written and heads[-1] > min(written):
        faults.append("directories behind tiles")
    return faults


def _levels(overviews: list[int]) -> list[int | None]:
    return [None, *range(len(overviews))]


def _number(file: rasterio.io.DatasetReader, item: str, level: int | None) -> int:
    """A place in the file, bytes; 0 where nothing is stored."""
    found = file.get_tag_item(item, "TIFF", 1, level)
    return int(found) if found else 0
