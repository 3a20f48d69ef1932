"""Joint: all sensors' series of a region as one estimate of every date, in closed form.

::

    sharp series ─► guide ─┬─► dense series, fine, all dates ─► m ─┐
                           └─► hyperspectral series, fine ─► a ────┴─► F(m) + e, carried ─► held to m ─► x̂
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import date_weights, resample
from stsfusion.learning.akin import Akin
from stsfusion.learning.assurance import Assurance
from stsfusion.learning.bandmatch import BandMatch
from stsfusion.learning.casting import Casting
from stsfusion.learning.changes import Seen, Unmixing
from stsfusion.learning.floor import Floor
from stsfusion.learning.guide import Guide
from stsfusion.learning.innovation import Innovation
from stsfusion.learning.kept import joined, under
from stsfusion.learning.live import Live, half_clear
from stsfusion.learning.panel import Bent, Carried, Panel
from stsfusion.learning.resolved import Resolved
from stsfusion.learning.sighting import place_of, rich_scores, seen_by, stack_of
from stsfusion.learning.steady import Steady
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.swaths import swaths
from stsfusion.learning.timed import Timed
from stsfusion.learning.unguided import Unguided
from stsfusion.learning.unrest import Unrest

__all__ = ["Coming", "Fine", "Joint"]

_TAPS = 4
"""Dense pixels beyond a fine one that its stack looks at: the interpolation's, and those of gaps near it."""


@dataclass(frozen=True, eq=False)
class Fine:
    """One sensor's series on the fine grid of a tile."""

    days: Tensor
    """(t,)."""

    values: Tensor
    """(t, c, H, W)."""

    deviation: Tensor
    """(t, c, H, W) standard deviation."""

    looks: Tensor
    """(q', H, W) of the guide."""


@dataclass(frozen=True, eq=False)
class Coming:
    """One sensor's series on its way to the fine grid."""

    days: Tensor
    """(t,)."""

    unmixing: Unmixing
    """Of its dates."""

    def rows(self, own: slice) -> Fine:
        """These fine rows of it, edges on coarse pixels."""
        return Fine(self.days, *self.unmixing.rows(own.start, own.stop), self.unmixing.looks[:, own])

    @property
    def whole(self) -> Fine:
        """All of it."""
        return self.rows(slice(0, self.unmixing.components.shape[1]))


@dataclass(frozen=True, eq=False)
class Joint:
    """All that is learned; parts whose sensor is absent are None."""

    guide: Guide | None
    """Of the sharp series."""

    half: Tensor
    """(2,) coarse pixels that windows extend: of the dense and of the hyperspectral sensor."""

    sharp_days: Tensor
    """(n,) of the sharp series."""

    dense: Timed | None = None
    """The dense series."""

    rich: Timed | None = None
    """The scores of the hyperspectral series."""

    subspace: Subspace | None = None
    """Of the hyperspectral bands."""

    bent: Bent | None = None
    """Features of dense bands."""

    panel: Panel | None = None
    """Scores from these features."""

    akin: Akin | None = None
    """What pixels that look alike keep in common."""

    carried: Carried | None = None
    """What pixels keep."""

    by_dense: Innovation | None = None
    """What dense bands tell of an estimate."""

    by_sharp: Innovation | None = None
    """What sharp bands tell of it."""

    covariance: Tensor | None = None
    """(p, p) of estimates' errors at hidden dates, before they are held to anything."""

    floor: Floor | None = None
    """What no estimate falls below."""

    assurance: Assurance | None = None
    """How sure it is."""

    unrest: Unrest | None = None
    """How far the series moves where and when nobody saw it."""

    match: BandMatch | None = None
    """Sharp bands from dense ones, without a hyperspectral sensor that would tell how they go together."""

    steady: Steady | None = None
    """How sure sharp bands are without a hyperspectral sensor."""

    casting: Casting | None = None
    """Who stands in for a sensor that is not there."""

    live: Live | None = None
    """Bands that tell anything at all."""

    resolved: Resolved | None = None
    """The dense series where it lies on the fine grid already and there is no hyperspectral sensor."""

    @classmethod
    def bare(cls, resolved: Resolved) -> Self:
        """Of images on one grid alone."""
        return cls(None, torch.zeros(2, dtype=torch.long), torch.zeros(0), resolved=resolved)

    def components(self, problem: Problem) -> Tensor:
        """(q, H, W) of the guide."""
        assert self.guide is not None
        days = self.dense.days if self.dense is not None else self.sharp_days[:0]
        told, made = problem.with_observations({"rich": None}), []
        reach = 0 if told.dense is None else _TAPS * told.dense.ratio
        for swath in swaths(told, reach):
            stack = stack_of(swath.of(told), self.sharp_days, days)
            made.append(self.guide.components(stack)[:, swath.inner])
        return torch.cat(made, 1)

    def fine_dense(self, problem: Problem, components: Tensor) -> Fine | None:
        """The dense series at fine pixels."""
        coming = self.coming_dense(problem, components)
        return None if coming is None else coming.whole

    def fine_rich(self, problem: Problem, components: Tensor) -> Fine | None:
        """The scores of the hyperspectral series at fine pixels."""
        coming = self.coming_rich(problem, components)
        return None if coming is None else coming.whole

    def coming_dense(self, problem: Problem, components: Tensor) -> Coming | None:
        """The dense series, ready for any fine rows."""
        seen = problem.observations.get("dense")
        if seen is None or self.dense is None:
            return None
        seen = _looked(seen, self.dense, problem.target.days)
        days = problem.target.days[seen.dates].float()
        return self._coming(
            self.dense, days, seen_by(seen, problem.target.days, self.dense.dates), components, 0
        )

    def coming_rich(self, problem: Problem, components: Tensor) -> Coming | None:
        """The scores of the hyperspectral series, ready for any fine rows."""
        seen = problem.observations.get("rich")
        if seen is None or self.rich is None or self.subspace is None:
            return None
        seen = _looked(seen, self.rich, problem.target.days)
        days, scores = rich_scores(seen, self.subspace, problem.target.days, self.rich.dates)
        return self._coming(self.rich, days, scores, components, 1)

    def _coming(self, timed: Timed, days: Tensor, seen: Seen, components: Tensor, which: int) -> Coming:
        assert self.guide is not None
        half, looks = int(self.half[which]), self.guide.looks(components)
        without = Unguided.of(self.guide, components)
        return Coming(days, timed.of_dates(days).unmixing(components, looks, seen, half, without))

    def at(self, dense: Fine, day: float) -> tuple[Tensor, Tensor]:
        """(b, H, W) dense bands of a day, between its dates where it was not seen, and their deviation."""
        place = place_of(dense.days, day)
        if place is not None:
            return dense.values[place], dense.deviation[place]
        valid = torch.ones(len(dense.days), 1, 1, 1, dtype=torch.bool, device=dense.values.device)
        weights = date_weights(valid, dense.days, torch.tensor([day]))
        return resample(dense.values, weights)[0], resample(dense.deviation, weights)[0]

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        bare = {"half": self.half, "sharp_days": self.sharp_days}
        if self.covariance is not None:
            bare["covariance"] = self.covariance
        parts = {name: getattr(self, name) for name in _KINDS}
        return {**joined({name: part for name, part in parts.items() if part is not None}), **bare}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        parts: dict[str, Any] = {}
        for name, kind in _KINDS.items():
            own = under(tensors, name)
            parts[name] = kind.of(own) if own else None
        parts.update({name: tensors.get(name) for name in ("half", "sharp_days", "covariance")})
        return cls(**parts)


def _looked(seen: Observation, timed: Timed, days: Tensor) -> Observation:
    """Without dates that nobody learned from and that show nothing here: they are no dates of the series."""
    clear = half_clear(seen).flatten(1).any(1).tolist()
    own = [place_of(timed.days, float(days[date])) is not None for date in seen.dates]
    kept = [k for k, (here, known) in enumerate(zip(clear, own, strict=True)) if here or known]
    return seen if not kept or len(kept) == len(own) else seen.select(kept)


_KINDS: dict[str, Any] = {
    "guide": Guide,
    "dense": Timed,
    "rich": Timed,
    "subspace": Subspace,
    "bent": Bent,
    "panel": Panel,
    "akin": Akin,
    "carried": Carried,
    "by_dense": Innovation,
    "by_sharp": Innovation,
    "floor": Floor,
    "assurance": Assurance,
    "unrest": Unrest,
    "match": BandMatch,
    "steady": Steady,
    "casting": Casting,
    "live": Live,
    "resolved": Resolved,
}
"""Classes of the parts."""
