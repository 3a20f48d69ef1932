"""Folder: where a run leaves its results, whose it is, and which of its steps are done."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stsfusion.cube.disk import flush
from stsfusion.cube.generations import Generations
from stsfusion.errors import StoreError

__all__ = ["STEPS", "Folder", "write_text"]

STEPS = ("cubes", "fit", "fuse", "evaluate", "report")
"""The steps of a run, in their order."""


@dataclass(frozen=True)
class Folder:
    """The results of one recipe; what is private to the run lies in `.stsfusion`."""

    root: Path
    """The folder."""

    owner: str
    """Name of the recipe it belongs to."""

    file: Path
    """That recipe's file."""

    @property
    def cubes(self) -> Path:
        """Store of the input cubes."""
        return self.root / "cubes.zarr"

    @property
    def fused(self) -> Path:
        """The published series."""
        return self.root / "fused.zarr"

    @property
    def scores(self) -> Path:
        """Scores as JSON."""
        return self.root / "scores.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.root / "report.html"

    @property
    def work(self) -> Path:
        """What is private to the run."""
        return self.root / ".stsfusion"

    @property
    def ledger(self) -> Path:
        """Which tiles are done."""
        return self.work / "ledger.sqlite"

    @property
    def plan(self) -> Path:
        """The plan that workers read, with the method's weights."""
        return self.work / "plan"

    @property
    def generations(self) -> Generations:
        """The published series and those before it."""
        return Generations(self.fused, self.work / "generations")

    @property
    def jobs(self) -> Path:
        """Logs of the jobs in which tiles ran."""
        return self.work / "jobs"

    @property
    def ready(self) -> Path:
        """Whose plan and frame workers of an array find; not there while these are made."""
        return self.plan / "ready"

    def notes(self, fingerprint: str = "") -> Path:
        """Where workers of an array note how tiles ended: of one run, or of all."""
        return self.work / "workers" / fingerprint[:12]

    def staging(self, fingerprint: str) -> Path:
        """Where a series is made before it takes the place of `fused`."""
        return self.root / f".fused-{fingerprint[:12]}.zarr"

    @property
    def stagings(self) -> list[Path]:
        """Series that are being made, or were replaced and not put away yet."""
        return sorted(path for path in self.root.glob(".fused-*.zarr") if path.is_dir())

    def admit(self) -> None:
        """Let a run of this recipe in, before anything is written.

        Raises
        ------
        StoreError
            When the folder is another recipe's, or holds files of someone else.
        """
        if self._mark.exists():
            self._admit_holder()
        elif self.root.exists() and not self._is_empty():
            raise StoreError(
                f"output {self.root}",
                expected="an empty or a new folder, or one of this recipe",
                got="a folder with files that no run left",
                mend="Choose another folder with --set output=FOLDER.",
            )

    def _admit_holder(self) -> None:
        try:
            known = json.loads(self._mark.read_text())
            holder, file = known["recipe"], known["file"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._mark}",
                expected="the name of the recipe that made this folder",
                got="a damaged file",
                mend=f"What was published there is as it was. If this is the folder of {self.file}, write "
                f"{json.dumps(self._own)} into that file; else choose another with --set output=FOLDER.",
            ) from error
        if (holder, file) != (self.owner, self._place):
            raise StoreError(
                f"output {self.root}",
                expected=f"a folder of the recipe '{self.owner}' ({self._place})",
                got=f"one of the recipe '{holder}' ({file})",
                mend="Choose another folder with --set output=FOLDER, or remove that one.",
            )

    def claim(self) -> bool:
        """Make an admitted folder this recipe's; whether it was nobody's before."""
        if self._mark.exists():
            return False
        self.work.mkdir(parents=True, exist_ok=True)
        _write(self._mark, self._own)
        for folder in (self.root, self.root.resolve().parent):
            flush(folder)
        return True

    @property
    def _mark(self) -> Path:
        return self.work / "owner.json"

    @property
    def _own(self) -> dict[str, str]:
        """What the mark of this recipe says."""
        return {"recipe": self.owner, "file": self._place}

    @property
    def _place(self) -> str:
        """The recipe's file as seen from the folder, so that both may be moved together."""
        return os.path.relpath(self.file.resolve(), self.root.resolve())

    def _is_empty(self) -> bool:
        """Whether nothing is there but what a claim that was cut off leaves."""
        return self.root.is_dir() and all(path == self.work for path in self.root.iterdir())

    def is_done(
        self,
        step: str,
        fingerprint: str,
        made: Sequence[Path],
        marks: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> bool:
        """Whether a step was finished with this fingerprint and what it made is still there, file by file.

        Parameters
        ----------
        made
            What it made: files, and folders.
        marks
            What `marks` said a moment ago, where more is asked of it; None: what it says now.
        """
        known = (self.marks() if marks is None else marks).get(step, {})
        return known.get("fingerprint") == fingerprint and known.get("made") == _tally(made)

    def mark(self, step: str, fingerprint: str, made: Sequence[Path], **facts: Any) -> None:
        """Say that a step is finished, what it made, and facts for the report."""
        entry = {"fingerprint": fingerprint, "made": _tally(made), **facts}
        _write(self.work / "steps.json", {**self.marks(), step: entry})

    def unmark(self, step: str) -> None:
        """Forget that a step and those after it were finished: what they made is about to be touched."""
        left = {name: entry for name, entry in self.marks().items() if STEPS.index(name) < STEPS.index(step)}
        if left != self.marks():
            _write(self.work / "steps.json", left)

    def marks(self) -> dict[str, dict[str, Any]]:
        """Fingerprint and facts of every finished step; none of what is damaged or not there.

        Raises
        ------
        OSError
            When the file is there and cannot be read: what is done must not be taken for undone.
        """
        try:
            found = json.loads((self.work / "steps.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {step: found[step] for step in STEPS if _is_entry(found.get(step))}


def _is_entry(found: object) -> bool:
    """Whether it has the shape of what is noted of a finished step."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("fingerprint"), str)
        and isinstance(found.get("made"), list)
    )


def _tally(made: Sequence[Path]) -> list[list[int]]:
    """Number of files and bytes of each path: enough to see that something is missing or cut short."""
    counted = []
    for path in made:
        sizes = list(_sizes(path))
        counted.append([len(sizes), sum(sizes)])
    return counted


def _sizes(path: Path) -> Iterator[int]:
    """Bytes of a file, or of every file in a folder; what goes away meanwhile is not there."""

    def tell(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise error

    folders = os.walk(path, onerror=tell)
    inside = (os.path.join(place, name) for place, _, names in folders for name in names)
    for file in inside if path.is_dir() else [str(path)]:
        with suppress(FileNotFoundError, NotADirectoryError):
            known = os.stat(file)
            if stat.S_ISREG(known.st_mode):
                yield known.st_size


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    flush(path.parent)


def _write(path: Path, data: object) -> None:
    write_text(path, json.dumps(data, indent=1, sort_keys=True))
