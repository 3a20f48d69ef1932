"""Dense gains: what other sensors of the same dates say of the dense one's radiometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.changes import Seen, through
from stsfusion.learning.joint import Joint
from stsfusion.learning.live import half_clear, on_dead
from stsfusion.learning.radiometry import Series, gains, ratio_of
from stsfusion.learning.sighting import place_of
from stsfusion.operators.resample import blocks

__all__ = ["TileSeen", "dense_gains", "told_by_others"]

_FEW = 50
"""Coarse pixels below which a gain is not taken from them."""

TileSeen = tuple[Problem, Tensor, Seen]
"""A tile, its (q, H, W) guide, and what the dense sensor saw."""


def dense_gains(
    joint: Joint,
    tiles: Sequence[TileSeen],
    days: Tensor,
    noise: Tensor,
    dead: Tensor | None = None,
    *,
    doubled: bool = False,
) -> Tensor:
    """(t, b) factors of the dense sensor's dates.

    On dates of the hyperspectral sensor its scores, regressed on the guide, say what dense bands should be;
    without one, the sharp image does, where its bands are the same, unless it is `doubled`: the dense one's
    own, which would vouch for itself. Values below the noise tell no gain, nor do hyperspectral bands that
    are (band,) dead.
    """
    found = {}
    for date, (values, said) in told_by_others(joint, tiles, days, dead, doubled=doubled).items():
        telling = said.square().mean(1) > noise.square().to(said)
        found[date] = torch.where(telling, ratio_of(values.double(), said.double()), 1.0)
    clear = [seen.clear.all(0) for _, _, seen in tiles]
    values = torch.cat([seen.values[:, :, mask] for (_, _, seen), mask in zip(tiles, clear, strict=True)], 2)
    return gains(Series(days, values, noise), found)


def told_by_others(
    joint: Joint,
    tiles: Sequence[TileSeen],
    days: Tensor,
    dead: Tensor | None = None,
    *,
    doubled: bool = False,
) -> dict[int, tuple[Tensor, Tensor]]:
    """(b, n) dense values and what another sensor says they should be, by date, where enough is known.

    Bands that look where the hyperspectral sensor is dead are said to be what they are.
    """
    found = {}
    for date, day in enumerate(days.tolist()):
        told = [_said(joint, tile, (date, day), dead, doubled=doubled) for tile in tiles]
        parts = [part for part in told if part is not None]
        if parts and sum(values.shape[1] for values, _ in parts) >= _FEW:
            values, said = (torch.cat(side, 1) for side in zip(*parts, strict=True))
            found[date] = values, said
    return found


def _said(
    joint: Joint, tile: TileSeen, when: tuple[int, float], dead: Tensor | None, *, doubled: bool
) -> tuple[Tensor, Tensor] | None:
    """(b, n) dense values and what another sensor says they should be."""
    (problem, guide, seen), (date, day) = tile, when
    other = _by_rich(joint, problem, guide, day) or (None if doubled else _by_sharp(problem, day))
    if other is None:
        return None
    image, valid = other
    own = replace(seen, kernels=[seen.kernels[date]])
    low = through(image[None], own)[0]
    clear = seen.clear[date] & (through(valid[None, None].float(), own)[0, 0] > 0.999)
    values, said = seen.values[date][:, clear], low[:, clear]
    if dead is not None and problem.rich is not None and problem.dense is not None:
        lost = on_dead(problem.dense.view.spectral.matrix, dead)
        said = torch.where(lost.to(said.device)[:, None], values, said)
    return values, said


def _by_rich(joint: Joint, problem: Problem, guide: Tensor, day: float) -> tuple[Tensor, Tensor] | None:
    """(b, H, W) by the regression of the hyperspectral scores, and where that sensor saw the day."""
    if joint.rich is None or joint.subspace is None or problem.dense is None:
        return None
    place = place_of(joint.rich.days, day)
    if place is None:
        return None
    changes, subspace = joint.rich.changes, joint.subspace
    scores = torch.einsum("qp,qyx->pyx", changes.slope[place], guide) + changes.offset[place][:, None, None]
    response = problem.dense.view.spectral.matrix.float().to(guide)
    image = torch.einsum("bp,pyx->byx", response @ subspace.basis.T, scores)
    image = image + (response @ subspace.mean)[:, None, None]
    rich = problem.rich
    seen = None if rich is None else place_of(problem.target.days[rich.dates], day)
    if rich is None or seen is None:
        return None
    return image, blocks(half_clear(rich)[None, seen : seen + 1], rich.ratio)[0, 0]


def _by_sharp(problem: Problem, day: float) -> tuple[Tensor, Tensor] | None:
    """(b, H, W) the sharp image, where both sensors have the same bands, and where it is valid."""
    sharp, dense = problem.sharp, problem.dense
    if sharp is None or dense is None or sharp.ratio != 1:
        return None
    if not torch.equal(sharp.view.spectral.matrix, dense.view.spectral.matrix):
        return None
    place = place_of(problem.target.days[sharp.dates], day)
    if place is None:
        return None
    mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:])[place].all(0)
    return torch.where(mask, sharp.data[place], 0.0), mask
