"""Folder: where a run leaves its results, whose it is, and which of its steps are done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stsfusion.errors import StoreError

__all__ = ["Folder", "digest_of"]


def digest_of(*parts: object) -> str:
    """A sha256 over plain data, for fingerprints of steps."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Folder:
    """The results of one recipe; what is private to the run lies in `.stsfusion`."""

    root: Path
    """The folder."""

    owner: str
    """The recipe it belongs to."""

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

    def staging(self, fingerprint: str) -> Path:
        """Where a series is made before it takes the place of `fused`."""
        return self.root / f".fused-{fingerprint[:12]}.zarr"

    def claim(self) -> None:
        """Make the folder this recipe's.

        Raises
        ------
        StoreError
            When it is another recipe's, or holds files of someone else.
        """
        mark = self.work / "owner.json"
        if mark.exists():
            holder = json.loads(mark.read_text())["recipe"]
            if holder != self.owner:
                raise StoreError(
                    f"output {self.root}",
                    expected=f"a folder of the recipe '{self.owner}'",
                    got=f"one of the recipe '{holder}'",
                    mend="Choose another folder with --set output=FOLDER, or remove that one.",
                )
            return
        if self.root.exists() and not self._is_empty():
            raise StoreError(
                f"output {self.root}",
                expected="an empty or a new folder, or one of this recipe",
                got="a folder with files that no run left",
                mend="Choose another folder with --set output=FOLDER.",
            )
        self.work.mkdir(parents=True, exist_ok=True)
        _write(mark, {"recipe": self.owner})

    def _is_empty(self) -> bool:
        """Whether nothing is there but what a claim that was cut off leaves."""
        return self.root.is_dir() and all(path == self.work for path in self.root.iterdir())

    def is_done(self, step: str, fingerprint: str, made: Sequence[Path]) -> bool:
        """Whether a step was finished with this fingerprint and what it made is still there."""
        marked = self.marks().get(step, {}).get("fingerprint") == fingerprint
        return marked and all(path.exists() for path in made)

    def mark(self, step: str, fingerprint: str, **facts: Any) -> None:
        """Say that a step is finished, with facts for the report."""
        _write(self.work / "steps.json", {**self.marks(), step: {"fingerprint": fingerprint, **facts}})

    def marks(self) -> dict[str, dict[str, Any]]:
        """Fingerprint and facts of every finished step."""
        path = self.work / "steps.json"
        return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, data: object) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
