"""Broken twins: of a publisher, a writer, a resume, a look and a lock, wrong so that the suite must cry.

Each replaces one promise of the product in a fork; what watches for that promise must find it out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stsfusion.cube.generations import Generations

__all__ = ["become", "in_pieces"]


def become(name: str) -> None:
    """Be this twin from now on."""
    {
        "publishes in pieces": _publishes_in_pieces,
        "trusts what it finds": _trusts_what_it_finds,
        "looks at no input": _looks_at_no_input,
        "forces nothing to the disk": _forces_nothing,
        "hears no refusal": _hears_no_refusal,
        "locks nothing": _locks_nothing,
    }[name]()


def in_pieces(self: Generations, made: Path, **how: bool) -> None:
    """The new series is copied over the old one, file by file."""
    shutil.copytree(made, self.series, dirs_exist_ok=True)
    shutil.rmtree(made)


def _publishes_in_pieces() -> None:
    from stsfusion.cube.generations import Generations

    Generations.succeed = in_pieces  # type: ignore[method-assign]


def _trusts_what_it_finds() -> None:
    """A tile that was noted as done is taken for done, whatever became of its bytes."""
    from stsfusion.running.ledger import Ledger

    Ledger.still_done = lambda self, checksum: {r["key"] for r in self.records()}  # type: ignore[method-assign]


def _looks_at_no_input() -> None:
    """Input cubes are taken for what they were."""
    from stsfusion.pipeline import soundcubes

    soundcubes.damages_of = lambda *words, **more: []


def _forces_nothing() -> None:
    """Nothing waits until the disk has it."""
    os.fsync = lambda handle: None  # type: ignore[assignment]


def _hears_no_refusal() -> None:
    """Shards that cannot be written are forgotten."""
    from zarr.storage import _local

    before = _local._put

    def put(*words: Any, **more: Any) -> int:
        try:
            return before(*words, **more)
        except OSError:
            return 0

    _local._put = put


def _locks_nothing() -> None:
    """Everybody may come in."""
    from stsfusion.running.lock import Lock

    Lock.__enter__ = lambda self: self  # type: ignore[method-assign]
    Lock.__exit__ = lambda self, *words: None  # type: ignore[method-assign,assignment]
