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

    hidden: int | None
    """The target's date that was hidden, if any."""

    shifted: bool
    """Whether it is one scale coarser."""


def exercises(problems: Sequence[Problem]) -> list[Exercise]:
    """Every way of asking: nothing hidden and each date hidden in turn, at the true scale and one coarser.

    The first and the last hyperspectral date stay, unless there is no other; a single date is never hidden.

    Raises
    ------
    ProblemError
        When no tile is large enough to be degraded once more.
    """
    shifted = _shifted(problems)
    plain = [(problem, dict(problem.observations)) for problem in problems]
    found = []
    for pairs, coarse in ((plain, False), (shifted, True)):
        for date in (None, *_hidable(problems[0])):
            asked = tuple(problem if date is None else _without(problem, date) for problem, _ in pairs)
            found.append(Exercise(asked, tuple(labels for _, labels in pairs), date, coarse))
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


def _hidable(problem: Problem) -> list[int]:
    (rich,) = problem.require("rich")
    dates = sorted(rich.dates)
    return dates[1:-1] or (dates if len(dates) > 1 else [])


def _without(problem: Problem, date: int) -> Problem:
    """Hide a date as the missing ones are: without its sharp image, unless the sharp sensor sees those."""
    rich, sharp = problem.require("rich", "sharp")
    missing = set(range(problem.target.shape[0])) - set(rich.dates)
    left = hide(problem, "rich", [date])
    if missing & set(sharp.dates) or set(sharp.dates) <= {date}:
        return left
    return hide(left, "sharp", [date])
