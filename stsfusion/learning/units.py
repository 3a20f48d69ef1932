"""Units: in what numbers every sensor speaks to ridge and network, learned once for the region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.features import Layout, Scaling, Scene
from stsfusion.learning.live import live_bands, refuse_blind
from stsfusion.learning.subspace import Subspace

__all__ = ["Units", "learn_units"]


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


def learn_units(
    problems: Sequence[Problem], *, rank: int, share: float, axes: int, passes: int, by: str
) -> Units:
    """Subspace and scaling from all tiles.

    Raises
    ------
    ProblemError
        When a role is missing, or the hyperspectral sensor saw nothing at all.
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
    live = live_bands(rich)
    refuse_blind("rich", live, by)
    known = [observation.noise for observation in rich if observation.noise is not None]
    noise = torch.stack(known).mean(0) if len(known) == len(rich) else None
    subspace = Subspace.learn((_pixels(o, live) for o in rich), rank=rank, share=share, noise=noise)
    return Units(subspace, Scaling.learn(problems, axes, by), passes, by)


def _pixels(observation: Observation, live: Tensor) -> Tensor:
    """(pixel, band) of the pixels of which every band is valid that is valid in some tile."""
    mask = observation.valid.expand_as(observation.data).movedim(1, -1).flatten(0, 2)
    live = live.to(mask.device)
    rows = observation.data.movedim(1, -1).flatten(0, 2)
    return torch.where(live, rows, 0.0)[(mask | ~live).all(1)]
