"""Intervals: whether a method that says how sure it is says so honestly.

Of a normal error 90 % lie within ± 1.645 standard deviations; over all values, and among those of which the
method is about equally sure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["INTERVALS", "SIGMA_RANK", "intervals", "rank_correlation"]

INTERVALS = ("coverage90", "coverage90_low", "coverage90_high")
"""Share of the truth inside, and the smallest and largest such share over deciles of the stated deviation."""

SIGMA_RANK = "sigma_rank"
"""Rank correlation of the stated deviation with the size of the error."""

_MANY = 1_000_000
"""Values of which ranks are taken at most, evenly spread."""

_Z = 1.6448536269514722
_GROUPS = 10


def intervals(values: Tensor, truth: Tensor, sigma: Tensor | None) -> dict[str, float | None]:
    """Shares of the truth within values ± 1.645 sigma; None where no sigma is stated.

    Parameters
    ----------
    values, truth
        Reflectance, the same shape.
    sigma
        Standard deviation, reflectance, broadcastable to the values.

    Raises
    ------
    ProblemError
        When sigma is not finite or below zero.
    """
    if sigma is None:
        return dict.fromkeys(INTERVALS)
    stated = sigma.expand(values.shape).flatten()
    if not bool((torch.isfinite(stated) & (stated >= 0)).all()):
        raise ProblemError("answer sigma", expected="finite numbers, none below zero", got="others")
    inside = (values - truth).abs().flatten() <= _Z * stated
    order = stated.argsort(stable=True)
    groups = [part.double().mean().item() for part in inside[order].tensor_split(_GROUPS) if len(part)]
    shares = inside.double().mean().item(), min(groups), max(groups)
    return dict(zip(INTERVALS, shares, strict=True))


def rank_correlation(values: Tensor, truth: Tensor, sigma: Tensor) -> float | None:
    """Whether larger errors are where larger ones were expected: 1 when always, 0 when by chance alone.

    None where all deviations or all errors are alike.

    Source: Spearman (1904); ties are ranked as they stand.
    """
    error, stated = (values - truth).abs().flatten(), sigma.expand(values.shape).flatten()
    step = max(1, -(-len(error) // _MANY))
    pair = torch.stack([error[::step], stated[::step]]).double()
    if bool((pair == pair[:, :1]).all(1).any()):
        return None
    ranks = pair.argsort(dim=1, stable=True).argsort(dim=1).double()
    return float(torch.corrcoef(ranks)[0, 1])
