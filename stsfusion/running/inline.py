"""Inline: the executor that is this very process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stsfusion.running.beside import run_beside
from stsfusion.running.brake import Brake
from stsfusion.running.outcome import OnDone, Outcome, Success, perform
from stsfusion.running.rules import check_distinct
from stsfusion.running.wall import within

__all__ = ["Inline"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Inline:
    """One key after another in this process: exactly what a worker does, and the easiest to debug."""

    overlap: bool = False
    """Whether threads read the next tile and write the last one while one is fused, as workers do."""

    limit: float | None = None
    """Seconds after which a key is given up, in the main thread alone and as far as Python can (`within`);
    where tiles overlap, the run then ends with the others left, which what hangs holds up. None: no limit."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        check_distinct(keys)
        done = 0
        alone = threading.current_thread() is threading.main_thread() and not self.overlap
        timed = within(self.limit, work) if self.limit is not None and alone else work
        with Brake() as brake:
            if self.overlap:
                return run_beside(work, keys, on_done, brake, self.limit)
            for number, key in enumerate(keys):
                if brake.pulled:
                    return Outcome(done, number - done, tuple(keys[number:]), interrupted=True)
                end = perform(timed, key)
                done += isinstance(end, Success)
                on_done(key, end)
            return Outcome(done, len(keys) - done, interrupted=brake.pulled)
