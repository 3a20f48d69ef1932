"""Supervisor: keeps as many jobs in a queue as the work that is left can use; lost ones are replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from stsfusion.errors import PlanError
from stsfusion.running.slurmqueue import Queue, QueueTrouble

__all__ = ["Supervisor"]

_ENOUGH = 3
"""Jobs in a row that may end before a worker came."""

_LINES = 5
"""Lines of a job's log that an error shows."""

_LONGEST = 600.0
"""Seconds between two tries at most, and how long none may succeed while nothing runs."""


@dataclass
class Supervisor:
    """Looks at the queue time and again, in a thread of its own.

    Fewer keys than workers: jobs that still wait, then those without work, are given back. A job that ended
    is replaced while there is work for it. When jobs end before any worker comes, or none can be submitted,
    the run ends with what the queue or the job's log says.
    """

    queue: Queue
    """Where jobs wait and run."""

    script: str
    """The job; its worker bears the job's number, and `NUMBER-0`, `NUMBER-1` are several of one job."""

    most: int
    """Jobs at most."""

    processes: int
    """Workers of a job."""

    left: int
    """Keys that have not ended."""

    busy: Callable[[], Mapping[str, int]]
    """Gives the name of each worker that is there, and how many tasks it holds."""

    logs: Path | None
    """Folder where jobs leave their logs."""

    tell: Callable[[str], None]
    """Where it says what happens to jobs."""

    every: float = 10.0
    """Seconds between two looks at the queue."""

    known: dict[str, bool] = field(default_factory=dict, init=False)
    """Jobs that were in the queue at the last look, and whether a worker of theirs ever came."""

    def __post_init__(self) -> None:
        self.idle: set[str] = set()
        self.stillborn, self.refused = 0, 0
        self.resting, self.silent = 0.0, False
        self.trouble: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        try:
            self.look()
        except BaseException:
            self.queue.cancel(self.known)
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.queue.cancel(self.known)

    def watch(self, left: int) -> None:
        """Hear from the driver how many keys have not ended, and raise what went wrong meanwhile."""
        self.left = left
        if self.trouble is not None:
            raise self.trouble

    def _attend(self) -> None:
        while not self._stop.wait(self.every):
            try:
                self.look()
            except Exception as error:
                self.trouble = error
                return

    def look(self) -> None:
        """Compare what is there with what is wanted, and act.

        Raises
        ------
        PlanError
            When jobs cannot be had, or end before their work begins.
        """
        try:
            states = self.queue.states()
        except QueueTrouble as error:
            self._unanswered(error)
            return
        self.silent = False
        workers = self.busy()
        manned = {name.partition("-")[0] for name in workers}
        self._bury(states, manned)
        wanted = min(self.most, -(-self.left // self.processes))
        if len(states) > wanted:
            self._dismiss(states, workers, len(states) - wanted)
        elif time.monotonic() >= self.resting:
            self._hire(wanted - len(states))

    def _bury(self, states: Mapping[str, str], manned: set[str]) -> None:
        """Take note of jobs that ended, and of those whose workers came."""
        for job in [job for job in self.known if job not in states]:
            came = self.known.pop(job)
            if self.left:
                self.tell(f"job {job} ended with {self.left} tiles left" + ("" if came else ", unused"))
            self.stillborn += not came
            if not came and not manned and self.stillborn >= _ENOUGH:
                raise self._stillborn(job)
            if not came:
                self.resting = time.monotonic() + min(_LONGEST, 2.0**self.stillborn)
        for job in states:
            came = job in manned
            self.stillborn = 0 if came and not self.known.get(job) else self.stillborn
            self.known[job] = came or self.known.get(job, False)

    def _hire(self, number: int) -> None:
        for _ in range(number):
            try:
                job = self.queue.submit(self.script)
            except QueueTrouble as error:
                self._refused(error)
                return
            self.refused, self.known[job] = 0, False
            self.tell(f"job {job} submitted")

    def _dismiss(self, states: Mapping[str, str], workers: Mapping[str, int], number: int) -> None:
        """Give back jobs that wait, else those that had no task at two looks."""
        held: dict[str, int] = {}
        for name, tasks in workers.items():
            job = name.partition("-")[0]
            held[job] = held.get(job, 0) + tasks
        without = {job for job in states if held.get(job) == 0}
        waiting = [job for job, state in states.items() if state == "PENDING"]
        going = [*waiting, *sorted(without & self.idle)][:number]
        self.idle = without
        self.queue.cancel(going)
        for job in going:
            del self.known[job]

    def _unanswered(self, error: QueueTrouble) -> None:
        """Work goes on without news of the queue; a run does not begin without."""
        if not self._thread.is_alive():
            raise PlanError(
                "SLURM", expected="an answer", got=str(error), mend="See 'sinfo', then run again."
            ) from error
        if not self.silent:
            self.tell(f"SLURM does not answer: {error}")
        self.silent = True

    def _refused(self, error: QueueTrouble) -> None:
        """Try again later, unless the run only begins, or nothing has been left to wait for for long."""
        self.refused += 1
        self.resting = time.monotonic() + min(_LONGEST, 2.0**self.refused)
        if not self.known and 2.0**self.refused > (_LONGEST if self._thread.is_alive() else 0):
            raise PlanError(
                "SLURM",
                expected="that jobs can be submitted",
                got=str(error),
                mend="See 'fuse.slurm' in the recipe (partition, account, memory); --print-job shows "
                "the whole script.",
            ) from error

    def _stillborn(self, job: str) -> PlanError:
        """What to say when jobs end and no worker ever came."""
        found = sorted(self.logs.glob(f"*-{job}.log")) if self.logs else []
        lines = [line for path in found for line in path.read_text(errors="replace").splitlines()[-_LINES:]]
        return PlanError(
            "SLURM jobs",
            expected="a worker in each",
            got=f"{self.stillborn} jobs in a row that ended before it came",
            mend="\n".join([f"The log of job {job} in {self.logs} says:", *lines])
            if lines
            else "See whether their nodes have this folder, this Python and a way to this machine "
            "('fuse.slurm.interface').",
        )
