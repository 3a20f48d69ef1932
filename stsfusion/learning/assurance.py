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

__all__ = ["Assurance", "Outcome", "band_variance", "in_common"]

_NINETY = 1.6449
"""Half-width of a Gaussian's central 90 per cent, in standard deviations."""

_STUDENT = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
"""The same of Student's t of one, two, … degrees of freedom."""

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

    common: Tensor
    """(band,) share of the errors' mean square that pixels have in common, as far as their looks tell it."""


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
    def learn(cls, outcomes: Sequence[Outcome], ground: Tensor, detail: Tensor) -> Self:
        """From hidden dates; `ground` and what detail nobody tells are (band,) reflectance squared."""
        errors = torch.cat([each.errors for each in outcomes], 1).double()
        variance = torch.cat([each.variance for each in outcomes], 1).double()
        signs = torch.cat([each.signs for each in outcomes], 1).double().clamp_max(_FAR)
        white = torch.stack([each.white for each in outcomes]).mean(0) + detail
        least = 1e-3 * variance.mean(1, keepdim=True)
        relative = (errors.square() / (variance + least)).clamp_max(25.0).mean(0)
        shares = _shares(signs, relative)
        common = torch.stack([each.common for each in outcomes]).double().mean(0)
        level = _levels(errors.abs(), variance * (shares @ signs)) * _one_more(len(outcomes), common)
        return cls(level.float(), shares.float(), torch.maximum(ground, white).float())

    def __call__(self, variance: Tensor, signs: Tensor, apart: Tensor | None = None) -> Tensor:
        """(band, H, W) standard deviation of (band, H, W) v and (3, H, W) signs, (band, H, W) apart added."""
        spread = torch.einsum("i,iyx->yx", self.shares, signs.clamp_max(_FAR))
        total = variance * self.level.square()[:, None, None] * spread
        total = total.add_(self.ground[:, None, None])
        return (total if apart is None else total.add_(apart)).sqrt_()

    def lacking(self, outcome: Outcome, apart: Tensor) -> Tensor:
        """(band, n) factors of (band, n) variance apart under which every error lies in its interval."""
        own = self(outcome.variance[..., None], outcome.signs[..., None])[..., 0].square()
        return ((outcome.errors / _NINETY).square() - own) / apart.clamp_min(1e-20)


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


def _one_more(dates: int, common: Tensor) -> Tensor:
    """(band,) by how much wider intervals are for a date that is one more than those they come from.

    What pixels of a date have in common is one draw a date, and dates are few: so many draws of Student's t.
    For what each errs by itself a date more adds no more than its part.
    """
    student = _STUDENT[dates - 1] if dates <= len(_STUDENT) else _NINETY * (1.0 + 0.93 / dates)
    return ((1.0 - common) * (1.0 + 1.0 / dates) + common * (student / _NINETY) ** 2).sqrt()


def in_common(errors: Tensor, looks: Tensor) -> Tensor:
    """(band,) share of the mean square of (band, n) errors that a regression on (q, n) looks explains."""
    inputs = torch.cat([torch.ones_like(looks[:1]), looks]).double().T
    outputs = errors.double().T
    said = inputs @ torch.linalg.lstsq(inputs, outputs).solution
    return (said.square().mean(0) / outputs.square().mean(0).clamp_min(1e-20)).clamp(0.0, 1.0)


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
