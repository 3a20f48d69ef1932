"""Intervals: whether a method that says how sure it is says so honestly.

Of a normal error 90 % lie within ± 1.645 standard deviations; over all values, and among those of which the
method is about equally sure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["INTERVALS", "intervals"]

INTERVALS = ("coverage90", "coverage90_low", "coverage90_high")
"""Share of the truth inside, and the smallest and largest such share over deciles of the stated deviation."""

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
