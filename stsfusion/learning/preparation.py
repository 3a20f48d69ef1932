"""Preparation: all that is learned in closed form before a network is trained, in a fixed order.

::

    subspace ─► scores ┐
    scaling  ─► bands  ┴─► Scene ─► detail (per way of asking) ─► features ─► head (ridge)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.detail import Detail, lowpass
from stsfusion.learning.features import Scaling, features, mixed
from stsfusion.learning.head import Head, Sample
from stsfusion.learning.lessons import Exercise
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.units import Units

__all__ = ["Preparation", "learn_head"]


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
        head = Head.of(group("head"), units.layout, units.scaling.axes)
        return cls(units, Detail.of(group("detail")), state["sharp_days"], head)


def learn_head(
    asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units, *, penalty: float, curved: bool
) -> Head:
    """Dates that were seen from the scale shift, dates that were hidden from the true scale.

    A linear head commutes with the blur: the hidden image is compared where it was seen, and the answer holds
    at the target's pixels.
    """
    seen = [pair for pair in asked if pair[0].shifted and not pair[0].hidden]
    plain = [pair for pair in asked if not pair[0].shifted and pair[0].hidden]
    unseen = [pair for pair in plain if pair[0].lies_between()] or plain
    samples = _samples(seen, units, 1.0), _samples(unseen, units, 0.0)
    return Head.learn(*samples, units.layout, units.scaling.axes, penalty=penalty, curved=curved)


def _samples(asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units, wanted: float) -> Iterator[Sample]:
    """Features as the label's sensor sees them, where the date was seen (1) or not (0)."""
    for exercise, tensors in asked:
        for x, labels in zip(tensors, exercise.labels, strict=True):
            rich = labels["rich"]
            scores, usable = units.subspace.project(rich.data, rich.valid)
            usable = usable.expand(len(scores), *usable.shape[1:])
            for place, date in enumerate(rich.dates):
                if date in (exercise.hidden or rich.dates):
                    yield _sample(x[[date]], scores[[place]], usable[[place]], rich, units, wanted)
                if date in exercise.hidden:
                    yield from _mixtures(x, scores, usable, rich, units, place)


def _mixtures(
    x: Tensor, scores: Tensor, usable: Tensor, rich: Observation, units: Units, place: int
) -> Iterator[Sample]:
    """A hidden date halfway to each of the others: seasons between those that were seen."""
    date = rich.dates[place]
    for other, its in enumerate(rich.dates):
        if other != place:
            halfway = mixed(x, units.layout, units.scaling.axes, (date, its), 0.5)[[date]]
            both = scores[[place]].lerp(scores[[other]], 0.5)
            yield _sample(halfway, both, usable[[place]] & usable[[other]], rich, units, 0.0)


def _sample(
    x: Tensor, scores: Tensor, usable: Tensor, rich: Observation, units: Units, wanted: float
) -> Sample:
    """One date; only pixels count that were seen (1) or not (0), as wanted."""
    low = x if rich.view.spatial.kernel.numel() == 1 else lowpass(x, rich.view.spatial)
    seen = low[:, units.layout.seen : units.layout.seen + 1]
    return low, scores, (usable & ((seen - wanted).abs() < 1e-3)).float()
