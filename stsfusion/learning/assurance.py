"""Assurance: the standard deviation of a joint estimate, band by band and pixel by pixel.

::

    σ² = level² · spread · v + κ · doubt · l + ground
    v       what innovations leave of the covariance that hidden dates have shown, for the pixel's unsureness
    spread  Σ share · sign: one, the surprise of the innovation, the doubt of the dense bands
    doubt   of the dense bands at fine pixels, brought to all bands by l; coarse pixels do not show it

Shares and levels are learned at coarse pixels of hidden dates, κ at fine pixels of hidden sharp images.

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

_LEVELS = torch.logspace(-1.0, 1.0, 81, dtype=torch.float64)
"""Levels that are tried."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What hidden dates have shown at coarse pixels."""

    errors: Tensor
    """(band, n) reflectance."""

    variance: Tensor
    """(band, n) v."""

    signs: Tensor
    """(3, n)."""


@dataclass(frozen=True, eq=False)
class Assurance(Kept):
    """What is needed to say a standard deviation."""

    level: Tensor
    """(band,)."""

    shares: Tensor
    """(3,) of the signs, not negative."""

    detail: Tensor
    """(band,) κ l: variance for a doubt of one."""

    ground: Tensor
    """(band,) least variance."""

    @classmethod
    def learn(cls, outcomes: Sequence[Outcome], noise: Tensor, detail: Tensor, ground: Tensor) -> Self:
        """From hidden dates; `noise` is the (band,) standard deviation of what they were compared with."""
        errors = torch.cat([each.errors for each in outcomes], 1).double()
        variance = torch.cat([each.variance for each in outcomes], 1).double()
        signs = torch.cat([each.signs for each in outcomes], 1).double().clamp_max(_FAR)
        white = noise.double().square()[:, None]
        relative = (errors.square() / (variance + white)).clamp_max(25.0).mean(0)
        shares = _shares(signs, relative)
        spread = shares @ signs
        level = _levels(errors.abs(), variance * spread, white)
        return cls(level.float(), shares.float(), detail.float(), ground.float())

    def __call__(self, variance: Tensor, signs: Tensor, doubt: Tensor) -> Tensor:
        """(band, H, W) standard deviation of (band, H, W) v, (3, H, W) signs and (H, W) doubt."""
        spread = torch.einsum("i,iyx->yx", self.shares, signs.clamp_max(_FAR))
        total = variance * self.level.square()[:, None, None] * spread
        total += self.detail[:, None, None] * doubt
        total += self.ground[:, None, None]
        return total.sqrt_()


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


def _levels(errors: Tensor, variance: Tensor, white: Tensor) -> Tensor:
    """(band,) the smallest level under which nine in ten errors lie inside their interval."""
    found = []
    for own, spread, noise in zip(errors, variance, white, strict=True):
        inside = own[None] <= _NINETY * (_LEVELS[:, None].to(own).square() * spread + noise).sqrt()
        enough = inside.double().mean(1) >= 0.9
        found.append(_LEVELS[int(enough.double().argmax())] if bool(enough.any()) else _LEVELS[-1])
    return torch.stack(found).to(errors)


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
