"""FusionMethod: the one contract of the whole zoo, and the Card on which a method says what it is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, Self

from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.problem import Problem, Role
from stsfusion.operators.linear import Shape

__all__ = ["Card", "FusionMethod", "Geometry", "Tick", "silent"]

Tick = Callable[[float, str], None]
"""Called while fitting with the share that is done (0 to 1) and a few words."""


def silent(done: float, what: str) -> None:
    """The Tick of those who do not watch."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a method is, needs and promises."""

    name: str
    """The file's name."""

    title: str
    """One line for tables."""

    source: str
    """DOI of the paper; authors and year where none is known to us; 'stsfusion' for our own."""

    needs: tuple[Role, ...]
    """Roles without which it cannot work."""

    uses: tuple[Role, ...] = ()
    """Roles it makes use of when they are there."""

    finest: bool = False
    """Where no sensor is given as sharp, the one that saw the target's own pixels stands in for it."""

    fits: Literal["no", "scene", "training"]
    """What `fit` does: nothing, statistics of the scene, or the training of a network."""

    baseline: bool = False
    """Plain interpolation: excused from beating itself."""

    blind: bool = False
    """Feels nothing of a kernel or response that is marked as unknown."""

    sigma: bool = False
    """Says how sure it is: its answers carry a standard deviation."""

    factored: bool = False
    """Its answers are factored where there is a hyperspectral sensor: a series can be kept compact."""

    seam: float = 1e-5
    """Largest step that a tile's border may leave, reflectance."""

    chooses: bool = False
    """Picks pixels by thresholds: where sums round otherwise, a few pixels may fall otherwise."""

    memory: float = 8.0
    """Peak of `fuse` at most, in multiples of the tile's full target in float32; see `FusionMethod.peak`."""

    def lacks(self, present: Collection[Role]) -> list[Role]:
        """Roles that it needs, of which none of these sensors, one with the target's pixels, can play it."""
        spared = {"sharp"} if self.finest and present else set()
        return [role for role in self.needs if role not in present and role not in spared]


@dataclass(frozen=True)
class Geometry:
    """What decides how much context a tile needs: the ratios and the reach of every point spread function."""

    ratios: Mapping[Role, int]
    """Target pixels along one side of a pixel, by role."""

    reaches: Mapping[Role, int] = field(default_factory=dict)
    """Target pixels that a pixel sees beyond its own block, by role."""

    @classmethod
    def of(cls, problem: Problem) -> Geometry:
        """Read off a problem's views."""
        views = {role: observation.view for role, observation in problem.observations.items()}
        return cls(
            {role: view.ratio for role, view in views.items()},
            {role: view.spatial.reach for role, view in views.items()},
        )

    @property
    def multiple(self) -> int:
        """Least common multiple of the ratios: what every window's edges must be multiples of."""
        return math.lcm(*self.ratios.values()) if self.ratios else 1

    def ratio(self, role: Role) -> int:
        """The role's ratio; 1 when it is absent."""
        return self.ratios.get(role, 1)

    def reach(self, role: Role) -> int:
        """The role's reach; 0 when it is absent."""
        return self.reaches.get(role, 0)


class FusionMethod(ABC):
    """An answer's maker. Subclasses are dataclasses whose fields are the hyper-parameters and nothing else.

    Two laws: what is global is learned in `fit`; `fuse` is local and pure, so that a tile with `halo` pixels
    of context gives what the whole scene would give.
    """

    _state: Mapping[str, Tensor] = MappingProxyType({})

    @property
    @abstractmethod
    def card(self) -> Card:
        """What the method is, needs and promises; may depend on the settings."""

    @abstractmethod
    def fuse(self, problem: Problem) -> Answer:
        """Give the target back, from what was observed.

        Raises
        ------
        ProblemError
            When a role is missing.
        MethodError
            When the method must be fitted first.
        """

    def halo(self, geometry: Geometry) -> int:
        """Context that a tile needs on every side, in target pixels, computed from the method's fields."""
        return 0

    def span(self) -> int | None:
        """Neighbouring dates needed on either side; None: all."""
        return None

    def peak(self, shape: Shape, geometry: Geometry) -> float:
        """Bytes that `fuse` holds at most beside its input, for a target of this (time, band, y, x)."""
        return self.card.memory * 4 * math.prod(shape)

    def lighter(self) -> Self | None:
        """The same, learned all, with half as much in memory at a time; None: it cannot do with less."""
        return None

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """A copy that has learned what is global from these sampled tiles (they may be walked repeatedly)."""
        return self

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What `fit` learned: all that is saved, and all of it tensors; cannot be written to."""
        return MappingProxyType(self._state)

    def with_state(self, state: Mapping[str, Tensor]) -> Self:
        """A copy with the same settings that has learned this."""
        copy = replace(self)  # type: ignore[type-var]
        copy._state = {name: tensor.detach() for name, tensor in state.items()}
        return copy

    def fitted(self) -> Mapping[str, Tensor]:
        """The state, or a clear refusal when there is none.

        Raises
        ------
        MethodError
            When `fit` was not called.
        """
        if not self._state:
            raise MethodError(
                f"method '{self.card.name}'",
                expected="a fitted method",
                got="one that has learned nothing",
                mend="Call fit(problems) first and use what it returns, or load saved weights.",
            )
        return self.state

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """Cheap settings for the contract tests."""
        return cls(**settings)
