"""Crew: who is at work in a folder: one run that has it for itself, or workers of an array side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stsfusion.pipeline.folder import Folder
from stsfusion.running.lock import Holder, Lock
from stsfusion.running.notes import Notes

__all__ = ["Crew", "lock_of"]

_SHOWN = 4
"""Workers that are named in a line."""


@dataclass(frozen=True)
class Crew:
    """Processes at work, as the operating system tells it; never both kinds at once."""

    run: Holder | None
    """Who has the folder for itself."""

    workers: Mapping[str, Holder]
    """Workers of an array by their names `I/N`."""

    @classmethod
    def of(cls, folder: Folder) -> Crew:
        """Who is there now; nobody is disturbed."""
        run = Lock(folder.work / "lock").at_work()
        return cls(run, {} if run is not None and run.sure else _workers(folder))

    def __bool__(self) -> bool:
        return bool(self.run or self.workers)

    def __str__(self) -> str:
        """In words; empty: nobody."""
        if self.run is not None and not self.workers:
            return str(self.run)
        first = [f"{name}: {who}" for name, who in self.workers.items()][:_SHOWN]
        more = f"; and {len(self.workers) - _SHOWN} more" if len(self.workers) > _SHOWN else ""
        return f"workers of an array, {'; '.join(first)}{more}" if first else ""

    @property
    def since(self) -> str | None:
        """When the first of them began (UTC, ISO text); None: nobody is there."""
        if self.run is not None and not self.workers:
            return self.run.since
        return min((who.since for who in self.workers.values()), default=None)


def lock_of(folder: Folder) -> Lock:
    """What lets one run in at a time; whom it keeps out is told who is there, workers of an array too."""
    return Lock(folder.work / "lock", guests=lambda: str(Crew(None, _workers(folder))))


def _workers(folder: Folder) -> dict[str, Holder]:
    found: dict[str, Holder] = {}
    for place in sorted(folder.notes().glob("*/")):
        found |= Notes(place).at_work()
    return found
