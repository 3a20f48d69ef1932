"""Casting: who plays a part for which no sensor was given.

::

    given          sharp is played by                 dense is played by
    rich, sharp    itself                             the sharp one
    rich, dense    the dense one, where it is fine    itself
                   the rich one, where it is fine     itself
    dense          the dense one, where it is fine    nobody
    rich           the rich one, where it is fine     nobody, and nobody plays the rich one

A sensor is fine that saw the target's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.kept import Kept
from stsfusion.operators.degradation import Degradation

__all__ = ["Casting", "Kind"]


class Kind(IntEnum):
    """Who stands in for whom."""

    NOBODY = 0
    SHARP_AS_DENSE = 1
    DENSE_AS_SHARP = 2
    RICH_AS_SHARP = 3
    DENSE_ALONE = 4
    RICH_ALONE = 5


@dataclass(frozen=True, eq=False)
class Casting(Kept):
    """One cast for all tiles of a region."""

    kind: Tensor
    """() a `Kind`."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], by: str) -> Self:
        """By the sensors that saw anything in any tile.

        Raises
        ------
        ProblemError
            When no sensor has the target's own pixels.
        """
        every = [pair for problem in problems for pair in problem.observations.items()]
        ratios = {role: each.ratio for role, each in every if bool(each.valid.any())}
        kind = _kind(ratios)
        if kind is None and "sharp" not in dict(every):
            found = ", ".join(f"'{role}' with pixels {ratio} times as wide" for role, ratio in ratios.items())
            raise ProblemError(
                f"method '{by}'",
                expected="a sensor that saw the target's own pixels: one for the role 'sharp', or another",
                got=found or "none",
                mend="Give the finest series as 'sharp', or ask for the pixels of the finest that there is.",
            )
        return cls(torch.tensor(int(Kind.NOBODY if kind is None else kind)))

    @property
    def doubled(self) -> bool:
        """Whether one sensor plays two parts, so that what it says must not be counted twice."""
        return int(self.kind) in (Kind.SHARP_AS_DENSE, Kind.DENSE_AS_SHARP, Kind.RICH_AS_SHARP)

    def __call__(self, problem: Problem) -> Problem:
        """The same question, every part played by whom the tile shows."""
        kind = int(self.kind)
        rich, sharp, dense = problem.rich, problem.sharp, problem.dense
        made: dict[Role, Observation | None] = {}
        if kind == Kind.SHARP_AS_DENSE:
            made = {"dense": sharp}
        elif kind == Kind.DENSE_AS_SHARP:
            made = {"sharp": dense}
        elif kind == Kind.RICH_AS_SHARP and rich is not None and dense is not None:
            made = {"sharp": _as(rich, dense)}
        elif kind == Kind.DENSE_ALONE:
            made = {"sharp": dense, "dense": None}
        elif kind == Kind.RICH_ALONE:
            made = {"sharp": rich, "rich": None}
        return problem.with_observations(made)


def _kind(ratios: dict[Role, int]) -> Kind | None:
    """By the ratios of the sensors that there are; None where nobody can play the sharp one."""
    if "sharp" in ratios:
        return Kind.SHARP_AS_DENSE if "rich" in ratios and "dense" not in ratios else Kind.NOBODY
    if ratios.get("dense") == 1:
        return Kind.DENSE_AS_SHARP if "rich" in ratios else Kind.DENSE_ALONE
    if ratios.get("rich") == 1:
        return Kind.RICH_AS_SHARP if "dense" in ratios else Kind.RICH_ALONE
    return None


def _as(rich: Observation, dense: Observation) -> Observation:
    """What the dense sensor would have seen of the rich one's images."""
    response = dense.view.spectral.matrix.to(rich.data)
    spectral = dense.view.spectral.with_shape(rich.view.temporal.out_shape)
    return replace(
        rich,
        data=torch.einsum("bs,tsyx->tbyx", response, rich.data),
        valid=rich.valid.expand(rich.data.shape).all(1, keepdim=True),
        view=Degradation(rich.view.temporal, spectral, rich.view.spatial.with_shape(spectral.out_shape)),
        noise=None if rich.noise is None else (response.square() @ rich.noise.square().to(response)).sqrt(),
    )
