"""Contending: a recipe's comparison from questions to rows and pictures, whatever is asked.

::

    questions, and who takes part in each ─► contest ─► rows · plates ─► pictures
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from stsfusion.pipeline.contest import Stage, Table, contest
from stsfusion.pipeline.entrants import Entrant
from stsfusion.pipeline.trial import Trial
from stsfusion.views.palette import Picture

__all__ = ["Contending", "Question", "Result", "Tell"]

Tell = Callable[[float, str], None]
"""Told of the share that is done, and of what."""

Result = dict[str, Any]
"""Plain JSON: `protocol`, `scenes`, `rows`, and what else belongs to the comparison."""


class Question(Stage, Protocol):
    """A stage that is named, and of whose answers something is kept for pictures."""

    @property
    def place(self) -> str:
        """What is asked, in a few words."""
        ...

    def keepsake(self, trial: Trial) -> Mapping[str, Any]:
        """See `contest.Keepsake`."""
        ...


Q = TypeVar("Q", bound=Question)


class Contending(ABC, Generic[Q]):
    """All questions and all methods of a recipe, looked at before any work."""

    @abstractmethod
    def questions(self) -> Iterator[tuple[Q, Sequence[Entrant]]]:
        """Each question with who takes part; made anew, so that one at a time is held."""

    @abstractmethod
    def empty(self) -> Result:
        """A result without rows."""

    @abstractmethod
    def add(self, result: Result, asked: Q, rows: Sequence[Entrant], tables: Mapping[str, Table]) -> None:
        """Put one question's tables, by the methods' labels, beside the others."""

    @abstractmethod
    def drawn(self, asked: Q, rows: Sequence[Entrant], tables: Mapping[str, Table]) -> list[Picture]:
        """Pictures of one question."""

    def drawn_of_all(self, result: Result) -> list[Picture]:
        """Pictures of all questions together."""
        return []

    @abstractmethod
    def words(self, kept: int) -> str:
        """What a run would do, of which so many rows are kept."""

    @property
    def trials(self) -> int:
        """Number of rows in all tables."""
        return sum(len(rows) for _, rows in self.questions())

    def done(self, cache: Path) -> int:
        """How many of the rows are kept."""
        keys = (asked.key(row.method) for asked, rows in self.questions() for row in rows)
        return sum((cache / f"{key}.json").is_file() for key in keys)

    def run(self, cache: Path, tell: Tell, *, shown: bool) -> tuple[Result, list[Picture]]:
        """Every row, and the pictures where they are wanted.

        Parameters
        ----------
        cache
            Folder of the rows that are done.
        tell
            Told of the share that is done, and of what.
        """
        result, found, before, trials = self.empty(), list[Picture](), 0, self.trials
        for asked, rows in self.questions():
            tables = _tables(asked, rows, cache, _told(tell, asked.place, rows, before, trials))
            before += len(rows)
            self.add(result, asked, rows, tables)
            if shown:
                tell(min(before / trials, 0.999), f"{asked.place}: drawing")
                found += self.drawn(asked, rows, tables)
        return result, found + (self.drawn_of_all(result) if shown else [])


def _tables(
    asked: Question, rows: Sequence[Entrant], cache: Path, watch: Callable[[str, float, str], None]
) -> dict[str, Table]:
    """Of every method, by its label."""
    return dict(contest(asked, {row.label: row.method for row in rows}, cache, watch, asked.keepsake))


def _told(
    tell: Tell, place: str, rows: Sequence[Entrant], before: int, trials: int
) -> Callable[[str, float, str], None]:
    """A contest's Watch that tells of one share over all questions."""
    places = {row.label: before + i for i, row in enumerate(rows)}

    def watch(label: str, done: float, what: str) -> None:
        tell(min((places[label] + done) / trials, 0.999), f"{place} {label}: {what}")

    return watch
