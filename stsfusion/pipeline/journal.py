"""Journal: what a run does, as it does it, one JSON text a line, for those who watch many runs.

::

    {"time": "2026-03-01T02:00:04.120Z", "run": "5f0c2e9a1b7d", "event": "tile", "tile": "t0-5.y0-9.x0-9", …}

Events: `begin`, `step begins`, `step` (it is over), `step fails`, `step stopped` (by a signal), `tile` (it is
done or failed), `published`, `end`. A run that finds nothing to do writes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stsfusion.running.outcome import Failure, Success

__all__ = ["FILE", "Journal"]

FILE = "log.jsonl"
"""Its name in the folder of what is private to a run."""

_LARGE = 16 * 2**20
"""Bytes beyond which it is begun anew; the one before stays beside it, as `log.jsonl.1`."""


@dataclass
class Journal:
    """The lines of one run; kept in mind until it does something."""

    folder: Path
    """Where the file lies; there once the run has claimed its folder."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    """The run's name, in every line."""

    waiting: list[str] = field(default_factory=list)
    """Lines that are not written yet."""

    awake: bool = False
    """Whether something was done."""

    mute: bool = False
    """Whether it writes nothing: of who only wants to know what a run would do."""

    def begin(self, **facts: Any) -> None:
        """Say who begins what; written with the first deed."""
        self._line("begin", pid=os.getpid(), host=socket.gethostname(), **facts)

    def say(self, event: str, **facts: Any) -> None:
        """Tell of a deed."""
        self.awake = True
        self._line(event, **facts)

    def tile(self, key: str, end: Success[dict[str, Any]] | Failure) -> None:
        """Tell how a tile ended."""
        done = isinstance(end, Success)
        facts = {k: v for k, v in end.value.items() if k != "key"} if isinstance(end, Success) else {}
        why = {} if done else {"why": str(end)[:500]}
        facts |= {"worker": end.worker, "seconds": round(end.seconds, 4)}
        self.say("tile", tile=key, done=done, **facts, **why)

    def end(self, **facts: Any) -> None:
        """Say how it ended; nothing when nothing was done."""
        self._line("end", **facts)

    def _line(self, event: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.waiting.append(json.dumps({"time": now, "run": self.run, "event": event, **facts}, default=str))
        if self.awake and not self.mute and self.folder.is_dir():
            with suppress(OSError):  # a full disk: what it says is written when there is room again
                self._write()

    def _write(self) -> None:
        """One write a batch, at the file's end: lines of runs that follow each other do not mix."""
        path = self.folder / FILE
        if path.exists() and path.stat().st_size > _LARGE:
            path.replace(path.with_name(f"{FILE}.1"))
        text = "".join(f"{line}\n" for line in self.waiting).encode()
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read(1) not in (b"", b"\n"):  # cut short by a death or a power cut
                text = b"\n" + text
            try:
                whole = file.write(text) == len(text)
            except OSError:
                whole = False
            if not whole:  # half a line would spoil the next one
                file.truncate(size)
                return
        self.waiting.clear()
