"""Notes: how keys ended, one file a worker, where no driver keeps a ledger; who asks sees them merged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from stsfusion.running.array import Share
from stsfusion.running.lock import Holder, Lock
from stsfusion.running.outcome import Failure, Success

__all__ = ["Notebook", "Notes"]

End = Success[dict[str, Any]] | Failure


@dataclass(frozen=True)
class Notes:
    """The files of all workers of one run."""

    folder: Path
    """Where they lie, one JSON text a line."""

    def ends(self) -> dict[str, End]:
        """How each key ended, whoever did it; a success counts more than a failure, then the later line."""
        return {key: end for key, (end, _) in self.ended().items()}

    def ended(self) -> dict[str, tuple[End, str]]:
        """The same, and when (UTC, ISO text)."""
        found: dict[str, tuple[End, str]] = {}
        for path in self._files():
            for key, end, clock in _lines(path):
                if isinstance(end, Success) or key not in found or not isinstance(found[key][0], Success):
                    found[key] = end, clock
        return found

    def tally(self) -> dict[str, tuple[int, int]]:
        """How many keys each worker did, and how many failed there, by the worker's name `I/N`."""
        counted = {}
        for path in self._files():
            last = {key: end for key, end, _ in _lines(path)}
            done = sum(isinstance(end, Success) for end in last.values())
            counted[_name(path)] = (done, len(last) - done)
        return counted

    def done_since(self, clock: str) -> tuple[int, float]:
        """How many keys were done at this time or later, and in how many seconds; as `Ledger.done_since`."""
        spans = {}
        for path in self._files():
            for key, end, over in _lines(path):
                if isinstance(end, Success) and over >= clock:
                    at = datetime.fromisoformat(over).timestamp()
                    spans[key] = (at - end.seconds, at)
        if not spans:
            return 0, 0.0
        begun, ended = zip(*spans.values(), strict=True)
        return len(spans), max(ended) - min(begun)

    def at_work(self) -> dict[str, Holder]:
        """The workers that are there now, by their names `I/N`."""
        locks = sorted(self.folder.glob("*-of-*.lock"), key=_number)
        found = {_name(path): Lock(path).at_work() for path in locks}
        return {name: who for name, who in found.items() if who is not None}

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*-of-*.jsonl"), key=_number)

    def path(self, share: Share) -> Path:
        """A worker's file."""
        return self.folder / f"{share.number}-of-{share.count}.jsonl"

    def lock(self, share: Share) -> Lock:
        """Held by the one worker of this number."""
        return Lock(self.path(share).with_suffix(".lock"))


@dataclass
class Notebook:
    """One worker's own file, open for more; a line is on disk when `record` returns."""

    file: IO[bytes]
    """At its end."""

    @classmethod
    def open(cls, path: Path) -> Notebook:
        """A worker's file; a line that a death cut short is taken away."""
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        return cls(file)

    def record(self, key: str, end: End) -> None:
        """Note how a key ended."""
        kind = "done" if isinstance(end, Success) else "failed"
        line = json.dumps({"key": key, "state": kind, "clock": _clock(), "end": asdict(end)})
        self.file.write(line.encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Give the file back."""
        self.file.close()


def _clock() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _number(path: Path) -> list[int]:
    return [int(part) for part in path.stem.split("-of-")]


def _name(path: Path) -> str:
    return path.stem.replace("-of-", "/")


def _lines(path: Path) -> Iterator[tuple[str, End, str]]:
    """Of the lines that are whole the key, how it ended, and when (UTC, ISO text)."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            said = json.loads(line)
            kind = Success if said["state"] == "done" else Failure
            yield said["key"], kind(**said["end"]), str(said["clock"])
        except (ValueError, KeyError, TypeError):
            continue  # not ours, or torn by a disk that was full: the key counts as not done
