"""Compare: degrade an answer and hold it against what was observed. Needs no truth.

Against the labels of Wald's protocol, which lie on the answer's own grid, the same comparison scores an
answer to a coarsened problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.problem import Observation
from stsfusion.quality.metrics import choose
from stsfusion.quality.scores import Values

__all__ = ["Consistency", "compare", "look_again"]


@dataclass(frozen=True)
class Consistency:
    """One date of an answer, seen through one sensor, against what that sensor saw."""

    role: str
    """The observation's name."""

    date: int
    """Index of the answer's date."""

    valid: float
    """Share of the observed values that could be compared, 0 to 1."""

    noise: float | None
    """Root mean square over bands of the sensor's noise, reflectance: no answer is asked to come closer."""

    values: Values
    """Metrics, the observation standing where the truth would."""


def look_again(answer: Answer, observation: Observation, date: int) -> Tensor:
    """(band', y/r, x/r) what the sensor would see of the answer's date."""
    image = answer.date(date)[None]
    spectral = observation.view.spectral.with_shape((1, *answer.shape[1:]))
    spatial = observation.view.spatial.with_shape(spectral.out_shape)
    return spatial(spectral(image))[0]


def compare(
    answer: Answer, observations: Mapping[str, Observation], metrics: Sequence[str] = ("rmse", "sam", "cc")
) -> list[Consistency]:
    """Every observed date of every role, one date of the answer at a time.

    Raises
    ------
    ProblemError
        When an observation is one of another target, or there is no such metric.
    """
    for role, observation in observations.items():
        if observation.view.in_shape != answer.shape:
            raise ProblemError(
                f"compare, role '{role}'",
                expected=f"a view of the answer's {answer.shape}",
                got=f"{observation.view.in_shape}",
            )
    chosen = choose(tuple(metrics))
    found = []
    for role, observation in observations.items():
        sigma = None if observation.noise is None else float(observation.noise.square().mean().sqrt())
        for place, date in enumerate(observation.dates):
            seen, valid = observation.data[place], _valid(observation, place)
            again = look_again(answer, observation, date)
            values = {
                name: metric(again, seen, ratio=observation.ratio, valid=valid)
                for name, metric in chosen.items()
            }
            found.append(Consistency(role, date, float(valid.float().mean()), sigma, values))
    return found


def _valid(observation: Observation, place: int) -> Tensor:
    """(band', y/r, x/r) what was observed; of bands that look at none of the answer's nothing can be said."""
    own = observation.valid if observation.valid.shape[0] == 1 else observation.valid[place : place + 1]
    looks = (observation.view.spectral.matrix != 0).any(1).to(own.device)
    return torch.broadcast_to(own, (1, *observation.data.shape[1:]))[0] & looks[:, None, None]
