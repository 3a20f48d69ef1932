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

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import ROLES, Observation, Problem, Role
from stsfusion.learning.kept import Kept
from stsfusion.learning.live import bridged, live_bands
from stsfusion.operators.degradation import Degradation

__all__ = ["Casting", "Kind"]


_WHOLE = 0.999
"""Share of a band's response that must be valid: what lacks would be told by the rest's brightness."""


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

    given: Tensor
    """(3,) bool: sensors that there are, as `ROLES` has them."""

    live: Tensor
    """(band,) bool: hyperspectral bands that are valid somewhere."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], by: str) -> Self:
        """By the sensors that saw anything in any tile.

        Raises
        ------
        ProblemError
            When no sensor has the target's own pixels, or a tile lacks a sensor that another has.
        """
        every = [pair for problem in problems for pair in problem.observations.items()]
        there = dict(every)
        for problem in problems:
            _refuse_other(there, problem, by)
        ratios = {role: each.ratio for role, each in every if bool(each.valid.any())}
        kind = _kind(ratios)
        if kind is None and "sharp" not in there:
            found = ", ".join(f"'{role}' with pixels {ratio} times as wide" for role, ratio in ratios.items())
            raise ProblemError(
                f"method '{by}'",
                expected="a sensor that saw the target's own pixels: one for the role 'sharp', or another",
                got=found or "none",
                mend="Give the finest series as 'sharp', or ask for the pixels of the finest that there is.",
            )
        return cls(
            torch.tensor(int(Kind.NOBODY if kind is None else kind)),
            torch.tensor([role in there for role in ROLES]),
            live_bands([problem.rich for problem in problems if problem.rich is not None]),
        )

    @property
    def doubled(self) -> bool:
        """Whether one sensor plays two parts, so that what it says must not be counted twice."""
        return int(self.kind) in (Kind.SHARP_AS_DENSE, Kind.DENSE_AS_SHARP, Kind.RICH_AS_SHARP)

    def __call__(self, problem: Problem, by: str) -> Problem:
        """The same question, every part played.

        Raises
        ------
        ProblemError
            When a sensor lacks by which the method has learned.
        """
        _refuse_other([role for role, has in zip(ROLES, self.given, strict=True) if has], problem, by)
        kind = int(self.kind)
        rich, sharp, dense = problem.rich, problem.sharp, problem.dense
        made: dict[Role, Observation | None] = {}
        if kind == Kind.SHARP_AS_DENSE:
            made = {"dense": sharp}
        elif kind == Kind.DENSE_AS_SHARP:
            made = {"sharp": dense}
        elif kind == Kind.RICH_AS_SHARP and rich is not None and dense is not None:
            made = {"sharp": _as(bridged(rich, self.live, problem.target.wavelengths), dense)}
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


def _refuse_other(roles: Collection[Role], problem: Problem, by: str) -> None:
    """All tiles are seen by the same sensors; of what one did not see it says so in its mask."""
    lacking = [role for role in roles if role not in problem.observations]
    if lacking:
        raise ProblemError(
            f"method '{by}'",
            expected=f"observations for the roles {', '.join(roles)}, as where it learned, in every tile",
            got=", ".join(problem.observations) or "none",
            mend=f"Give '{lacking[0]}' here too, all of it marked as invalid where it saw nothing; or learn "
            "without it.",
        )


def _as(rich: Observation, dense: Observation) -> Observation:
    """What the dense sensor would have seen of the rich one's images."""
    response = dense.view.spectral.matrix.to(rich.data)
    spectral = dense.view.spectral.with_shape(rich.view.temporal.out_shape)
    mask = rich.valid.expand(rich.data.shape)
    return replace(
        rich,
        data=torch.einsum("bs,tsyx->tbyx", response, torch.where(mask, rich.data, 0.0)),
        valid=torch.einsum("bs,tsyx->tbyx", response, mask.to(rich.data)) > _WHOLE,
        view=Degradation(rich.view.temporal, spectral, rich.view.spatial.with_shape(spectral.out_shape)),
        noise=None if rich.noise is None else (response.square() @ rich.noise.square().to(response)).sqrt(),
    )
