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
from stsfusion.fusion.timeline import spread
from stsfusion.fusion.wald import coarsen, hide

__all__ = ["Exercise", "exercises", "scale_of"]

Pair = tuple[Problem, dict[Role, Observation]]
"""A tile, and what is known of its answer."""


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


def exercises(problems: Sequence[Problem], most: int) -> list[Exercise]:
    """Every way of asking: nothing hidden, single dates and neighbouring pairs hidden, at both scales.

    Nothing hidden is asked of all tiles; where dates are hidden, the tiles take turns. A single date is never
    hidden, and one always stays.

    Parameters
    ----------
    problems
        The tiles, of the same dates; those of which the hyperspectral sensor saw nothing have no answers.
    most
        Ways of hiding at most; single dates inside the series come first, then its ends, then pairs.

    Raises
    ------
    ProblemError
        When no tile is large enough to be degraded once more.
    """
    seen = [problem for problem in problems if bool(problem.require("rich")[0].valid.any())]
    plain = [(problem, dict(problem.observations)) for problem in seen]
    hidden = _hidable(seen[0], most)
    found = []
    for pairs, coarse in ((plain, False), (_shifted(seen), True)):
        found.append(_exercise(pairs, (), coarse))
        for turn, dates in enumerate(hidden):
            mine = pairs[turn :: len(hidden)] or [pairs[turn % len(pairs)]]
            found.append(_exercise(mine, dates, coarse))
    return found


def _exercise(pairs: Sequence[Pair], dates: tuple[int, ...], coarse: bool) -> Exercise:
    asked = tuple(_without(problem, dates) if dates else problem for problem, _ in pairs)
    return Exercise(asked, tuple(labels for _, labels in pairs), dates, coarse)


def _shifted(problems: Sequence[Problem]) -> list[Pair]:
    """The tiles that are large enough, one scale coarser, with what is known of their answers."""
    pairs: list[Pair] = []
    refusal: ProblemError | None = None
    for problem in problems:
        try:
            wald = coarsen(problem, scale_of(problem))
        except ProblemError as error:
            refusal = error
            continue
        pairs.append((wald.problem, {**wald.problem.observations, "rich": wald.labels}))
    if not pairs and refusal is not None:
        raise refusal
    return pairs


def scale_of(problem: Problem) -> int:
    """How much coarser the shifted scale is: the hyperspectral ratio makes its images the labels."""
    (rich,) = problem.require("rich")
    return rich.ratio if rich.ratio > 1 else 2


def _hidable(problem: Problem, most: int) -> list[tuple[int, ...]]:
    (rich,) = problem.require("rich")
    dates = sorted(rich.dates)
    if len(dates) < 2:
        return []
    inner = spread(dates[1:-1], most)
    rest = [(dates[0],), (dates[-1],), *pairwise(dates[1:-1])]
    return [*((date,) for date in inner), *rest[: max(most - len(inner), 0)]]


def _without(problem: Problem, dates: tuple[int, ...]) -> Problem:
    """Hide dates as the missing ones are: without their sharp images, unless the sharp sensor sees those."""
    rich, sharp = problem.require("rich", "sharp")
    missing = set(range(problem.target.shape[0])) - set(rich.dates)
    left = hide(problem, "rich", dates)
    if missing & set(sharp.dates) or set(sharp.dates) <= set(dates):
        return left
    return hide(left, "sharp", dates)
