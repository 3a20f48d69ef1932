"""Lock: one run at a time on one output; a run that died holds nothing."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from stsfusion.errors import LockedError, StoreError
from stsfusion.running.flock import hold, is_held

__all__ = ["Holder", "Lock"]

_TRIES, _PAUSE = 4, 0.03
"""Who only asks whether a lock is held has hold of it for a moment; seconds between two tries to take it."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    host: str
    """Machine."""

    pid: int
    """Process on it."""

    since: str
    """When it was taken, UTC, ISO text."""

    sure: bool = True
    """Whether it is known to hold it; else it said so last."""

    def __str__(self) -> str:
        who = f"process {self.pid} on {self.host} since {self.since}"
        return who if self.sure else f"{who} said so last; whether it still runs cannot be told from here"

    @classmethod
    def me(cls) -> Holder:
        """The process that asks, now."""
        return cls(socket.gethostname(), os.getpid(), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def _nobody() -> str:
    return ""


@dataclass
class Lock:
    """An exclusive lock on a file, held while the context is open.

    The operating system drops it when the process ends, however it ends, and over a reboot; what the note
    beside the file says of its holder is for people only.
    """

    path: Path
    """The lock file; it stays when the lock is given back."""

    guests: Callable[[], str] = _nobody
    """Says who shares it now, when nobody has it for himself; empty: nobody knows."""

    _held: int | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        for at in range(_TRIES):
            time.sleep(_PAUSE if at else 0.0)
            held = hold(self.path)
            if held is not None:
                break
        else:
            raise LockedError(
                f"output {self.path.parent}",
                expected="no other run on it",
                got=f"one by {self.holder()}",
                mend="Wait for it to end and run the same command again.",
            )
        self._held = held
        try:
            me = Holder.me()
            self._note.write_text(json.dumps({"host": me.host, "pid": me.pid, "since": me.since}))
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._note.unlink(missing_ok=True)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None

    def holder(self) -> str:
        """Who holds it, as far as is known."""
        return str(self.at_work() or self.guests() or self._noted() or "a process that has not said its name")

    def at_work(self) -> Holder | None:
        """Who holds it now, by what the operating system says of the lock, here or on another machine.

        Where that cannot be asked, who said so last.
        """
        who = self._noted()
        if who is None:
            return None
        try:
            return who if is_held(self.path) else None
        except FileNotFoundError:
            return None
        except (StoreError, OSError):
            return replace(who, sure=False)

    def _noted(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")
