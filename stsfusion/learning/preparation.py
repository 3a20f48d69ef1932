"""Preparation: all that is learned in closed form before a network is trained, in a fixed order.

::

    subspace ─► scores ┐
    scaling  ─► bands  ┴─► Scene ─► detail (per way of asking) ─► features ─► head (ridge)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.detail import Detail, detail_sums, lowpass
from stsfusion.learning.features import Layout, Scaling, Scene, features
from stsfusion.learning.head import Head, Sample
from stsfusion.learning.lessons import Exercise
from stsfusion.learning.ridge import Sums
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.blur import Blur

__all__ = ["Asked", "Preparation", "Units", "choose_penalty", "learn_head", "learn_units"]


@dataclass(frozen=True, eq=False)
class Units:
    """In what units everything is said: scores for the hyperspectral bands, scaled bands for the others."""

    subspace: Subspace
    """Of the hyperspectral bands."""

    scaling: Scaling
    """Of the dense and the sharp bands."""

    passes: int
    """Pixels of each sensor by which gaps are entered from their edges."""

    by: str
    """Who asks, for errors."""

    @property
    def layout(self) -> Layout:
        """Of the features."""
        bands, axes = self.scaling.axes.shape
        return Layout(self.subspace.rank, bands, len(self.scaling.sharp_mean), axes)

    def scene(self, problem: Problem, sharp_days: Tensor) -> Scene:
        """A problem in these units."""
        return Scene.of(problem, self.subspace, self.scaling, sharp_days, self.passes, self.by)


@dataclass(frozen=True, eq=False)
class Preparation:
    """What the features and the closed-form answer of a problem are made with."""

    units: Units
    """Of all values."""

    detail: Detail
    """How each date's dense image gets the pixels of the sharp series."""

    sharp_days: Tensor
    """(n,) days at which the sharp series is read."""

    head: Head
    """The closed-form answer."""

    def features(self, problem: Problem) -> Tensor:
        """(time, Layout.channels, y, x)."""
        return features(self.units.scene(problem, self.sharp_days), self.detail, self.units.scaling.axes)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        named = {
            "subspace": self.units.subspace.tensors(),
            "scaling": self.units.scaling.tensors(),
            "detail": self.detail.tensors(),
            "head": self.head.tensors(),
        }
        flat = {f"{group}.{name}": t for group, tensors in named.items() for name, t in tensors.items()}
        return {**flat, "sharp_days": self.sharp_days}

    @classmethod
    def of(cls, state: Mapping[str, Tensor], passes: int, by: str) -> Self:
        """The one that `tensors` came from."""

        def group(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(f"{name}."): t for key, t in state.items() if key.startswith(f"{name}.")}

        units = Units(Subspace.of(group("subspace")), Scaling.of(group("scaling")), passes, by)
        return cls(units, Detail.of(group("detail")), state["sharp_days"], Head.of(group("head")))


def learn_units(
    problems: Sequence[Problem], *, rank: int, share: float, axes: int, passes: int, by: str
) -> Units:
    """Subspace and scaling from all tiles.

    Raises
    ------
    ProblemError
        When a role is missing.
    MethodError
        When the tiles are not of the same dates.
    """
    days = problems[0].target.days
    for problem in problems:
        problem.require("rich", "dense", "sharp", by=by)
        if problem.target.days.shape != days.shape or not torch.allclose(problem.target.days, days):
            raise MethodError(
                f"method '{by}', fit",
                expected=f"tiles of the same dates, days {days.tolist()}",
                got=f"{problem.target.days.tolist()}",
                mend="Sample tiles of whole series.",
            )
    rich = [problem.require("rich", by=by)[0] for problem in problems]
    known = [observation.noise for observation in rich if observation.noise is not None]
    noise = torch.stack(known).mean(0) if len(known) == len(rich) else None
    subspace = Subspace.learn((_pixels(o) for o in rich), rank=rank, share=share, noise=noise)
    return Units(subspace, Scaling.learn(problems, axes, by), passes, by)


@dataclass(frozen=True, eq=False)
class Asked:
    """A way of asking in units, before anything is regressed."""

    exercise: Exercise
    """The tiles and their labels."""

    scenes: Sequence[Scene]
    """One a tile."""

    sums: Sequence[Sums]
    """Of the detail's regression, one a date, over all tiles."""

    sharp_days: Tensor
    """(n,) days at which the sharp series is read."""

    @classmethod
    def of(cls, exercise: Exercise, units: Units) -> Self:
        """Scenes and sums of all its tiles."""
        (sharp,) = exercise.problems[0].require("sharp", by=units.by)
        sharp_days = exercise.problems[0].target.days[sharp.dates].float()
        scenes = [units.scene(problem, sharp_days) for problem in exercise.problems]
        parts = [
            detail_sums(s.series, s.dense.values, s.dense.known.float(), _view(s, "dense")) for s in scenes
        ]
        sums = [reduce(add, dates) for dates in zip(*parts, strict=True)]
        return cls(exercise, scenes, sums, sharp_days)

    def detail(self, penalty: float) -> Detail:
        """The regression of this way of asking."""
        return Detail.solve(self.sums, self.scenes[0].days, penalty)

    def features(self, penalty: float, units: Units) -> list[Tensor]:
        """Of every tile."""
        detail = self.detail(penalty)
        return [features(scene, detail, units.scaling.axes) for scene in self.scenes]


def choose_penalty(asked: Sequence[Asked], candidates: Sequence[float], units: Units) -> float:
    """The penalty of the detail whose images of hidden dates explain most of the hidden sharp images.

    Without any hidden sharp image the middle candidate is taken.
    """
    hidden = [a for a in asked if _tests_detail(a.exercise)]
    if not hidden:
        return candidates[len(candidates) // 2]
    return min(candidates, key=lambda penalty: sum(_unexplained(a, penalty, units) for a in hidden))


def _tests_detail(exercise: Exercise) -> bool:
    """Whether a sharp image was hidden, at the true scale."""
    (shown,) = exercise.problems[0].require("sharp")
    date = exercise.hidden
    return not exercise.shifted and date in exercise.labels[0]["sharp"].dates and date not in shown.dates


def _unexplained(asked: Asked, penalty: float, units: Units) -> float:
    date = asked.exercise.hidden or 0
    detail = asked.detail(penalty)
    parts = []
    for scene, labels in zip(asked.scenes, asked.exercise.labels, strict=True):
        once = slice(date, date + 1)
        image = detail.apply(scene.series, scene.dense.values[once], scene.days[once], _view(scene, "dense"))
        sharp, place = labels["sharp"], labels["sharp"].dates.index(date)
        valid = sharp.valid.expand(len(sharp.dates), *sharp.valid.shape[1:])[place : place + 1]
        whole = valid.expand(1, -1, *sharp.data.shape[2:]).all(1, keepdim=True)
        scaled = units.scaling.of_sharp(sharp.data[place : place + 1])
        parts.append(Sums.of(lowpass(image, sharp.view.spatial), scaled, whole.float()))
    return reduce(add, parts).unexplained()


def learn_head(asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units, penalty: float) -> Head:
    """Dates that were seen from the scale shift, dates that were hidden from the true scale.

    A linear head commutes with the blur: the hidden image is compared where it was seen, and the answer holds
    at the target's pixels.
    """
    seen = [pair for pair in asked if pair[0].shifted and pair[0].hidden is None]
    unseen = [pair for pair in asked if not pair[0].shifted and pair[0].hidden is not None]
    return Head.learn(_samples(seen, units, 1.0), _samples(unseen, units, 0.0), units.layout, penalty)


def _samples(asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units, wanted: float) -> Iterator[Sample]:
    """Features as the label's sensor sees them, where the date was seen (1) or not (0)."""
    seen_channel = units.layout.seen
    for exercise, tensors in asked:
        for x, labels in zip(tensors, exercise.labels, strict=True):
            rich = labels["rich"]
            scores, usable = units.subspace.project(rich.data, rich.valid)
            places = [i for i, date in enumerate(rich.dates) if exercise.hidden in (None, date)]
            low = x[[rich.dates[i] for i in places]]
            if rich.view.spatial.kernel.numel() > 1:
                low = lowpass(low, rich.view.spatial)
            alike = (low[:, seen_channel : seen_channel + 1] - wanted).abs() < 1e-3
            yield low, scores[places], (usable[places] & alike).float()


def _pixels(observation: Observation) -> Tensor:
    """(pixel, band) of the pixels of which every band is valid that is valid anywhere."""
    mask = observation.valid.expand_as(observation.data).movedim(1, -1).flatten(0, 2)
    dead = ~mask.any(0)
    rows = observation.data.movedim(1, -1).flatten(0, 2)
    return torch.where(dead, 0.0, rows)[(mask | dead).all(1)]


def _view(scene: Scene, role: Role) -> Blur:
    return scene.problem.require(role)[0].view.spatial
