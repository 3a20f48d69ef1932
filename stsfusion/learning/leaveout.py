"""Leave one out: ridge regression that chooses its shrinkage by the pixels it was not shown.

::

    e₋ᵢ = eᵢ / (1 − hᵢ)      hᵢ: leverage of pixel i      no fit is done twice

Source: Allen (1974), prediction sum of squares; Hastie, Tibshirani and Friedman (2009), eq. 7.46, 5.69.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.operators.nnls import nnls

__all__ = ["Fit", "ridge", "stack"]

_LEVERAGE = 0.98
"""Leverage above which a pixel's own error is not blown up any further."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A regression and how it does on pixels that it was not shown."""

    slope: Tensor
    """(d, p) of the features."""

    plain: Tensor
    """(c, p) of the columns that are not shrunk."""

    left: Tensor
    """(n, p) leave-one-out residuals."""


def ridge(
    features: Tensor, plain: Tensor, outputs: Tensor, weight: Tensor, penalties: Sequence[float]
) -> Fit:
    """Argmin Σ wᵢ ‖yᵢ − xᵢ B − cᵢ D‖² + λ n ‖B‖², λ for every output the one with the least left-out error.

    Parameters
    ----------
    features
        (n, d) x, scaled alike, double precision.
    plain
        (n, c) columns c that are not shrunk, the constant among them.
    outputs
        (n, p) y.
    weight
        (n,) w of mean one.
    penalties
        Candidates for λ.
    """
    root = weight.sqrt()[:, None]
    frame, _ = torch.linalg.qr(plain * root)
    x, y = features * root, outputs * root
    x, y = x - frame @ (frame.T @ x), y - frame @ (frame.T @ y)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    told, base, n = u.T @ y, frame.square().sum(1), len(y)
    best = torch.full((y.shape[1],), torch.inf, dtype=y.dtype, device=y.device)
    left, shrink = torch.zeros_like(y), torch.zeros(len(s), y.shape[1], dtype=y.dtype, device=y.device)
    for penalty in penalties:
        keep = s.square() / (s.square() + penalty * n)
        leverage = (u.square() @ keep + base).clamp_max(_LEVERAGE)
        error = (y - u @ (keep[:, None] * told)) / (1.0 - leverage)[:, None]
        better = error.square().mean(0) < best
        best = torch.where(better, error.square().mean(0), best)
        left = torch.where(better, error, left)
        shrink = torch.where(better, keep[:, None], shrink)
    slope = v.T @ (shrink / s.clamp_min(1e-12)[:, None] * told)
    rest = (outputs - features @ slope) * root
    return Fit(slope, torch.linalg.lstsq(plain * root, rest).solution, left / root)


def stack(left: Sequence[Tensor], weight: Tensor) -> Tensor:
    """(m, p) weights ≥ 0 of unit sum of m regressions, by least squares on their leave-one-out residuals.

    Parameters
    ----------
    left
        m times (n, p).
    weight
        (n,) of the pixels.

    Source: Breiman (1996), stacked regressions.
    """
    errors = torch.stack(list(left)) * weight.sqrt()[:, None]
    grams = torch.einsum("anp,bnp->pab", errors, errors).cpu()
    members = len(left)
    found = []
    for gram in grams:
        level = gram.diagonal().mean().clamp_min(1e-300)
        # A heavy equation "the weights sum to one" keeps the problem an ordinary non-negative one.
        held = gram / level + 1e-3 * torch.eye(members).to(gram) + 1e3
        share = nnls(held, torch.full((members,), 1e3, dtype=gram.dtype))
        found.append(share / share.sum().clamp_min(1e-12))
    return torch.stack(found, 1).to(errors)
