"""Intensity: a sharp image in the place of every hyperspectral band, and the detail that it lends.

::

    I_b = Σ_l w_lb Y_l + c_b        w, c: least squares of Z_b on Y↓ and one, over the clear coarse pixels
    D   = Y − (Y↓)↑                 ↓ the point spread function, ↑ cubic convolution
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from stsfusion.learning.pair import Pair
from stsfusion.learning.ridge import Affine, Sums
from stsfusion.operators.nnls import nnls
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Rule", "detail", "gains", "intensity", "joint_sums"]

Rule = Literal["linear", "nonnegative", "band"]
"""How a sharp band is made: least squares, least squares without negative weights, the most alike band."""


def joint_sums(pairs: Sequence[Pair], model: PairModel) -> Sums:
    """Sums of low-passed multispectral and of hyperspectral values over the clear pixels of all tiles."""
    first = pairs[0]
    total = Sums.nothing(len(first.fine), len(first.coarse))
    for pair in pairs:
        low = model.lowpass(pair.fine)
        total = total + _on_cpu(Sums.of(low[None], pair.coarse[None], pair.clear[None, None]))
    return total


def _on_cpu(sums: Sums) -> Sums:
    return Sums(sums.count.cpu(), sums.first.cpu(), sums.second.cpu(), sums.inputs)


def intensity(sums: Sums, rule: Rule, ridge: float = 1e-6) -> Affine:
    """Slopes (l, L) and offsets (L,) that make a sharp image of every hyperspectral band.

    Parameters
    ----------
    sums
        From `joint_sums`.
    rule
        Of "nonnegative" the offset is not negative either. Of "band" the most correlated band is taken as it
        is: slope one, no offset.
    ridge
        Share of a sharp band's variance that is added to it, so that like bands can be told apart.
    """
    if rule == "linear":
        return sums.solve(ridge)
    return _nonnegative(sums, ridge) if rule == "nonnegative" else _most_alike(sums)


def gains(sums: Sums, sharp: Affine) -> Tensor:
    """(L,) g_b = cov(Z_b, I_b↓) / var(I_b↓); zero for a band whose intensity is flat."""
    inputs = sums.inputs
    covariance = _covariance(sums)
    slope = sharp.slope.double()
    shared = (slope * covariance[:inputs, inputs:]).sum(0)
    own = (slope * (covariance[:inputs, :inputs] @ slope)).sum(0)
    return torch.where(own > 0, shared / own.clamp_min(1e-300), 0.0).float()


def detail(fine: Tensor, model: PairModel) -> Tensor:
    """Y − (Y↓)↑ of (l, H, W), what the coarse sensor does not see of it."""
    return fine - model.upsample(model.lowpass(fine))


def _covariance(sums: Sums) -> Tensor:
    mean = sums.first / sums.count.clamp_min(1.0)
    return sums.second / sums.count.clamp_min(1.0) - torch.outer(mean, mean)


def _nonnegative(sums: Sums, ridge: float) -> Affine:
    """Argmin Σ ‖Z_b − w_b Y↓ − c_b‖² + ridge, w ≥ 0, c ≥ 0."""
    inputs, count = sums.inputs, sums.count.clamp_min(1.0)
    gram = torch.empty(inputs + 1, inputs + 1, dtype=torch.float64)
    gram[:inputs, :inputs] = sums.second[:inputs, :inputs] / count
    gram[inputs, :inputs] = gram[:inputs, inputs] = sums.first[:inputs] / count
    gram[inputs, inputs] = 1.0
    gram[range(inputs), range(inputs)] += ridge * _covariance(sums).diagonal()[:inputs].clamp_min(0.0)
    gram += torch.diag(1e-10 * gram.diagonal() + 1e-100)
    target = torch.cat([sums.second[:inputs, inputs:], sums.first[None, inputs:]]) / count
    found = torch.stack([nnls(gram, column) for column in target.T], 1)
    return Affine(found[:-1].float(), found[-1].float())


def _most_alike(sums: Sums) -> Affine:
    inputs = sums.inputs
    covariance = _covariance(sums)
    spread = covariance.diagonal().clamp_min(1e-300).sqrt()
    correlation = (covariance / torch.outer(spread, spread))[:inputs, inputs:]
    slope = torch.zeros_like(correlation)
    slope[correlation.argmax(0), torch.arange(slope.shape[1])] = 1.0
    return Affine(slope.float(), slope.new_zeros(slope.shape[1]).float())
