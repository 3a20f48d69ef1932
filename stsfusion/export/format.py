"""Format: a kind of file, and what each kind must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from stsfusion.export.part import Part

__all__ = ["Format", "Watch"]

Watch = Callable[[float, str], None]
"""Is told the share that is done, 0 to 1, and what is being written."""


class Format(ABC):
    """Writes a part of a series; has no settings of its own."""

    title: ClassVar[str]
    """What it is, in a few words."""

    @abstractmethod
    def files(self, part: Part) -> list[str]:
        """Names of all files that write() leaves, nothing else."""

    @abstractmethod
    def write(self, part: Part, folder: Path, watch: Watch) -> None:
        """Write them into an empty folder, holding one block at a time."""
