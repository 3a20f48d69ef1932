"""Notes: what a run's watch wrote down, and where in it a fault struck."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faults.watch import DEEDS, phase_of

__all__ = ["Note", "count_of", "notes_of", "struck"]


@dataclass(frozen=True)
class Note:
    """One file operation."""

    second: float
    """When it was asked for, since the watch began."""

    count: int
    """How many operations had changed something until then, itself included."""

    deed: str
    """What: `read`, one of DEEDS, or what a fault did."""

    path: str
    """Of which file, inside the watched folder."""

    @property
    def phase(self) -> str:
        """The phase of the run."""
        return phase_of(self.deed, self.path)

    def __str__(self) -> str:
        return f"{self.deed} {self.path}"


def notes_of(log: Path) -> list[Note]:
    """All of them, in order; a last line that was cut short is left out."""
    lines = log.read_text().splitlines() if log.exists() else []
    parted = [line.split("\t") for line in lines]
    return [Note(float(line[0]), int(line[1]), line[2], line[3]) for line in parted if len(line) == 4]


def count_of(log: Path) -> int:
    """How many operations of a run that is still on its way have changed something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return 0
    return int(lines[-1].split(b"\t")[1]) if lines and lines[-1].count(b"\t") == 3 else 0


def struck(log: Path) -> Note | None:
    """The last operation that changed something, or was about to, before a run died; None: it did nothing."""
    found = [note for note in notes_of(log) if note.deed in DEEDS]
    return found[-1] if found else None
