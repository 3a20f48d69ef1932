"""One code: workers that make tiles by the code of their run, and by no other. Imports nothing large.

A process looks at its files once: those that are replaced while it stands are not what it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import stsfusion
from stsfusion.errors import PlanError
from stsfusion.pipeline.source import code_in
from stsfusion.running.outcome import Executor, OnDone, Outcome, this_process

__all__ = ["OneCode", "require_same"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_looked: dict[str, str] = {}
"""What was found in each part of the package."""


@dataclass(frozen=True)
class OneCode:
    """An executor whose workers refuse every key unless they have the same code as who asks.

    For work whose plan does not say whose code it asks for.
    """

    executor: Executor
    """Who does the work."""

    parts: tuple[str, ...]
    """Of the package, those by which it is done, such as 'cube'."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        guarded = partial(_guarded, work, self.parts, _ours(self.parts))
        return self.executor.run(guarded, keys, on_done)


def _guarded(work: Callable[[Key], Result], parts: tuple[str, ...], wanted: str, key: Key) -> Result:
    require_same(wanted, _ours(parts))
    return work(key)


def _ours(parts: tuple[str, ...]) -> str:
    """One sha256 over the code of parts of the package, and the version."""
    for part in parts:
        if part not in _looked:
            paths = sorted((Path(str(files("stsfusion"))) / part).rglob("*.py"))
            _looked[part] = hashlib.sha256("\0".join(map(code_in, paths)).encode()).hexdigest()
    said = [stsfusion.__version__, *(_looked[part] for part in parts)]
    return hashlib.sha256(" ".join(said).encode()).hexdigest()


def require_same(wanted: str, ours: str) -> None:
    """Refuse to make tiles for someone whose code is another.

    Parameters
    ----------
    wanted
        Fingerprint of the code that made the plan; empty: it does not say.
    ours
        Of the code of this process.

    Raises
    ------
    PlanError
        With both fingerprints.
    """
    if ours != wanted:
        raise PlanError(
            f"worker {this_process()}",
            expected=f"the code that made the plan ({wanted[:12] or 'it does not say which'})",
            got=f"another one ({ours[:12]}, in {files('stsfusion')})",
            mend="Let the run and all its workers use one installation; begin workers anew that were at work "
            "before an upgrade, and those of an array with '--worker prepare'. Then run the same command "
            "again.",
        )
