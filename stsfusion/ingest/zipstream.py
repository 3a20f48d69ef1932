"""Zip archives: the directory is looked at before it is read, and only ordinary files are let through."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import CrowdError, DeliveryError

__all__ = ["ZipMember", "zip_members"]

_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_ENTRY = 1536
"""Bytes that one entry of the directory takes at most: 46, its name, some extra fields."""

_BROKEN: tuple[type[Exception], ...] = (zipfile.BadZipFile, struct.error, zlib.error, EOFError)
_BROKEN += (NotImplementedError, RuntimeError, ValueError)
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass
class ZipMember:
    """One file or folder."""

    name: str
    """Path as written."""

    size: int
    """Bytes, as stated."""

    folder: bool
    """No data, only a place."""

    _open: Callable[[], zipfile.ZipExtFile] = field(repr=False)
    _take: Callable[[int], None] = field(repr=False)

    def blocks(self, largest: int = 2**20) -> Iterator[bytes]:
        """The data, in pieces, each counted; the member's own sum is checked at its end."""
        if self.folder:
            return
        with _told(), self._open() as file:
            while piece := file.read(largest):
                self._take(len(piece))
                yield piece


def zip_members(file: BinaryIO, limits: Limits, take: Callable[[int], None]) -> Iterator[ZipMember]:
    """The members of a zip archive.

    Parameters
    ----------
    take
        Counts unpacked bytes, and stops when they are too many.

    Raises
    ------
    DeliveryError
        For a broken archive, too many members, a link, a locked or an oddly packed file.
    """
    entries, size = _directory(file)
    if entries > limits.members or size > limits.members * _ENTRY:
        raise CrowdError("content", expected=f"at most {limits.members} members", got=f"{entries} or more")
    with _told(), zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        if len(infos) != entries:
            raise DeliveryError("directory", expected=f"{entries} members, as stated", got=f"{len(infos)}")
        for info in infos:
            yield _member(archive, info, take)


@contextmanager
def _told() -> Iterator[None]:
    """What the library says against the archive, as a refusal."""
    try:
        yield
    except _BROKEN as fault:
        raise DeliveryError(
            "content",
            expected="a whole zip archive",
            got=str(fault) or "a broken one",
            mend="Fetch the delivery again.",
        ) from fault


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, take: Callable[[int], None]) -> ZipMember:
    mode = info.external_attr >> 16
    fault = ""
    if info.orig_filename != info.filename:
        fault = "a name with a hidden end"
    elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        fault = "a link" if stat.S_ISLNK(mode) else "a device"
    elif info.flag_bits & 0x41:
        fault = "a locked one"
    elif info.compress_type not in _METHODS:
        fault = f"one packed by method {info.compress_type}"
    elif info.is_dir() and info.file_size:
        fault = "a folder with data"
    if fault:
        raise DeliveryError(f"member {info.orig_filename[:200]!r}", expected="an ordinary file", got=fault)

    def opened() -> zipfile.ZipExtFile:
        return cast(zipfile.ZipExtFile, archive.open(info))

    return ZipMember(info.filename, info.file_size, info.is_dir(), opened, take)


def _directory(file: BinaryIO) -> tuple[int, int]:
    """Number of entries and bytes of the directory, as the archive's end states them."""
    length = file.seek(0, io.SEEK_END)
    start = max(0, length - 65557)
    file.seek(start)
    tail = file.read(65557)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise DeliveryError(
            "content",
            expected="a whole zip archive",
            got="no directory at its end",
            mend="Fetch the delivery again.",
        )
    entries, size = struct.unpack("<HI", tail[at + 10 : at + 16])
    locator = tail[at - 20 : at] if at >= 20 else b""
    if locator[:4] == _LOCATOR:
        file.seek(min(struct.unpack("<Q", locator[8:16])[0], length))
        record = file.read(56)
        if record[:4] == _END64 and len(record) == 56:
            entries, size = struct.unpack("<QQ", record[32:48])
    file.seek(0)
    return int(entries), int(size)
