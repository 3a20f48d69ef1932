"""The directories of a TIFF file and their fields, read where they must be and nowhere else.

::

    header ─► directory (main image) ─► directory (overview) ─► … ─► 0
                 └ tag · type · count · value or offset
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Field", "Fields", "TiffFault", "TiffFile"]

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

_FIELDS, _OWN, _LONG = 256, 2**24, 2**22
"""Fields of a directory, bytes of a field, and values of one that may be longer."""


class TiffFault(Exception):
    """What a file should have held, and what it holds."""

    def __init__(self, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(expected, got)


@dataclass(frozen=True)
class Field:
    """One field of a directory."""

    kind: int
    """TIFF's number of its type."""

    count: int
    """Values."""

    at: int
    """Where in the file they are."""


Fields = dict[int, Field]
"""By tag."""


class TiffFile:
    """A TIFF file on the way from its header to its last directory.

    Parameters
    ----------
    long
        Tags of fields that may have very many values.

    Raises
    ------
    TiffFault
        Here and in every method, as soon as something lies outside the file or is not what it must be.
    """

    def __init__(self, file: BinaryIO, long: Collection[int] = ()) -> None:
        self.file, self.long = file, long
        self.size = file.seek(0, 2)
        head = self.part(0, 8)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order else 0
        if version not in (42, 43):
            raise TiffFault("a TIFF image", f"a file that begins with {head[:8]!r}")
        self.order, self.big = order, version == 43
        self.first = self.number("Q", 8) if self.big else self.number("I", 4)

    def part(self, at: int, count: int) -> bytes:
        """Some bytes that must be there."""
        if at < 0 or at + count > self.size:
            raise TiffFault(f"the bytes {at} to {at + count}", f"a file of {self.size} bytes")
        self.file.seek(at)
        return self.file.read(count)

    def number(self, letter: str, at: int) -> int:
        """One number, its type as `struct` writes it."""
        return int(struct.unpack(f"{self.order}{letter}", self.part(at, struct.calcsize(letter)))[0])

    def directories(self, most: int) -> Iterator[Fields]:
        """Main image first; at least one, at most so many."""
        at, seen = self.first, set[int]()
        while at or not seen:
            if at in seen or len(seen) >= most:
                raise TiffFault(f"at most {most} images", "more, or a circle of them")
            seen.add(at)
            fields, at = self.directory(at)
            yield fields

    def directory(self, at: int) -> tuple[Fields, int]:
        """The fields of a directory, and where the next one is."""
        head, each, letter = (8, 20, "Q") if self.big else (2, 12, "H")
        count = self.number(letter, at)
        if not 0 < count <= _FIELDS:
            raise TiffFault(f"1 to {_FIELDS} fields in a directory", str(count))
        body = self.part(at + head, count * each)
        fields: Fields = {}
        for i in range(count):
            tag, one = self.field(body[i * each : (i + 1) * each], at + head + i * each)
            if tag in fields:
                raise TiffFault("each field once", f"field {tag} twice")
            fields[tag] = one
        return fields, self.number("Q" if self.big else "I", at + head + count * each)

    def field(self, entry: bytes, at: int) -> tuple[int, Field]:
        """One field, with the place where its values are."""
        tag, kind = struct.unpack(f"{self.order}HH", entry[:4])
        count = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", entry[4 : 12 if self.big else 8])[0]
        if kind not in _SIZES:
            raise TiffFault("a known type of field", f"type {kind} in field {tag}")
        room, inline = (8, at + 12) if self.big else (4, at + 8)
        length = count * _SIZES[kind]
        if count <= 0 or (count > _LONG if tag in self.long else length > _OWN):
            raise TiffFault(f"a field {tag} of reasonable length", f"{count} values")
        place = inline if length <= room else self.number("Q" if self.big else "I", inline)
        if place + length > self.size:
            raise TiffFault(
                f"the values of field {tag} inside the file", f"byte {place + length} of {self.size}"
            )
        return tag, Field(kind, count, place)

    def values(self, fields: Fields, tag: int, default: int | None = None) -> tuple[int, ...]:
        """The whole numbers of a field, or the default where it is absent."""
        one = fields.get(tag)
        if one is None:
            if default is None:
                raise TiffFault(f"field {tag}", "none")
            return (default,)
        if one.kind not in _LETTERS:
            raise TiffFault(f"whole numbers in field {tag}", f"type {one.kind}")
        data = self.part(one.at, one.count * _SIZES[one.kind])
        return struct.unpack(f"{self.order}{one.count}{_LETTERS[one.kind]}", data)

    def one(self, fields: Fields, tag: int, default: int | None = None) -> int:
        """The one number of a field, which may say it for every band."""
        values = self.values(fields, tag, default)
        if len(set(values)) != 1:
            raise TiffFault(f"one value in field {tag}", f"{values[:4]}")
        return values[0]
