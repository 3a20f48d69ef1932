"""Array: worker i of N without a scheduler; each does its share of the keys, whoever else is there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stsfusion.errors import PlanError
from stsfusion.running.outcome import OnDone, Outcome

__all__ = ["Share", "Unbegun"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_TASK = "SLURM_ARRAY_TASK_"
"""How SLURM begins the names of what it tells a job of an array."""


@dataclass(frozen=True)
class Share:
    """Worker `number` of `count`; the same keys give the same shares everywhere."""

    number: int
    """From 1."""

    count: int
    """Workers in all."""

    @classmethod
    def parse(cls, text: str) -> Share:
        """From a text such as `2/3`.

        Raises
        ------
        PlanError
            When there is no such worker.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        share = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= share.number <= share.count:
            raise PlanError(
                f"worker '{text}'",
                expected="I/N with I from 1 to N, such as 2/3",
                got=f"'{text}'",
                mend="Number the workers from 1.",
            )
        return share

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Share | None:
        """What SLURM says in a job of an array; None: it is none.

        Raises
        ------
        PlanError
            When the jobs' numbers are not evenly spaced, so that nobody knows whose share is whose.
        """
        told = {name: environment.get(_TASK + name, "") for name in ("ID", "MIN", "COUNT", "STEP", "MAX")}
        if not all(told[name].isdecimal() for name in ("ID", "MIN", "COUNT")):
            return None
        own, first, count, step = (int(told[name] or 1) for name in ("ID", "MIN", "COUNT", "STEP"))
        last = int(told["MAX"] or first + (count - 1) * step)
        if last != first + (count - 1) * step or own not in range(first, last + 1, step):
            raise PlanError(
                f"job {own} of a SLURM array",
                expected=f"{count} jobs from {first} in steps of {step}",
                got=f"jobs up to {max(own, last)}",
                mend="Submit them with --array=1-N, or say which worker each one is with '--worker I/N'.",
            )
        return cls((own - first) // step + 1, count)

    def among(self, keys: Sequence[Key]) -> list[Key]:
        """The share's keys, in their order: every key is in exactly one share."""
        return list(keys[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Unbegun:
    """Does no key and says so: whatever must be there before workers begin has then been made."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        return Outcome(0, 0, tuple(keys), interrupted=True)
