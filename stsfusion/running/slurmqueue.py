"""SLURM's own queue: submit a script, ask for states, cancel. Jobs of one run share a name of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from stsfusion.errors import PlanError

__all__ = ["Queue", "QueueTrouble", "SlurmQueue"]

_OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "COMPLETING",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}
"""States of jobs that will not work again; one that is put back into the queue is PENDING once more."""

_WAIT = 30.0
"""Seconds that a command may take."""


class QueueTrouble(Exception):
    """A command of the queue failed; what it said."""


class Queue(Protocol):
    """Where jobs of one run wait and run."""

    def submit(self, script: str) -> str:
        """Hand a script in; gives the job's number, or raises QueueTrouble."""

    def states(self) -> dict[str, str]:
        """Number and state of every job that waits or runs, or raises QueueTrouble."""

    def cancel(self, jobs: Collection[str]) -> None:
        """End these jobs, as far as that is possible."""


@dataclass(frozen=True)
class SlurmQueue:
    """The queue behind `sbatch`, `squeue` and `scancel`."""

    name: str
    """Name of all jobs of the run."""

    def submit(self, script: str) -> str:
        """See `Queue.submit`."""
        return _call("sbatch", "--parsable", text=script).strip().partition(";")[0]

    def states(self) -> dict[str, str]:
        """See `Queue.states`."""
        said = _call("squeue", "--noheader", f"--name={self.name}", "--format=%i %T")
        listed = dict(line.split(maxsplit=1) for line in said.splitlines() if line.strip())
        return {job: state for job, state in listed.items() if state not in _OVER}

    def cancel(self, jobs: Collection[str]) -> None:
        """See `Queue.cancel`."""
        try:
            if jobs:
                _call("scancel", *sorted(jobs))
        except QueueTrouble:
            return  # those that are over cannot be cancelled


def _call(*command: str, text: str | None = None) -> str:
    """What a command prints; Ctrl-C in the terminal does not reach it.

    Raises
    ------
    PlanError
        When there is no such command.
    QueueTrouble
        When it fails.
    """
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=_WAIT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise PlanError(
            f"command '{command[0]}'",
            expected="SLURM's commands on this machine",
            got="none",
            mend="Run where jobs are submitted from (a login node), or choose another executor.",
        ) from error
    except subprocess.CalledProcessError as error:
        raise QueueTrouble(error.stderr.strip() or f"{command[0]} ended with {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise QueueTrouble(f"{command[0]} did not answer within {_WAIT:g} s") from error
    return done.stdout
