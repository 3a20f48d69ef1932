"""Power cuts: the states in which a disk may be found when the current fails at any step of a recorded run.

Forced to the disk is what was fsynced: a file's content by an fsync of the file, a folder's entries by an
fsync of the folder. Of the rest a disk may have kept anything::

    ordered     entries as they were (a journal keeps their order), unforced contents lost, cut or blank
    scattered   each unforced change of entries kept or lost by itself; a rename is one change, also a swap

SQLite forces its own file at each commit, past Python: the ledger is always as it was. That is the harder
case for a run, whose ledger may then know of tiles that the disk has lost.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faults.recording import Recording, Step

__all__ = ["Disk", "Outage"]

_FORCED = "ledger.sqlite"


@dataclass
class Disk:
    """What is on a disk, and what is only on its way to it."""

    recording: Recording
    """Where the steps come from."""

    content: dict[int, str] = field(default_factory=dict)
    """Digest of each file's content as programs see it."""

    forced: dict[int, str] = field(default_factory=dict)
    """The same as the disk is sure to have it."""

    entries: dict[int, dict[str, int]] = field(default_factory=dict)
    """Entries of each folder that the disk is sure to have."""

    pending: dict[int, list[tuple[int, dict[str, int | None]]]] = field(default_factory=dict)
    """Changes of entries that it may not have yet, with the number of their step."""

    @classmethod
    def at(cls, recording: Recording, step: int) -> Disk:
        """The disk when the current fails right after a step."""
        disk = cls(recording)
        for number, each in enumerate(recording.steps[: step + 1]):
            disk.take(number, each)
            if number == 0:
                disk.force_all()
        return disk

    def take(self, number: int, step: Step) -> None:
        """One step on."""
        self.content.update(step.files)
        for folder, changes in step.folders.items():
            self.pending.setdefault(folder, []).append((number, changes))
        if step.synced in self.recording.is_folder:
            for _, changes in self.pending.pop(step.synced, []):
                self._apply(self.entries.setdefault(step.synced, {}), changes)
        elif step.synced in self.content:
            self.forced[step.synced] = self.content[step.synced]

    def force_all(self) -> None:
        """All that is there is safe, as after a day."""
        self.forced = dict(self.content)
        for folder, waiting in self.pending.items():
            for _, changes in waiting:
                self._apply(self.entries.setdefault(folder, {}), changes)
        self.pending.clear()

    @staticmethod
    def _apply(entries: dict[str, int], changes: Mapping[str, int | None]) -> None:
        for name, inode in changes.items():
            if inode is None:
                entries.pop(name, None)
            else:
                entries[name] = inode


@dataclass
class Outage:
    """One way in which the current failed."""

    disk: Disk
    """At that moment."""

    dice: random.Random
    """Draws what was lost."""

    scattered: bool
    """Whether changes of entries are lost one by one."""

    lost: int = 0
    """Changes and contents that did not reach the disk."""

    def restore(self, out: Path) -> None:
        """Write what is found afterwards into a new folder."""
        kept: dict[int, bool] = {}
        self._folder(out, self.disk.recording.root, kept)

    def _folder(self, place: Path, inode: int, kept: dict[int, bool]) -> None:
        place.mkdir()
        found = dict(self.disk.entries.get(inode, {}))
        for number, changes in self.disk.pending.get(inode, []):
            whole = not self.scattered or kept.setdefault(number, self.dice.random() < 0.5)
            safe = changes if whole else {n: i for n, i in changes.items() if n.startswith(_FORCED)}
            self.lost += len(changes) - len(safe)
            Disk._apply(found, safe)
        for name, below in found.items():
            if below in self.disk.recording.is_folder:
                self._folder(place / name, below, kept)
            else:
                (place / name).write_bytes(self._content(name, below))

    def _content(self, name: str, inode: int) -> bytes:
        blobs = self.disk.recording.blobs
        now = blobs[self.disk.content[inode]]
        before = blobs[self.disk.forced[inode]] if inode in self.disk.forced else b""
        if now == before or name.startswith(_FORCED):
            return now
        cut = self.dice.randrange(len(now) + 1)
        blank = now[:cut] + bytes(len(now) - cut)
        found = self.dice.choice([before, now[:cut], bytes(len(now)), blank, now])
        self.lost += found != now
        return found
