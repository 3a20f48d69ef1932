"""Told: when the pixels of a tile were seen, and how far their series may have moved since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.lent import seen_by_dense, seen_by_either
from stsfusion.learning.live import half_clear
from stsfusion.learning.sighting import place_of
from stsfusion.learning.unrest import gaps
from stsfusion.operators.resample import blocks

__all__ = ["Glance", "Told", "panel_series", "told_of"]


@dataclass(frozen=True, eq=False)
class Glance:
    """One date of a tile."""

    now: Tensor
    """(H, W) bool: the dense sensor saw the pixel on this very date."""

    apart: Tensor | None
    """(H, W) variance, in sills of the unrest, of what nobody saw; None where there is none of it."""

    fading: Tensor | None
    """(H, W) times by which variance grows far from the date that taught; None where dates were hidden."""


@dataclass(frozen=True, eq=False)
class Told:
    """All dates of a tile."""

    dense_days: Tensor
    """(t,)."""

    dense: Tensor
    """(t, H, W) bool: seen by the dense sensor."""

    rich_days: Tensor
    """(n,)."""

    rich: Tensor
    """(n, H, W) bool: seen by the hyperspectral sensor."""

    moved: Tensor | None
    """(H, W) how much pixels moved between the dates that saw them; None where all saw all."""

    def glance(self, joint: Joint, day: float) -> Glance:
        """One date."""
        place = place_of(self.dense_days, day)
        none = torch.zeros(self.rich.shape[1:], dtype=torch.bool, device=self.rich.device)
        now = none if place is None else self.dense[place]
        unrest = joint.unrest
        if unrest is None:
            return Glance(now, None, None)
        fading = None
        if float(unrest.fading) > 0:
            fading = unrest.faded(*gaps(self.rich, self.rich_days, day))
        if self.moved is None or bool(now.all()):
            return Glance(now, None, fading)
        days = torch.cat([self.dense_days, self.rich_days])
        apart = unrest(self.moved, *gaps(torch.cat([self.dense, self.rich]), days, day))
        return Glance(now, torch.where(now, 0.0, apart), fading)


def told_of(joint: Joint, problem: Problem, dense: Fine | None) -> Told:
    """From the masks of a tile's series; dense dates are those of `dense` that the dense sensor looked at."""
    assert problem.rich is not None
    days = problem.target.days.float()
    rich_days, rich = days[problem.rich.dates], _fine(half_clear(problem.rich), problem.rich.ratio)
    if dense is None or problem.dense is None:
        return Told(days[:0], rich[:0], rich_days, rich, None)
    masks, shown = seen_by_dense(problem, dense.days), seen_by_either(problem, dense.days)
    whole = bool(masks.all()) and all(place_of(dense.days, day) is not None for day in days.tolist())
    moved = None
    if joint.unrest is not None and not whole:
        moved = joint.unrest.shown(panel_series(joint, dense), shown, dense.days)
    looked = days[problem.dense.dates]
    own = [place for place, day in enumerate(dense.days.tolist()) if place_of(looked, day) is not None]
    return Told(dense.days[own], masks[own], rich_days, rich, moved)


def panel_series(joint: Joint, dense: Fine, places: Tensor | None = None) -> Tensor:
    """(t, p, H, W) scores by the dense bands alone; (t, p, n) of some places, numbered row by row."""
    assert joint.panel is not None
    assert joint.bent is not None
    images: Sequence[Tensor] = list(dense.values)
    if places is None:
        return torch.stack([joint.panel(joint.bent(image)) for image in images])
    some = [image.flatten(1)[:, places][:, None] for image in images]
    return torch.stack([joint.panel(joint.bent(each))[:, 0] for each in some])


def _fine(clear: Tensor, ratio: int) -> Tensor:
    """(t, H, W) of (t, h, w)."""
    return blocks(clear[:, None], ratio)[:, 0]
