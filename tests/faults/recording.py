"""Recording: every state that a run's folder passes through, as a disk sees it, and what was forced onto it.

A folder's entries and a file's content change at different moments and reach the disk by different calls.
Folders and files are therefore kept apart, by inode, and each step says what changed and what was fsynced.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import pickle
import resource
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Recorder", "Recording", "Step"]

_TICK = 0.05
"""Seconds within which two changes of a file may bear the same time."""


@dataclass
class Step:
    """What changed between two operations."""

    label: str
    """The operation that came next."""

    files: dict[int, str] = field(default_factory=dict)
    """New content of files, by inode: a key of `Recording.blobs`."""

    folders: dict[int, dict[str, int | None]] = field(default_factory=dict)
    """Entries that came, changed or went (None), by the folder's inode."""

    synced: int | None = None
    """Inode that was forced to the disk, after these changes."""


@dataclass
class Recording:
    """All steps of one run; the first holds what was there before."""

    root: int
    """Inode of the watched folder."""

    steps: list[Step] = field(default_factory=list)
    """In their order."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    """Contents of files, by digest."""

    is_folder: set[int] = field(default_factory=set)
    """Inodes that are folders."""

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read one that was written by a run of these tests."""
        found = pickle.loads(path.read_bytes())
        assert isinstance(found, cls)
        return found


class Recorder:
    """Looks at a folder before each operation, and after each fsync."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place = root, place
        root.mkdir(parents=True, exist_ok=True)
        self.entries: dict[int, dict[str, int]] = {}
        self.known: dict[int, tuple[float, int, str]] = {}
        self.held: dict[int, int] = {}
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.recording = Recording(os.stat(root).st_ino)
        self._look("begin")
        atexit.register(self.close)

    def step(self, watch: Any, deed: str, path: str, count: int) -> None:
        """Called by the watch before every operation."""
        if deed != "read":
            self._look(f"{deed} {path}")

    def synced(self, handle: int) -> None:
        """Called after an fsync."""
        self._look("synced")
        self.recording.steps.append(Step("synced", synced=os.fstat(handle).st_ino))

    def close(self) -> None:
        """Look for the last time, and write all down."""
        self._look("end")
        self.place.write_bytes(pickle.dumps(self.recording))

    def _look(self, label: str) -> None:
        found = Step(label)
        self._look_into(self.root, self.recording.root, found)
        if found.files or found.folders or label in ("begin", "end"):
            self.recording.steps.append(found)

    def _look_into(self, folder: Path, inode: int, found: Step) -> None:
        self.recording.is_folder.add(inode)
        self._hold(folder, inode)
        now: dict[str, int] = {}
        for entry in os.scandir(folder):
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another thread was quicker
                continue
            now[entry.name] = facts.st_ino
            if stat.S_ISDIR(facts.st_mode):
                self._look_into(folder / entry.name, facts.st_ino, found)
            else:
                self._look_at(folder / entry.name, facts, found)
        before = self.entries.get(inode, {})
        changed = {
            name: now.get(name) for name in now.keys() | before.keys() if now.get(name) != before.get(name)
        }
        if changed:
            found.folders[inode] = changed
        self.entries[inode] = now

    def _look_at(self, file: Path, facts: os.stat_result, found: Step) -> None:
        inode, stamp = facts.st_ino, (facts.st_mtime, facts.st_size)
        known = self.known.get(inode)
        if known is not None and known[:2] == stamp and time.time() - facts.st_mtime > _TICK:
            return
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return
        self._hold(file, inode)
        digest = hashlib.sha256(content).hexdigest()
        if known is None or known[2] != digest:
            self.recording.blobs[digest] = content
            found.files[inode] = digest
        self.known[inode] = (*stamp, digest)

    def _hold(self, path: Path, inode: int) -> None:
        """Keep a file open, so that no later one is given its inode."""
        if inode not in self.held:
            self.held[inode] = os.open(path, os.O_RDONLY)
