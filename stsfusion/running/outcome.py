"""What an executor promises, and how each key and the whole run ended."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["Executor", "Failure", "OnDone", "Outcome", "Success", "perform", "this_process"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_TRACE = 3000
"""Characters of a traceback that are kept, its end."""


@dataclass(frozen=True)
class Success(Generic[Result]):
    """A key that was done."""

    value: Result
    """What the work returned; under 10 kB pickled where it crosses a process border."""

    seconds: float
    """Wall time of the work."""

    worker: str
    """The process that did it, as `host:pid`."""


@dataclass(frozen=True)
class Failure:
    """A key that was not done, and why."""

    kind: str
    """Exception's class; `TimeLimit` when its process was ended, `WorkerLost` when it died too often."""

    text: str
    """The exception's own message."""

    trace: str = ""
    """The end of its traceback; empty when there is none."""

    seconds: float = 0.0
    """Wall time until it failed, of the last try."""

    worker: str = ""
    """The process that tried last, as `host:pid`; empty when none began."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Outcome(Generic[Key]):
    """How a run ended."""

    done: int
    """Keys that succeeded."""

    failed: int
    """Keys that failed."""

    left: tuple[Key, ...] = ()
    """Keys that were not tried to the end, in the order given; a later run takes them up."""

    interrupted: bool = False
    """Whether Ctrl-C or SIGTERM stopped the run."""


OnDone = Callable[[Key, Success[Result] | Failure], None]
"""Called once for each key that ended, in the thread that called `run`."""


class Executor(Protocol):
    """Whatever carries out `work` for each key."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """Do the work for every key; earlier keys go first.

        Parameters
        ----------
        work
            Function of one key; picklable where processes are used.
        keys
            Distinct.
        on_done
            Told of each end as it comes; what it raises ends the run.

        Raises
        ------
        PlanError
            When two keys are equal, or a task cannot cross a process border: over 10 kB, or not picklable.
        """
        ...


def perform(work: Callable[[Key], Result], key: Key) -> Success[Result] | Failure:
    """Do one key's work in this process; an exception becomes a `Failure`."""
    start, worker = time.perf_counter(), this_process()
    try:
        value = work(key)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))[-_TRACE:]
        return Failure(type(error).__name__, str(error)[:_TRACE], trace, time.perf_counter() - start, worker)
    return Success(value, time.perf_counter() - start, worker)


def this_process() -> str:
    """The process that asks, as `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"
