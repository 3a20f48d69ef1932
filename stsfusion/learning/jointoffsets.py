"""Joint offsets: what the dense sensor's values have added to them, before anything is made of them.

Sharp and hyperspectral images alone are enough for a guide and for what dense bands should be on common
dates; the rest of joint estimation then sees dense values without offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.densegains import TileSeen, told_by_others
from stsfusion.learning.jointbase import Settings, days_of, learn_base, noise_of
from stsfusion.learning.jointoptics import JointOptics
from stsfusion.learning.offsets import offsets
from stsfusion.learning.pointing import pointing
from stsfusion.learning.resolved import suits
from stsfusion.learning.sighting import Dates, seen_by

__all__ = ["with_offsets"]

_ENOUGH = 40000
"""Fine pixels from which offsets are learned."""

_POINTING = 10.0
"""Load on the slopes of the regression by which displacements are found."""


def with_offsets(optics: JointOptics, problems: Sequence[Problem], settings: Settings) -> JointOptics:
    """The same, with the offsets of the dense sensor where there are any."""
    if problems[0].dense is None or suits(problems[0]):
        return optics
    size = max(problem.target.shape[2] * problem.target.shape[3] for problem in problems)
    some = [optics(problem) for problem in problems[:: max(1, len(problems) * size // max(_ENOUGH, size))]]
    bare = [problem.with_observations({"dense": None}) for problem in some]
    joint = learn_base(bare, settings)
    guides = [joint.components(problem) for problem in bare]
    days, bands = days_of(some[0], "dense"), problems[0].dense.data.shape[1]
    plain = Dates.plain(days, bands)
    shift = pointing([(guide, seen) for _, guide, seen in _tiles(some, guides, plain)], _POINTING)
    tiles = _tiles(some, guides, replace(plain, shift=shift))
    told = told_by_others(joint, tiles, days, settings.dead, doubled=settings.doubled)
    shared = noise_of([p.dense for p in some if p.dense is not None]) if settings.doubled else None
    found = offsets(told, len(days), bands, shared)
    return replace(optics, added=found, days=days) if bool(found.any()) else optics


def _tiles(problems: Sequence[Problem], guides: Sequence[Tensor], dates: Dates) -> list[TileSeen]:
    """Tiles with their guides and what the dense sensor saw."""
    return [
        (problem, guide, seen_by(problem.dense, problem.target.days, dates))
        for problem, guide in zip(problems, guides, strict=True)
        if problem.dense is not None
    ]
