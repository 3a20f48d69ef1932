"""Lloyd: centres moved to the mean of the points that are nearest to them, some times over."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["settled"]


def settled(points: Tensor, centres: Tensor, rounds: int) -> Tensor:
    """(K, q) centres among (n, q) points after so many rounds; one without points stays where it is.

    Source: Lloyd (1982), doi:10.1109/TIT.1982.1056489.
    """
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(1)
        total = torch.zeros_like(centres).index_add_(0, nearest, points)
        size = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(size > 0, total / size.clamp_min(1), centres)
    return centres
