"""Archives from strangers, unpacked into a fresh folder, or not at all."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from stsfusion.ingest.files import local_file, member_path
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import CrowdError, DeliveryError
from stsfusion.ingest.tarstream import tar_members
from stsfusion.ingest.zipstream import zip_members

__all__ = ["SUFFIXES", "archive_stem", "unpack", "unpacked"]

SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar", ".zip")
"""Names of archives, in small letters."""

_KEPT = frozenset(
    {
        ".tif",
        ".tiff",
        ".geotiff",
        ".hdr",
        ".dat",
        ".img",
        ".bsq",
        ".bil",
        ".bip",
        ".xml",
        ".rpb",
        ".raw",
        ".txt",
    }
    | {".yaml", ".json", ".jpg", ".jpeg", ".png", ""}
)
"""What a product is made of, an ENVI cube without a suffix too; members of other kinds are not written."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}$")

_MEMORY = 2**28
"""Bytes that unpacking may take, whatever the archive asks for."""


class Member(Protocol):
    """One file or folder of an archive, whatever kind of archive it is."""

    name: str
    size: int
    folder: bool

    def blocks(self) -> Iterator[bytes]:
        """The data, in pieces."""


def _kind(name: str) -> str:
    """A name's suffix in small letters; '' where what stands behind the last dot is part of the name."""
    found = _ENDING.search(name)
    return found.group().lower() if found else ""


def archive_stem(path: str | Path) -> str | None:
    """The file's name without '.tar.gz' or its like; None when it is no archive by its name."""
    name = Path(path).name
    suffix = next((end for end in SUFFIXES if name.lower().endswith(end)), None)
    return name[: -len(suffix)] if suffix else None


def unpack(
    path: str | Path, folder: Path, limits: Limits | None = None, watch: Callable[[str], None] | None = None
) -> Path:
    """Unpack an archive into `folder`/STEM, which appears only when all of it is there.

    Parameters
    ----------
    watch
        Called with each member's name as it is met, so that something is known of what cannot be unpacked.

    Returns
    -------
    The new folder.

    Raises
    ------
    DeliveryError
        For anything but honest files within the limits, naming archive and member; nothing is left behind,
        and no byte is written outside `folder`.
    """
    archive = local_file(path)
    target = folder / (archive_stem(archive) or archive.name)
    if target.exists():
        raise DeliveryError(
            f"folder {target}",
            expected="nothing there yet",
            got="a file or folder",
            mend="Remove it, or unpack elsewhere.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".unpack-", dir=folder))
    try:
        _fill(archive, fresh, limits or Limits(), watch or (lambda name: None))
        fresh.chmod(0o755)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return target


@contextmanager
def unpacked(
    path: str | Path, folder: Path, limits: Limits | None = None, watch: Callable[[str], None] | None = None
) -> Iterator[Path]:
    """The content of an archive in a temporary folder inside `folder`, gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".look-", dir=folder))
    try:
        yield unpack(path, fresh, limits, watch)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _fill(archive: Path, fresh: Path, limits: Limits, watch: Callable[[str], None]) -> None:
    try:
        with archive.open("rb") as file:
            if file.read(4)[:2] == b"PK":
                file.seek(0)
                budget = _Budget(archive, limits)
                _write(zip_members(file, limits, budget.take), fresh, budget, watch)
            else:
                file.seek(0)
                budget = _Budget(archive, limits)
                _write(tar_members(budget.meter(_decoded(file))), fresh, budget, watch)
    except DeliveryError as fault:
        where = f"archive {archive}: {fault.where}"
        raise type(fault)(where, expected=fault.expected, got=fault.got, mend=fault.mend) from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, MemoryError) as fault:
        raise DeliveryError(
            f"archive {archive}",
            expected="a whole archive",
            got=str(fault) or "a broken one",
            mend="Fetch the delivery again.",
        ) from fault
    except OSError as fault:
        raise DeliveryError(
            f"archive {archive}: {fault.filename or ''}",
            expected="room and rights to unpack",
            got=fault.strerror or str(fault),
        ) from fault


def _decoded(file: BinaryIO) -> Callable[[int], bytes]:
    """Reads the stream behind gzip or xz, or the plain one; each checks its own sums at the end."""
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file, mode="rb").read
    if magic == b"\xfd7zXZ\0":
        return _Xz(file).read
    return file.read


class _Xz:
    """An xz stream read with bounded memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.coder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)

    def read(self, count: int) -> bytes:
        """At most so many bytes; none at the end."""
        while not self.coder.eof:
            packed = self.file.read(2**16) if self.coder.needs_input else b""
            if self.coder.needs_input and not packed:
                raise EOFError("its end too early")
            if data := self.coder.decompress(packed, count):
                return data
        if self.coder.unused_data.strip(b"\0") or self.file.read(1):
            raise lzma.LZMAError("more data behind the end")
        return b""


@dataclass
class _Budget:
    """What may still be unpacked."""

    archive: Path
    """The archive, whose size is the measure."""

    limits: Limits
    """The bounds."""

    taken: int = field(default=0, init=False)
    """Bytes so far."""

    members: int = field(default=0, init=False)
    """Files and folders so far."""

    def take(self, count: int) -> None:
        """Count unpacked bytes, before they are kept."""
        self.taken += count
        limits = self.limits
        allowed = min(limits.total, limits.spare + int(limits.growth * self.archive.stat().st_size))
        if self.taken > allowed:
            raise DeliveryError(
                "content",
                expected=f"at most {allowed} bytes unpacked",
                got="more",
                mend="This is no imagery; do not open it.",
            )

    def enter(self) -> None:
        """Count one more member."""
        self.members += 1
        if self.members > self.limits.members:
            raise CrowdError("content", expected=f"at most {self.limits.members} members", got="more")

    def meter(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same reader, with everything counted that comes out of it: padding and headers, too."""

        def counted(count: int) -> bytes:
            data = read(count)
            self.take(len(data))
            return data

        return counted


def _write(members: Iterator[Member], fresh: Path, budget: _Budget, watch: Callable[[str], None]) -> None:
    """Write the members below `fresh`; it is new and nobody else's, so nothing in it is a link."""
    seen: dict[str, bool] = {}
    for member in members:
        watch(member.name)
        budget.enter()
        parts = member_path(member.name, budget.limits)
        _claim(seen, parts, member)
        place = fresh.joinpath(*parts)
        if member.folder:
            place.mkdir(parents=True, exist_ok=True)
        elif _kind(place.name) in _KEPT:
            place.parent.mkdir(parents=True, exist_ok=True)
            _put(place, member.blocks())
        else:
            for _ in member.blocks():
                pass
    if not seen:
        raise DeliveryError("content", expected="at least one file", got="nothing")


def _claim(seen: dict[str, bool], parts: tuple[str, ...], member: Member) -> None:
    """Each path once, whatever the case of its letters, and no file where a folder is needed."""
    words = [unicodedata.normalize("NFC", part).casefold() for part in parts]
    for depth in range(1, len(words)):
        if seen.setdefault("/".join(words[:depth]), True) is False:
            raise DeliveryError(f"member {member.name[:200]!r}", expected="a folder above it", got="a file")
    own = "/".join(words)
    if own in seen and not (member.folder and seen[own]):
        raise DeliveryError(f"member {member.name[:200]!r}", expected="each path once", got="the same again")
    seen[own] = member.folder


def _put(place: Path, blocks: Iterator[bytes]) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
