"""Solvers: the steps that iterations for convex functions are made of.

::

    prox of t f at x  =  argmin over u  t f(u) + ½ ‖u − x‖²
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["differences", "divergence", "group_soft", "vector_variation"]


def group_soft(x: Tensor, threshold: float, axes: tuple[int, ...]) -> Tensor:
    """Shorten every group by the threshold, to zero at most: x · max(1 − t / ‖x‖, 0).

    The proximal step of t · Σ ‖group‖, all entries along the axes being one group.

    Parameters
    ----------
    x
        Any shape.
    threshold
        t, in x's units, not negative.
    axes
        Those that a group runs along.

    Source: Bach et al. (2012), doi:10.1561/2200000015, sec. 3.3.
    """
    length = x.square().sum(axes, keepdim=True).sqrt()
    return x * (1.0 - threshold / length.clamp_min(1e-30)).clamp_min(0.0)


def differences(x: Tensor) -> Tensor:
    """(2, c, y, x) of (c, y, x): every pixel less the one above it, and less the one left of it, periodic."""
    return torch.stack([x - x.roll(1, 1), x - x.roll(1, 2)])


def divergence(d: Tensor) -> Tensor:
    """The adjoint of `differences`: (2, c, y, x) to (c, y, x)."""
    down, right = d
    return down - down.roll(-1, 1) + right - right.roll(-1, 2)


def vector_variation(x: Tensor) -> Tensor:
    """() Σ over pixels of the length of all differences of all channels of (c, y, x), periodic.

    Source: Bresson and Chan (2008), doi:10.3934/ipi.2008.2.455, the vectorial total variation.
    """
    return torch.linalg.vector_norm(differences(x), dim=(0, 1)).sum()
