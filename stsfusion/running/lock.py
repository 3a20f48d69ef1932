"""Lock: one run at a time on one output; a run that died holds nothing."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from filelock import FileLock, Timeout

from stsfusion.errors import LockedError

__all__ = ["Holder", "Lock"]


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str
    """Machine."""

    pid: int
    """Process on it."""

    since: str
    """When it was taken, UTC, ISO text."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @classmethod
    def me(cls) -> Holder:
        """The process that asks, now."""
        return cls(socket.gethostname(), os.getpid(), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


@dataclass
class Lock:
    """An exclusive lock on a file, held while the context is open.

    The operating system drops it when the process ends, however it ends, and over a reboot; what the note
    beside the file says of its holder is for people only.
    """

    path: Path
    """The lock file; it stays when the lock is given back."""

    _held: FileLock | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = FileLock(self.path)
        try:
            file.acquire(timeout=0)
        except Timeout:
            raise LockedError(
                f"output {self.path.parent}",
                expected="no other run on it",
                got=f"one by {self.holder()}",
                mend="Wait for it to end and run the same command again.",
            ) from None
        self._held = file  # the lock lives as long as this object
        self._note.write_text(json.dumps(asdict(Holder.me())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._note.unlink(missing_ok=True)
        if self._held is not None:
            self._held.release()
        self._held = None

    def holder(self) -> str:
        """Who holds it, as far as is known."""
        who = self._noted()
        return "a process that has not said its name" if who is None else str(who)

    def at_work(self) -> Holder | None:
        """Who holds it now, found out without touching it; on another machine, who said so last."""
        who = self._noted()
        if who is None or who.host != socket.gethostname():
            return who
        return who if psutil.pid_exists(who.pid) else None

    def _noted(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")
