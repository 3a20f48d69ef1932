"""Judge: what must hold right after a fault, and what must hold when the same command has gone on."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from faults.project import Project, contents, series_of
from faults.tally import Tally

from stsfusion.cube.verification import verify

__all__ = ["Judge", "Reader"]

_PRIVATE = (".stsfusion/lock.json",)
"""Files that a run leaves or not, by the moment."""


@dataclass
class Judge:
    """Compares what a fault left with what was before and what should come."""

    project: Project
    """Whose outputs are judged."""

    tally: Tally
    """Where losses and corruptions are counted."""

    before: str = ""
    """Name of the kept output that was there before the run; empty: none."""

    after: str = "new"
    """Name of the kept output that the run must end with."""

    @property
    def allowed(self) -> set[str | None]:
        """Digests of the series that a reader may see: what was there, and the whole new one."""
        old = series_of(self.project.kept[self.before] / "fused.zarr") if self.before else None
        return {old, series_of(self.project.kept[self.after] / "fused.zarr")}

    def after_fault(self, out: Path, point: str) -> None:
        """What was committed is there, and nothing else is shown."""
        try:
            shown = series_of(out / "fused.zarr")
        except Exception as error:
            self.tally.corrupt.append(f"{point}: the published series cannot be read: {error!r}")
            return
        if shown is None and None not in self.allowed:
            self.tally.lost.append(f"{point}: the published series is gone")
        elif shown not in self.allowed:
            self.tally.corrupt.append(f"{point}: a series is shown that is neither the old nor the new one")

    def goes_on(self, out: Path, point: str) -> None:
        """The same command ends with the bytes of an undisturbed run, and leaves nothing lying about."""
        flight = self.project.run(out, self.after)
        assert flight.code == 0, f"{point}: the same command ended {flight.code}\n{flight.printed()}"
        self.is_whole(out, point)

    def is_whole(self, out: Path, point: str) -> None:
        """What is there equals an undisturbed run's, file by file; `verify` agrees."""
        expected = self.project.kept[self.after]
        here, there = contents(out / "fused.zarr"), contents(expected / "fused.zarr")
        differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
        if differing:
            self.tally.corrupt.append(f"{point}: after going on, {differing[:4]} differ")
        damages = verify(out / "fused.zarr").damages
        if damages:
            self.tally.corrupt.append(f"{point}: after going on, verify finds {damages[:4]}")
        assert files_of(out) == files_of(expected), (point, files_of(out) ^ files_of(expected))

    def acquit(self) -> None:
        """Nothing was lost or spoilt so far."""
        assert not self.tally.lost, self.tally.lost
        assert not self.tally.corrupt, self.tally.corrupt


def files_of(out: Path) -> set[str]:
    """Every file of an output folder, by its place; earlier generations whatever their number."""
    places = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} - set(_PRIVATE)
    return {re.sub(r"generations/\d+", "generations/N", place) for place in places}


def done_tiles(out: Path) -> dict[str, str]:
    """Checksum of every tile that the ledger says is done."""
    place = out / ".stsfusion" / "ledger.sqlite"
    if not place.exists():
        return {}
    with closing(sqlite3.connect(place)) as database:
        try:
            rows = database.execute("SELECT key, record FROM keys WHERE state = 'done'").fetchall()
        except sqlite3.OperationalError:
            return {}
    return {key: json.loads(record)["checksum"] for key, record in rows}


@dataclass
class Reader(threading.Thread):
    """Someone who opens the published series again and again while it is being replaced."""

    store: Path
    """The series."""

    seen: list[str | None] = field(default_factory=list)
    """Digests, in the order in which they were seen; what changed under the reading is not counted."""

    broken: list[str] = field(default_factory=list)
    """What could not be read although it did not change meanwhile."""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()

    def run(self) -> None:
        """Read until told to stop."""
        while not self._over.wait(0.12):
            before = self._stamp()
            try:
                found, words = series_of(self.store), ""
            except Exception as error:
                found, words = None, repr(error)
            if before != self._stamp():
                continue
            if words:
                self.broken.append(words)
            elif found not in self.seen[-1:]:
                self.seen.append(found)

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *words: object) -> None:
        self._over.set()
        self.join(30)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = (self.store / "zarr.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    __hash__ = threading.Thread.__hash__
