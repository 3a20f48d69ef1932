"""Stamps: what tells one state of a file from the next, by whatever path it is reached."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["stamps"]


def stamps(paths: Iterable[Path], near: Path) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time of change in nanoseconds of the files among some paths.

    Names are the same whichever folder a command is given in, and however it names the recipe; those of files
    below the recipe's folder stay when both are moved together.

    Parameters
    ----------
    near
        The recipe's folder.
    """
    home = Path(os.path.abspath(near))
    return [(_name(p, home), p.stat().st_size, p.stat().st_mtime_ns) for p in paths if p.is_file()]


def _name(path: Path, home: Path) -> str:
    """As seen from a folder where it lies below it, else from the root."""
    whole = Path(os.path.abspath(path))
    return (whole.relative_to(home) if whole.is_relative_to(home) else whole).as_posix()
