"""Posing: the exercises in units, with the detail that each of them can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.detail import Detail, detail_sums, lowpass
from stsfusion.learning.features import Scene, features
from stsfusion.learning.lessons import Exercise
from stsfusion.learning.ridge import Sums
from stsfusion.learning.units import Units
from stsfusion.operators.blur import Blur

__all__ = ["Asked", "choose_penalty"]


@dataclass(frozen=True, eq=False)
class Asked:
    """A way of asking, ready for the regression of its detail; scenes are made anew when needed."""

    exercise: Exercise
    """The tiles and their labels."""

    units: Units
    """Of all values."""

    sharp_days: Tensor
    """(n,) days at which the sharp series is read."""

    sums: Sequence[Sums]
    """Of the detail's regression, one a date, over all tiles."""

    @classmethod
    def of(cls, exercise: Exercise, units: Units) -> Self:
        """Add up the sums of all tiles."""
        (sharp,) = exercise.problems[0].require("sharp", by=units.by)
        sharp_days = exercise.problems[0].target.days[sharp.dates].float()
        parts = [_sums(units.scene(problem, sharp_days)) for problem in exercise.problems]
        return cls(exercise, units, sharp_days, [reduce(add, dates) for dates in zip(*parts, strict=True)])

    def detail(self, penalty: float) -> Detail:
        """The regression of this way of asking."""
        return Detail.solve(self.sums, self.exercise.problems[0].target.days, penalty)

    def features(self, penalty: float) -> list[Tensor]:
        """Of every tile."""
        detail, axes = self.detail(penalty), self.units.scaling.axes
        return [
            features(self.units.scene(problem, self.sharp_days), detail, axes)
            for problem in self.exercise.problems
        ]


def choose_penalty(asked: Sequence[Asked], candidates: Sequence[float]) -> float:
    """The penalty of the detail whose images of hidden dates explain most of the hidden sharp images.

    Without any hidden sharp image the middle candidate is taken.
    """
    hidden = [each for each in asked if _tests_detail(each.exercise)]
    if not hidden:
        return candidates[len(candidates) // 2]
    left = [0.0] * len(candidates)
    for each in hidden:
        left = [a + b for a, b in zip(left, _unexplained(each, candidates), strict=True)]
    return candidates[left.index(min(left))]


def _tests_detail(exercise: Exercise) -> bool:
    """Whether a sharp image was hidden, at the true scale."""
    (shown,) = exercise.problems[0].require("sharp")
    if exercise.shifted or not exercise.lies_between():
        return False
    return exercise.hidden[0] in set(exercise.labels[0]["sharp"].dates) - set(shown.dates)


def _unexplained(asked: Asked, candidates: Sequence[float]) -> list[float]:
    """What each candidate's image of the hidden date leaves unexplained of the hidden sharp image."""
    (date,) = asked.exercise.hidden
    once = slice(date, date + 1)
    details = [asked.detail(penalty) for penalty in candidates]
    totals: list[list[Sums]] = [[] for _ in candidates]
    for problem, labels in zip(asked.exercise.problems, asked.exercise.labels, strict=True):
        scene = asked.units.scene(problem, asked.sharp_days)
        wanted, weight = _hidden_image(labels["sharp"], date, asked.units)
        for detail, parts in zip(details, totals, strict=True):
            image = detail.apply(
                scene.series, scene.dense.values[once], scene.days[once], _blur(problem, "dense")
            )
            parts.append(Sums.of(lowpass(image, labels["sharp"].view.spatial), wanted, weight))
    return [reduce(add, parts).unexplained() for parts in totals]


def _hidden_image(sharp: Observation, date: int, units: Units) -> tuple[Tensor, Tensor]:
    """(1, s, y, x) the scaled sharp image of a date, and the (1, 1, y, x) weight of its pixels."""
    place = sharp.dates.index(date)
    valid = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:])[place : place + 1]
    return units.scaling.of_sharp(sharp.data[place : place + 1]), valid.all(1, keepdim=True).float()


def _sums(scene: Scene) -> list[Sums]:
    known = scene.dense.known.float()
    return detail_sums(scene.series, scene.dense.values, known, _blur(scene.problem, "dense"))


def _blur(problem: Problem, role: Role) -> Blur:
    return problem.require(role)[0].view.spatial
