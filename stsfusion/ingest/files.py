"""Plain local files, and nothing else: no links, devices, addresses or virtual file systems."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from pathlib import Path

from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError, reading

__all__ = ["check_digest", "digest", "local_file", "member_path", "read_bytes", "read_text"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""'https:', 'file:', 'HDF5:'; one letter is a drive, refused as part of a member's name."""

_BLOCK = 2**20
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Unicode categories of characters that a name must not hold."""


def local_file(path: str | Path) -> Path:
    """A path that leads to an ordinary file on this machine.

    Raises
    ------
    DeliveryError
        For an address, a virtual file system of GDAL's, a link, a folder, a device, or nothing at all.
    """
    text = os.fspath(path)
    if _SCHEME.match(text) or text.startswith(("/vsi", "\\\\", "<")) or "\0" in text:
        raise DeliveryError(
            f"file {text[:200]!r}",
            expected="a path on this machine",
            got="an address or a virtual file",
            mend="Fetch the file first, then name where it lies.",
        )
    found = Path(text)
    with reading(found, "a file"):
        mode = found.lstat().st_mode
    if not stat.S_ISREG(mode):
        raise DeliveryError(
            f"file {found}",
            expected="an ordinary file",
            got=_kind(mode),
            mend="Put the file itself there.",
        )
    return found


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
    return next((word for test, word in kinds if test(mode)), "a device or socket")


def read_bytes(path: str | Path, limit: int) -> bytes:
    """All bytes of a small file.

    Raises
    ------
    DeliveryError
        When it is not an ordinary file, or larger than `limit` bytes; then nothing of it is read.
    """
    found = local_file(path)
    with reading(found, "a readable file"), found.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(limit + 1) if size <= limit else b""
    if size > limit or len(data) > limit:
        raise DeliveryError(f"file {found}", expected=f"at most {limit} bytes", got=f"{size}")
    return data


def read_text(path: str | Path, limits: Limits) -> str:
    """A plain text side file in UTF-8, with or without a byte order mark, or in GB 18030."""
    data = read_bytes(path, limits.text)
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise DeliveryError(f"file {path}", expected="text", got="bytes that are no text")


def digest(path: str | Path) -> str:
    """The sha256 of a file, hexadecimal."""
    found = local_file(path)
    total = hashlib.sha256()
    with reading(found, "a readable file"), found.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def check_digest(path: str | Path, expected: str | None) -> None:
    """Refuse a file that is not the one whose sha256 was recorded; None: nothing was recorded."""
    if expected is not None and (got := digest(path)) != expected:
        raise DeliveryError(
            f"file {path}",
            expected=f"sha256 {expected[:16]}…, as recorded",
            got=f"{got[:16]}…",
            mend="It has changed since it was catalogued: restore it, or build the catalog anew.",
        )


def member_path(name: str, limits: Limits) -> tuple[str, ...]:
    """The parts of a member's path inside its archive.

    Raises
    ------
    DeliveryError
        For a path that leads out of the archive, cannot be seen, or is too long.
    """
    fault = _fault(name, limits)
    if fault:
        raise DeliveryError(f"member {name[:200]!r}", expected="a path inside the archive", got=fault)
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _fault(name: str, limits: Limits) -> str:
    """What is wrong with a member's name, or ''."""
    parts = name.split("/")
    if name.startswith("/") or _SCHEME.match(name) or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if ".." in parts:
        return "a way out ('..')"
    if "\\" in name:
        return "a backslash"
    if any(unicodedata.category(letter) in _UNSEEN for letter in name):
        return "characters that cannot be seen"
    if not any(part not in ("", ".") for part in parts):
        return "" if name.strip("/") == "." else "no name"
    if len(name.encode()) > 4 * limits.name or any(len(part.encode()) > limits.name for part in parts):
        return f"a name of {len(name.encode())} bytes"
    return ""
