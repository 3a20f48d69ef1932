"""Tar archives read forward, block by block; only ordinary files and folders are let through.

::

    | header 512 | data, padded to 512 | header | data | … | zeros 512 | zeros 512 | zeros …

Long names come in a member of their own before the one they belong to (GNU 'L', POSIX 'x').
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stsfusion.ingest.refusal import DeliveryError

__all__ = ["TarMember", "tar_members"]

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_LONGEST = 16 * _BLOCK
"""Bytes of a member that only holds another's name."""

_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"K": "a link with a long name",
    b"D": "a dump of a folder",
    b"M": "a part of a file from another volume",
}

Reader = Callable[[int], bytes]
"""Gives so many of the next bytes, or fewer at the end."""


@dataclass
class TarMember:
    """One file or folder; its data must be taken before the next member is asked for."""

    name: str
    """Path as written."""

    size: int
    """Bytes."""

    folder: bool
    """No data, only a place."""

    _read: Reader = field(repr=False)
    _left: int = 0

    def blocks(self, largest: int = 2**20) -> Iterator[bytes]:
        """The data, in pieces."""
        while self._left:
            piece = self._read(min(self._left, largest))
            if not piece:
                raise _truncated(self.name)
            self._left -= len(piece)
            yield piece


def tar_members(read: Reader) -> Iterator[TarMember]:
    """The members of a tar archive, one after the other.

    Raises
    ------
    DeliveryError
        For a broken or cut archive, a link, a device, or another member that is no file and no folder.
    """
    long_name: str | None = None
    while (header := _exactly(read, _BLOCK, "header")) != _ZEROS:
        kind, name, size = _header(header)
        if kind in (b"L", b"x", b"g"):
            long_name = _long(read, kind, name, size) or long_name
            continue
        if long_name is not None:
            name, long_name = long_name, None
        if kind not in (b"0", b"\0", b"5", b"7"):
            got = _REFUSED.get(kind, f"a member of kind {kind!r}")
            raise DeliveryError(f"member {name[:200]!r}", expected="an ordinary file or folder", got=got)
        folder = kind == b"5" or name.endswith("/")
        if folder and size:
            raise DeliveryError(
                f"member {name[:200]!r}", expected="a folder without data", got=f"{size} bytes"
            )
        member = TarMember(name, size, folder, read, size)
        yield member
        for _ in member.blocks():
            pass
        _exactly(read, -size % _BLOCK, name)
    _only_zeros(read)


def _only_zeros(read: Reader) -> None:
    """Nothing hides behind the end; reading on also makes a packed stream check its own sum."""
    if _exactly(read, _BLOCK, "end") != _ZEROS:
        raise DeliveryError("end of the archive", expected="two blocks of zeros", got="one")
    while rest := read(2**16):
        if rest.strip(b"\0"):
            raise DeliveryError("end of the archive", expected="nothing behind it", got="more data")


def _exactly(read: Reader, count: int, where: str) -> bytes:
    pieces = b""
    while len(pieces) < count:
        piece = read(count - len(pieces))
        if not piece:
            raise _truncated(where)
        pieces += piece
    return pieces


def _truncated(where: str) -> DeliveryError:
    return DeliveryError(
        f"member {where[:200]!r}",
        expected="the whole archive",
        got="its end too early",
        mend="Fetch the delivery again.",
    )


def _header(block: bytes) -> tuple[bytes, str, int]:
    """Kind, name and size of a member; the header's own sum is checked."""
    stated = _number(block[148:156])
    if stated != sum(block[:148]) + sum(block[156:]) + 8 * 32:
        raise DeliveryError("header of a member", expected="its own check sum", got="another")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    return block[156:157], name, _number(block[124:136])


def _number(field_: bytes) -> int:
    """Octal text, or base 256 when the first bit is set."""
    if field_[0] & 0x80:
        if field_[0] != 0x80:
            raise DeliveryError(
                "header of a member", expected="a size", got="a number below zero or too large"
            )
        return int.from_bytes(field_[1:], "big")
    text = field_.strip(b" \0")
    if not all(digit in b"01234567" for digit in text):
        raise DeliveryError("header of a member", expected="octal digits", got=repr(text)[:40])
    return int(text or b"0", 8)


def _text(data: bytes) -> str:
    """A name: UTF-8 or, as some Chinese stations write, GB 18030; what follows the first zero is not it."""
    data = data.split(b"\0", 1)[0]
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DeliveryError(f"member {data!r}"[:200], expected="a name in UTF-8 or GB 18030", got="neither")


def _long(read: Reader, kind: bytes, name: str, size: int) -> str | None:
    """The name that a member holds for the one after it."""
    if size > _LONGEST:
        raise DeliveryError(
            f"member {name[:200]!r}", expected=f"a name of at most {_LONGEST} bytes", got=f"{size}"
        )
    data = _exactly(read, size, name)
    _exactly(read, -size % _BLOCK, name)
    if kind == b"L":
        return _text(data)
    found = dict(_records(data))
    if bad := sorted(key for key in found if key == "size" or key.startswith("GNU.sparse")):
        raise DeliveryError(f"member {name[:200]!r}", expected="plain files", got=f"the attribute {bad[0]}")
    return found.get("path") if kind == b"x" else None


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """'LENGTH key=value' lines of POSIX headers; LENGTH counts the whole line."""
    while data.strip(b"\0"):
        digits, space, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        line = data[len(digits) + 1 : length]
        key, equals, value = line.partition(b"=")
        if not (space and equals and line.endswith(b"\n") and length <= len(data)):
            raise DeliveryError("attributes of a member", expected="'length key=value'", got=repr(data[:40]))
        if b"\0" in value:
            raise DeliveryError("attributes of a member", expected="text without zeros", got=repr(value[:40]))
        yield key.decode("utf-8", "replace"), _text(value[:-1])
        data = data[length:]
