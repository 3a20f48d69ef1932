"""Lessons: what a region can ask itself, by hiding dates and by looking one scale coarser.

Two ways of asking, which complete each other:

- **date dropout**: a date that the hyperspectral sensor saw is hidden, with its sharp image. What was hidden
  is the label, seen through its sensor's own blur: the question of the missing dates, at the true scale.
- **scale shift** (Wald's protocol): everything is degraded once more, and the hyperspectral images themselves
  are the labels: the question of detail in bands that no sharp sensor has. Dates are hidden here as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.fusion.wald import coarsen, hide

__all__ = ["Exercise", "exercises"]


@dataclass(frozen=True, eq=False)
class Exercise:
    """One way of asking, for all tiles."""

    problems: tuple[Problem, ...]
    """What may be looked at, one a tile."""

    labels: tuple[dict[Role, Observation], ...]
    """What is asked, one a tile: observations whose views lead from the target to them."""

    hidden: tuple[int, ...]
    """The target's dates that were hidden."""

    shifted: bool
    """Whether it is one scale coarser."""

    def lies_between(self) -> bool:
        """Whether a single date was hidden that has others before and after."""
        dates = self.labels[0]["rich"].dates
        return len(self.hidden) == 1 and min(dates) < self.hidden[0] < max(dates)


def exercises(problems: Sequence[Problem]) -> list[Exercise]:
    """Every way of asking: nothing hidden, each date hidden in turn, and each two neighbours, at both scales.

    A single date is never hidden, and one date always stays.

    Raises
    ------
    ProblemError
        When no tile is large enough to be degraded once more.
    """
    plain = [(problem, dict(problem.observations)) for problem in problems]
    found = []
    for pairs, coarse in ((plain, False), (_shifted(problems), True)):
        for dates in ((), *_hidable(problems[0])):
            asked = tuple(_without(problem, dates) if dates else problem for problem, _ in pairs)
            found.append(Exercise(asked, tuple(labels for _, labels in pairs), dates, coarse))
    return found


def _shifted(problems: Sequence[Problem]) -> list[tuple[Problem, dict[Role, Observation]]]:
    """The tiles that are large enough, one scale coarser, with what is known of their answers."""
    pairs: list[tuple[Problem, dict[Role, Observation]]] = []
    refusal: ProblemError | None = None
    for problem in problems:
        try:
            wald = coarsen(problem, _scale(problem))
        except ProblemError as error:
            refusal = error
            continue
        pairs.append((wald.problem, {**wald.problem.observations, "rich": wald.labels}))
    if not pairs and refusal is not None:
        raise refusal
    return pairs


def _scale(problem: Problem) -> int:
    (rich,) = problem.require("rich")
    return rich.ratio if rich.ratio > 1 else 2


def _hidable(problem: Problem) -> list[tuple[int, ...]]:
    (rich,) = problem.require("rich")
    dates = sorted(rich.dates)
    single = [(date,) for date in dates] if len(dates) > 1 else []
    return [*single, *(pairwise(dates[1:-1]))]


def _without(problem: Problem, dates: tuple[int, ...]) -> Problem:
    """Hide dates as the missing ones are: without their sharp images, unless the sharp sensor sees those."""
    rich, sharp = problem.require("rich", "sharp")
    missing = set(range(problem.target.shape[0])) - set(rich.dates)
    left = hide(problem, "rich", dates)
    if missing & set(sharp.dates) or set(sharp.dates) <= set(dates):
        return left
    return hide(left, "sharp", dates)
