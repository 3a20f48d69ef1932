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
        """What SLURM says in a job of an array; None: it is none."""
        told = {name: environment.get(_TASK + name, "") for name in ("ID", "MIN", "COUNT", "STEP")}
        if not all(text.isdecimal() for name, text in told.items() if name != "STEP"):
            return None
        step = int(told["STEP"] or 1)
        return cls((int(told["ID"]) - int(told["MIN"])) // step + 1, int(told["COUNT"]))

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
