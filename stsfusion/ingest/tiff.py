"""The skeleton of a TIFF file, checked before any decoder sees it.

Every offset must lie in the file, no block may be missing or counted twice, and the image must not be larger
than its file can honestly hold. GDAL reads missing blocks as zeros, and follows a VRT in a TIFF's clothes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from stsfusion.ingest.files import local_file
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError, reading
from stsfusion.ingest.tiffdirectory import Fields, TiffFault, TiffFile

__all__ = ["Skeleton", "examine"]

_WIDTH, _LENGTH, _BITS, _PACKING, _OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANES = (
    256,
    257,
    258,
    259,
    273,
    277,
    278,
    279,
    284,
)
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT, _SUB = 322, 323, 324, 325, 339, 330

_LISTS = (_OFFSETS, _COUNTS, _TILE_OFFSETS, _TILE_COUNTS)
"""One value for each block."""

_PACKINGS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits", 50000: "zstd"}
_KINDS = {(8, 1), (16, 1), (16, 2), (32, 1), (32, 2), (32, 3), (64, 3)}
"""(bits, sample format: 1 whole, 2 signed, 3 floating) of numbers that images are made of."""


@dataclass(frozen=True)
class Skeleton:
    """How one image of a TIFF file is laid out."""

    width: int
    """Columns."""

    height: int
    """Rows."""

    bands: int
    """Samples of a pixel."""

    bits: int
    """Of one sample."""

    form: int
    """1 unsigned, 2 signed, 3 floating."""

    packing: str
    """'none', 'deflate', …"""

    stored: int
    """Bytes of all blocks in the file."""

    @property
    def bytes(self) -> int:
        """Bytes of the image when it is unpacked."""
        return self.width * self.height * self.bands * self.bits // 8


def examine(path: str | Path, limits: Limits | None = None) -> Skeleton:
    """The layout of a TIFF file's main image, when the whole file is sound.

    Raises
    ------
    DeliveryError
        For anything else than a TIFF, a missing or overlapping block, an image larger than its file can hold.
    """
    found = local_file(path)
    with reading(found, "a readable file"), found.open("rb") as file:
        try:
            limits, tiff = limits or Limits(), TiffFile(file, long=_LISTS)
            images = [_image(tiff, fields, limits) for fields in tiff.directories(limits.directories)]
        except TiffFault as fault:
            raise DeliveryError(
                f"file {found}",
                expected=fault.expected,
                got=fault.got,
                mend="Fetch the delivery again; a sound file has no such fault.",
            ) from None
    return images[0]


def _image(tiff: TiffFile, fields: Fields, limits: Limits) -> Skeleton:
    """One directory's image, its size and all of its blocks checked."""
    if _SUB in fields:
        raise TiffFault("images one after the other", "images inside an image")
    width, height = tiff.one(fields, _WIDTH), tiff.one(fields, _LENGTH)
    bands, bits, form = (
        tiff.one(fields, _SAMPLES, 1),
        tiff.one(fields, _BITS, 1),
        tiff.one(fields, _FORMAT, 1),
    )
    packing = tiff.one(fields, _PACKING, 1)
    sides_wrong = not (0 < width <= limits.side and 0 < height <= limits.side and bands > 0)
    if sides_wrong or width * height * bands > limits.samples:
        raise TiffFault(f"at most {limits.samples} samples", f"{width} × {height} × {bands}")
    if (bits, form) not in _KINDS and (bits, form) != (1, 1):
        raise TiffFault("whole or floating numbers of 8 to 64 bits", f"{bits} bits of format {form}")
    if packing not in _PACKINGS:
        raise TiffFault("no packing, LZW, deflate, PackBits or zstd", f"packing {packing}")
    stored = _blocks(tiff, fields, width, height, bands, bits, packing)
    skeleton = Skeleton(width, height, bands, bits, form, _PACKINGS[packing], stored)
    if skeleton.bytes > max(limits.spare, limits.packing * stored):
        raise TiffFault(
            f"at most {limits.packing:g} image bytes a stored byte", f"{skeleton.bytes} of {stored}"
        )
    return skeleton


def _blocks(
    tiff: TiffFile, fields: Fields, width: int, height: int, bands: int, bits: int, packing: int
) -> int:
    """Bytes that the blocks take; each is there, and inside the file."""
    planes = {1: 1, 2: bands}.get(tiff.one(fields, _PLANES, 1), 0)
    if not planes:
        raise TiffFault("bands together or apart", "another arrangement")
    tiled = _TILE_WIDTH in fields
    if tiled:
        across, down = tiff.one(fields, _TILE_WIDTH), tiff.one(fields, _TILE_LENGTH)
    else:
        across, down = width, min(tiff.one(fields, _ROWS, 2**32 - 1), height)
    if not (0 < across <= 2**16 * 16 and 0 < down <= 2**20):
        raise TiffFault("blocks of reasonable size", f"{across} × {down}")
    expected = math.ceil(width / across) * math.ceil(height / down) * planes
    offsets = tiff.values(fields, _TILE_OFFSETS if tiled else _OFFSETS)
    counts = tiff.values(fields, _TILE_COUNTS if tiled else _COUNTS)
    if not len(offsets) == len(counts) == expected:
        raise TiffFault(f"{expected} blocks", f"{len(offsets)} places and {len(counts)} lengths")
    _apart(tiff, offsets, counts)
    full = across * down if tiled else 0
    pixels = full * expected // planes if tiled else width * height
    least = pixels * bands * bits // 8
    if packing == 1 and sum(counts) < least:
        raise TiffFault(f"{least} bytes of plain pixels", f"{sum(counts)}")
    return sum(counts)


def _apart(tiff: TiffFile, offsets: tuple[int, ...], counts: tuple[int, ...]) -> None:
    """No block is empty, none shares bytes with another, all lie in the file."""
    end = 8
    for offset, count in sorted(zip(offsets, counts, strict=True)):
        if count <= 0:
            raise TiffFault("every block", "an empty one, which would read as zeros")
        if offset < end:
            raise TiffFault("blocks one after the other", f"two that share byte {offset}")
        end = offset + count
    if end > tiff.size:
        raise TiffFault(f"a file of {end} bytes", f"{tiff.size}: it is cut short")
