"""Withheld: what windows cannot tell of coarse pixels that were hidden, and so of detail within those seen.

::

    V(s): variance that stays unknown of a mean over s coarse pixels, hidden in blocks of two by two
    V(1 / r) ≈ V(1) ρ^{log₂ r}     ρ = V(1) / V(2), from one where all is smooth to four where it is white
    detail of a fine pixel about the mean of its coarse one:  V(1 / r) − V(1)

Source: Krige's relation, Journel and Huijbregts (1978), sec. II.C; the scaling as in Wald et al. (1997).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.changes import through
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointbase import score_noise
from stsfusion.learning.sighting import rich_scores

__all__ = ["withheld"]

_STEP = 4
"""Of every so many coarse pixels in both directions, two are hidden."""


def withheld(joint: Joint, problem: Problem) -> Tensor:
    """(band,) variance of detail within coarse pixels that neither they nor the guide tell."""
    assert joint.subspace is not None
    errors, noise = _errors(joint, problem), score_noise(joint.subspace).square()
    basis = joint.subspace.basis
    if errors.shape[1] == 0:
        return torch.zeros_like(basis[0])
    assert problem.rich is not None

    def unknown(scores: Tensor, share: float) -> Tensor:
        own = basis.square() * (share * noise.to(basis))[:, None]
        return ((basis.T @ scores).square().mean(1) - own.sum(0)).clamp_min(1e-12)

    single, blocks = unknown(errors.flatten(1), 1.0), unknown(errors.mean(2), 0.25)
    ratio = (single / blocks).clamp(1.0, 4.0)
    return single * (ratio ** math.log2(problem.rich.ratio) - 1.0)


def _errors(joint: Joint, problem: Problem) -> Tensor:
    """(p, n, 4) of hidden blocks of two by two."""
    assert joint.rich is not None
    assert joint.guide is not None
    assert joint.subspace is not None
    assert problem.rich is not None
    days, seen = rich_scores(problem.rich, joint.subspace, problem.target.days, joint.rich.dates)
    hidden = torch.zeros_like(seen.clear)
    for down, right in _BLOCK:
        hidden[:, down::_STEP, right::_STEP] = True
    rest = replace(seen, clear=seen.clear & ~hidden, values=seen.values * ~hidden[:, None])
    components = joint.components(problem)
    looks, half = joint.guide.looks(components), int(joint.half[1])
    fine, _ = joint.rich.of_dates(days)(components, looks, rest, half)
    gap = (through(fine, seen) - seen.values).movedim(1, 0)
    rows, cols = (s // _STEP * _STEP for s in seen.clear.shape[1:])
    clear = torch.stack([seen.clear[:, d:rows:_STEP, r:cols:_STEP] for d, r in _BLOCK], -1).all(-1)
    return torch.stack([gap[:, :, d:rows:_STEP, r:cols:_STEP] for d, r in _BLOCK], -1)[:, clear]


_BLOCK = ((1, 1), (1, 2), (2, 1), (2, 2))
"""Places of the hidden ones (down, right)."""
