"""Disk: what must outlive a power cut is forced to the disk before anything relies on it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["draft_of", "flush", "replace"]


def flush(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def draft_of(path: Path) -> Path:
    """Where a file is written before it takes its place; who dies meanwhile leaves it there."""
    return path.with_name(f".{path.name}.new")


def replace(path: Path, content: bytes) -> None:
    """Write a file beside its place, bring it to the disk, and rename it there; if it is new.

    Whenever the current fails, the file is what it was or what it shall be.
    """
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = draft_of(path)
    beside.write_bytes(content)
    flush(beside)
    beside.replace(path)
    flush(path.parent)
