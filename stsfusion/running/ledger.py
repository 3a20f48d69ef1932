"""Ledger: which keys of a run are planned, done or failed. SQLite, written by the driver alone.

Clock and host belong here and nowhere else, so that equal runs leave equal results.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stsfusion.errors import LockedError, StoreError
from stsfusion.running.outcome import Failure, Success

__all__ = ["Ledger"]

_TABLES = """
CREATE TABLE IF NOT EXISTS run (fingerprint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'done', 'failed')),
    record TEXT,
    why TEXT,
    worker TEXT,
    seconds REAL,
    clock TEXT
);
"""

_PATIENCE = 30.0
"""Seconds to wait while another process has the file for itself."""

_DISK = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO}
"""What SQLite says of a disk, as the operating system says it."""

_REMOVE = "Remove the file; tiles that were finished are then fused again."
_ALLOW = "Check that the file and its folder can be read and written."
_ASIDE = "Another program made it: move it elsewhere. Tiles that were finished are then fused again."

_MENDS = {
    sqlite3.SQLITE_NOTADB: _REMOVE,
    sqlite3.SQLITE_CORRUPT: _REMOVE,
    sqlite3.SQLITE_CANTOPEN: _ALLOW,
    sqlite3.SQLITE_PERM: _ALLOW,
    sqlite3.SQLITE_AUTH: _ALLOW,
    sqlite3.SQLITE_READONLY: _ALLOW,
    sqlite3.SQLITE_ERROR: _ASIDE,
}
"""What mends a ledger of which SQLite says this; what it says of anything else is told as it is."""


@dataclass(frozen=True)
class Ledger:
    """The keys of one run and how each of them ended.

    A record is on disk when `record` returns: a run that is killed forgets no key that it was told of.
    """

    path: Path
    """The SQLite file."""

    database: sqlite3.Connection
    """Open until `close`."""

    told: Callable[[str, Success[dict[str, Any]] | Failure], None] | None = None
    """Told of each end that is noted."""

    @classmethod
    def open(
        cls,
        path: Path,
        fingerprint: str,
        *,
        readonly: bool = False,
        told: Callable[[str, Success[dict[str, Any]] | Failure], None] | None = None,
    ) -> Ledger:
        """Open a run's ledger, or begin it.

        Parameters
        ----------
        fingerprint
            Of all that the results depend on. What another run noted is forgotten, since its results are
            not this run's.
        readonly
            Look only; then a ledger of another fingerprint shows nothing.
        told
            Told of each end once it is noted.

        Raises
        ------
        LockedError
            When another process has it for itself, and for long.
        StoreError
            When the file is no ledger, or cannot be read and written.
        OSError
            When the disk is full or fails.
        """
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            return cls(path, _empty())
        with _told(path):
            database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            try:
                if readonly and _fingerprint(database) != fingerprint:
                    database.close()
                    return cls(path, _empty())
                database.execute("PRAGMA synchronous = FULL")
                database.execute(f"PRAGMA query_only = {int(readonly)}")
                if not readonly:
                    _begin(database, fingerprint)
            except BaseException:
                database.close()
                raise
        return cls(path, database, told)

    def plan(self, keys: Sequence[str]) -> None:
        """Note the keys of the run, in their order; ends that are known stay, other keys are forgotten.

        Raises
        ------
        OSError
            When the disk is full or fails.
        """
        rows = [(key, place) for place, key in enumerate(keys)]
        with _told(self.path), self.database:
            self.database.execute("BEGIN")
            known = {key for (key,) in self.database.execute("SELECT key FROM keys")}
            gone = [(key,) for key in known.difference(keys)]
            self.database.executemany("DELETE FROM keys WHERE key = ?", gone)
            self.database.executemany(
                "INSERT INTO keys (key, place, state) VALUES (?, ?, 'planned') ON CONFLICT (key) DO NOTHING",
                rows,
            )

    def record(self, key: str, end: Success[dict[str, Any]] | Failure, clock: str | None = None) -> None:
        """Note how a key ended.

        Parameters
        ----------
        clock
            When (UTC, as `2026-03-01T02:00:00Z`); None: now.

        Raises
        ------
        StoreError
            When the key was never planned.
        OSError
            When the disk is full or fails.
        """
        clock = clock or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        done = isinstance(end, Success)
        row = (
            "done" if done else "failed",
            json.dumps(end.value) if isinstance(end, Success) else None,
            None if done else str(end),
            end.worker,
            end.seconds,
            clock,
            key,
        )
        with _told(self.path):
            changed = self.database.execute(
                "UPDATE keys SET state = ?, record = ?, why = ?, worker = ?, seconds = ?, clock = ?"
                " WHERE key = ?",
                row,
            )
        if not changed.rowcount:
            raise StoreError(
                f"ledger {self.path}, key '{key}'", expected="a planned key", mend="Plan it before the run."
            )
        if self.told is not None:
            self.told(key, end)

    def still_done(self, checksum: Callable[[str], str]) -> set[str]:
        """Keys that are done and whose results are still what they were.

        Parameters
        ----------
        checksum
            Of a key's results as they are now, to compare with the record's `checksum`. A key that fails the
            comparison counts as planned again.
        """
        known = {record["key"]: record["checksum"] for record in self.records()}
        good = {key for key, was in known.items() if checksum(key) == was}
        with _told(self.path):
            for key in known.keys() - good:
                forget = "UPDATE keys SET state = 'planned', record = NULL WHERE key = ?"
                self.database.execute(forget, (key,))
        return good

    def records(self) -> list[dict[str, Any]]:
        """What the work returned for each key that is done, with its worker, in the order of the keys."""
        rows = self._ask("SELECT record, worker FROM keys WHERE state = 'done' ORDER BY place")
        return [{**json.loads(record), "worker": worker} for record, worker in rows]

    def done_since(self, clock: str) -> tuple[int, float]:
        """How many keys were done at this time or later (UTC, `2026-03-01T02:00:00Z`), and how long it took.

        Seconds are counted from when the first of them began until the last was done, by their own clocks.
        """
        count, passed = self._ask(
            "SELECT COUNT(*), MAX(strftime('%s', clock)) - MIN(strftime('%s', clock) - seconds) "
            "FROM keys WHERE state = 'done' AND clock >= ?",
            clock,
        )[0]
        return int(count), float(passed or 0.0)

    def failures(self) -> dict[str, str]:
        """Why each failed key failed."""
        return dict(self._ask("SELECT key, why FROM keys WHERE state = 'failed' ORDER BY place"))

    def summary(self) -> dict[str, int]:
        """Number of keys in each state."""
        counted = dict(self._ask("SELECT state, COUNT(*) FROM keys GROUP BY state"))
        return {state: counted.get(state, 0) for state in ("planned", "done", "failed")}

    def _ask(self, question: str, *words: str) -> list[Any]:
        """The rows of an answer."""
        with _told(self.path):
            return self.database.execute(question, words).fetchall()

    def close(self) -> None:
        """Give the file back."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _empty() -> sqlite3.Connection:
    """What is seen of a run that has noted nothing."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(_TABLES)
    return database


def _fingerprint(database: sqlite3.Connection) -> str | None:
    """Whose the notes are; None when nobody has begun."""
    begun = database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'run'").fetchone()[0]
    row = database.execute("SELECT fingerprint FROM run").fetchone() if begun else None
    return None if row is None else str(row[0])


def _begin(database: sqlite3.Connection, fingerprint: str) -> None:
    """Make the tables this run's own, at once or not at all."""
    database.executescript(_TABLES)
    if _fingerprint(database) == fingerprint:
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM keys")
        database.execute("DELETE FROM run")
        database.execute("INSERT INTO run VALUES (?)", (fingerprint,))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What SQLite says in words that mend it: only a file that is damaged is to be removed.

    A full or failing disk is an error of files, told like those of all other files.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        if code in _DISK:
            raise OSError(_DISK[code], os.strerror(_DISK[code]), str(path)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LockedError(
                f"ledger {path}",
                expected="a moment in which it is free",
                got=f"another process that has had it for {_PATIENCE:g} s",
                mend="Wait for that to end and run the same command again.",
            ) from error
        if code not in _MENDS:
            raise
        raise StoreError(
            f"ledger {path}", expected="a ledger of stsfusion", got=str(error), mend=_MENDS[code]
        ) from error
