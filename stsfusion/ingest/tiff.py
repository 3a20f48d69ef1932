"""The skeleton of a TIFF file, checked before any decoder sees it.

Every offset must lie in the file, no block may be missing or counted twice, and the image must not be larger
than its file can honestly hold. GDAL reads missing blocks as zeros, and follows a VRT in a TIFF's clothes.

::

    header ─► directory (main image) ─► directory (overview) ─► … ─► 0
                 └ tag · type · count · value or offset
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stsfusion.ingest.files import local_file
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError, reading

__all__ = ["Skeleton", "examine"]

_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of one value of each field type."""

_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Types that whole numbers may have."""

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

_PACKINGS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits", 50000: "zstd"}
_KINDS = {(8, 1), (16, 1), (16, 2), (32, 1), (32, 2), (32, 3), (64, 3)}
"""(bits, sample format: 1 whole, 2 signed, 3 floating) of numbers that images are made of."""

_FIELDS = 256
_BLOCKS = 2**22
_OWN = 2**24
"""Fields of a directory, blocks of an image, bytes of a field that is no list of blocks."""


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
            images = list(_File(file, limits or Limits()).images())
        except _Fault as fault:
            raise DeliveryError(
                f"file {found}",
                expected=fault.expected,
                got=fault.got,
                mend="Fetch the delivery again; a sound file has no such fault.",
            ) from None
    return images[0]


class _Fault(Exception):
    def __init__(self, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(expected, got)


@dataclass
class _Field:
    kind: int
    count: int
    at: int


class _File:
    """A TIFF file on the way from its header to its last directory."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self.file, self.limits = file, limits
        self.size = file.seek(0, 2)
        head = self.part(0, 8)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order else 0
        if version not in (42, 43):
            raise _Fault("a TIFF image", f"a file that begins with {head[:8]!r}")
        self.order, self.big = order, version == 43
        self.first = self.number("Q", 8) if self.big else self.number("I", 4)

    def part(self, at: int, count: int) -> bytes:
        if at < 0 or at + count > self.size:
            raise _Fault(f"the bytes {at} to {at + count}", f"a file of {self.size} bytes")
        self.file.seek(at)
        return self.file.read(count)

    def number(self, letter: str, at: int) -> int:
        return int(struct.unpack(f"{self.order}{letter}", self.part(at, struct.calcsize(letter)))[0])

    def images(self) -> Iterator[Skeleton]:
        """Main image first; at least one, each sound."""
        at, seen = self.first, set[int]()
        while at or not seen:
            if at in seen or len(seen) >= self.limits.directories:
                raise _Fault(f"at most {self.limits.directories} images", "more, or a circle of them")
            seen.add(at)
            fields, at = self.directory(at)
            yield self.image(fields)

    def directory(self, at: int) -> tuple[dict[int, _Field], int]:
        """The fields of a directory, and where the next one is."""
        head, each, letter = (8, 20, "Q") if self.big else (2, 12, "H")
        count = self.number(letter, at)
        if not 0 < count <= _FIELDS:
            raise _Fault(f"1 to {_FIELDS} fields in a directory", str(count))
        body = self.part(at + head, count * each)
        fields: dict[int, _Field] = {}
        for i in range(count):
            tag, one = self.field(body[i * each : (i + 1) * each], at + head + i * each)
            if tag in fields:
                raise _Fault("each field once", f"field {tag} twice")
            fields[tag] = one
        return fields, self.number("Q" if self.big else "I", at + head + count * each)

    def field(self, entry: bytes, at: int) -> tuple[int, _Field]:
        """One field, with the place where its values are."""
        tag, kind = struct.unpack(f"{self.order}HH", entry[:4])
        count = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", entry[4 : 12 if self.big else 8])[0]
        if kind not in _SIZES:
            raise _Fault("a known type of field", f"type {kind} in field {tag}")
        room, inline = (8, at + 12) if self.big else (4, at + 8)
        length = count * _SIZES[kind]
        blocks = tag in (_OFFSETS, _COUNTS, _TILE_OFFSETS, _TILE_COUNTS)
        if count <= 0 or (length > _OWN and not blocks) or (blocks and count > _BLOCKS):
            raise _Fault(f"a field {tag} of reasonable length", f"{count} values")
        place = inline if length <= room else self.number("Q" if self.big else "I", inline)
        if place + length > self.size:
            raise _Fault(
                f"the values of field {tag} inside the file", f"byte {place + length} of {self.size}"
            )
        return tag, _Field(kind, count, place)

    def values(self, fields: dict[int, _Field], tag: int, default: int | None = None) -> tuple[int, ...]:
        one = fields.get(tag)
        if one is None:
            if default is None:
                raise _Fault(f"field {tag}", "none")
            return (default,)
        if one.kind not in _LETTERS:
            raise _Fault(f"whole numbers in field {tag}", f"type {one.kind}")
        data = self.part(one.at, one.count * _SIZES[one.kind])
        return struct.unpack(f"{self.order}{one.count}{_LETTERS[one.kind]}", data)

    def one(self, fields: dict[int, _Field], tag: int, default: int | None = None) -> int:
        values = self.values(fields, tag, default)
        if len(set(values)) != 1:
            raise _Fault(f"one value in field {tag}", f"{values[:4]}")
        return values[0]

    def image(self, fields: dict[int, _Field]) -> Skeleton:
        """One directory's image, its size and all of its blocks checked."""
        if _SUB in fields:
            raise _Fault("images one after the other", "images inside an image")
        width, height = self.one(fields, _WIDTH), self.one(fields, _LENGTH)
        bands, bits, form = (
            self.one(fields, _SAMPLES, 1),
            self.one(fields, _BITS, 1),
            self.one(fields, _FORMAT, 1),
        )
        packing = self.one(fields, _PACKING, 1)
        sides_wrong = not (0 < width <= self.limits.side and 0 < height <= self.limits.side and bands > 0)
        if sides_wrong or width * height * bands > self.limits.samples:
            raise _Fault(f"at most {self.limits.samples} samples", f"{width} × {height} × {bands}")
        if (bits, form) not in _KINDS and (bits, form) != (1, 1):
            raise _Fault("whole or floating numbers of 8 to 64 bits", f"{bits} bits of format {form}")
        if packing not in _PACKINGS:
            raise _Fault("no packing, LZW, deflate, PackBits or zstd", f"packing {packing}")
        stored = self.blocks(fields, width, height, bands, bits, packing)
        skeleton = Skeleton(width, height, bands, bits, form, _PACKINGS[packing], stored)
        if skeleton.bytes > max(self.limits.spare, self.limits.packing * stored):
            raise _Fault(
                f"at most {self.limits.packing:g} image bytes a stored byte", f"{skeleton.bytes} of {stored}"
            )
        return skeleton

    def blocks(
        self, fields: dict[int, _Field], width: int, height: int, bands: int, bits: int, packing: int
    ) -> int:
        """Bytes that the blocks take; each is there, and inside the file."""
        planes = {1: 1, 2: bands}.get(self.one(fields, _PLANES, 1), 0)
        if not planes:
            raise _Fault("bands together or apart", "another arrangement")
        tiled = _TILE_WIDTH in fields
        if tiled:
            across, down = self.one(fields, _TILE_WIDTH), self.one(fields, _TILE_LENGTH)
        else:
            across, down = width, min(self.one(fields, _ROWS, 2**32 - 1), height)
        if not (0 < across <= 2**16 * 16 and 0 < down <= 2**20):
            raise _Fault("blocks of reasonable size", f"{across} × {down}")
        expected = math.ceil(width / across) * math.ceil(height / down) * planes
        offsets = self.values(fields, _TILE_OFFSETS if tiled else _OFFSETS)
        counts = self.values(fields, _TILE_COUNTS if tiled else _COUNTS)
        if not len(offsets) == len(counts) == expected:
            raise _Fault(f"{expected} blocks", f"{len(offsets)} places and {len(counts)} lengths")
        self.apart(offsets, counts)
        full = across * down if tiled else 0
        pixels = full * expected // planes if tiled else width * height
        least = pixels * bands * bits // 8
        if packing == 1 and sum(counts) < least:
            raise _Fault(f"{least} bytes of plain pixels", f"{sum(counts)}")
        return sum(counts)

    def apart(self, offsets: tuple[int, ...], counts: tuple[int, ...]) -> None:
        """No block is empty, none shares bytes with another, all lie in the file."""
        end = 8
        for offset, count in sorted(zip(offsets, counts, strict=True)):
            if count <= 0:
                raise _Fault("every block", "an empty one, which would read as zeros")
            if offset < end:
                raise _Fault("blocks one after the other", f"two that share byte {offset}")
            end = offset + count
        if end > self.size:
            raise _Fault(f"a file of {end} bytes", f"{self.size}: it is cut short")
