"""Assurance: the standard deviation of a joint estimate, band by band and pixel by pixel.

::

    σ² = level² · spread · v + ground
    v       what innovations leave of the covariance that hidden dates have shown, for the pixel's unsureness
    spread  Σ share · sign: one, the surprise of the innovation, the doubt of the dense bands

Shares and levels are learned at fine pixels of hidden dates. What stands for the truth there is the estimate
that was not denied the date. As a conditional mean it errs independently of what was found without the date,
so that its own variance, which kriging knows, is added: the ground.

Source: variance functions in regression, Carroll and Ruppert (1988), ch. 2; the quantile as in split
conformal prediction, Lei et al. (2018), sec. 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.innovation import Innovation
from stsfusion.learning.kept import Kept
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.nnls import nnls

__all__ = ["Assurance", "Outcome", "band_variance"]

_NINETY = 1.6449
"""Half-width of a Gaussian's central 90 per cent, in standard deviations."""

_ROUNDS = 4
"""Of the reweighted fit."""

_COMMON = 0.2
"""Least share of the spread that all pixels have in common."""

_FAR = 30.0
"""Sign beyond which it is taken to be no larger."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a hidden date has shown, at fine pixels."""

    errors: Tensor
    """(band, n) reflectance."""

    variance: Tensor
    """(band, n) v."""

    signs: Tensor
    """(3, n)."""

    white: Tensor
    """(band,) variance of the errors of what stood for the truth."""


@dataclass(frozen=True, eq=False)
class Assurance(Kept):
    """What is needed to say a standard deviation."""

    level: Tensor
    """(band,)."""

    shares: Tensor
    """(3,) of the signs, not negative."""

    ground: Tensor
    """(band,) least variance."""

    @classmethod
    def learn(cls, outcomes: Sequence[Outcome], ground: Tensor) -> Self:
        """From hidden dates; `ground` is (band,) reflectance squared."""
        errors = torch.cat([each.errors for each in outcomes], 1).double()
        variance = torch.cat([each.variance for each in outcomes], 1).double()
        signs = torch.cat([each.signs for each in outcomes], 1).double().clamp_max(_FAR)
        white = torch.stack([each.white for each in outcomes]).mean(0)
        least = 1e-3 * variance.mean(1, keepdim=True)
        relative = (errors.square() / (variance + least)).clamp_max(25.0).mean(0)
        shares = _shares(signs, relative)
        # A date that was never seen is one more than those that the levels come from.
        level = _levels(errors.abs(), variance * (shares @ signs)) * (1.0 + 1.0 / len(outcomes)) ** 0.5
        return cls(level.float(), shares.float(), torch.maximum(ground, white).float())

    def __call__(self, variance: Tensor, signs: Tensor) -> Tensor:
        """(band, H, W) standard deviation of (band, H, W) v and (3, H, W) signs."""
        spread = torch.einsum("i,iyx->yx", self.shares, signs.clamp_max(_FAR))
        total = variance * self.level.square()[:, None, None] * spread
        return total.add_(self.ground[:, None, None]).sqrt_()


def _shares(signs: Tensor, relative: Tensor) -> Tensor:
    """(3,) by non-negative least squares, pixels weighted by the spread of the last round."""
    shares = torch.tensor([1.0, 0.0, 0.0]).to(signs)
    for _ in range(_ROUNDS):
        weight = 1.0 / (shares @ signs).clamp_min(0.02).square()
        gram = (signs * weight) @ signs.T
        load = 1e-6 * gram.diagonal().mean() * torch.eye(len(signs)).to(gram)
        shares = nnls(gram + load, (signs * weight) @ relative)
        shares[0] = torch.maximum(shares[0], _COMMON * shares.sum()).clamp_min(1e-3)
    return shares


def _levels(errors: Tensor, variance: Tensor) -> Tensor:
    """(band,) by which deviations are multiplied so that nine in ten errors lie inside their interval."""
    relative = errors / variance.clamp_min(1e-20).sqrt()
    return torch.quantile(relative, 0.9, dim=1) / _NINETY


def band_variance(
    common: Tensor, unsure: Tensor, innovation: Innovation | None, subspace: Subspace
) -> Tensor:
    """(band, H, W) v: what the innovation leaves of (p, p) covariance · (H, W) u in every band."""
    basis = subspace.basis.to(unsure)
    whole = ((common.to(unsure) @ basis) * basis).sum(0)
    total = whole[:, None, None] * unsure
    if innovation is None:
        return total
    told = (basis.T @ innovation.back).square()
    part = unsure.square() / (unsure * innovation.strength[:, None, None] + 1.0)
    return (total - torch.einsum("bn,nyx->byx", told, part)).clamp_min_(0.0)
