"""Fill: gaps of an image from their valid neighbours, locally, so that nothing leaks further than asked."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

__all__ = ["fill"]


def fill(data: Tensor, valid: Tensor, passes: int = 2) -> tuple[Tensor, Tensor]:
    """Give every gap the mean of its valid 3×3 neighbours, `passes` times outward.

    Parameters
    ----------
    data
        (time, band, y, x); what stands in gaps is ignored.
    valid
        bool, broadcastable to data.
    passes
        How many pixels a gap may be entered from its edge; the reach of the operation.

    Returns
    -------
    tuple of Tensor
        The filled data, zero where still unknown, and the mask of what is now known, broadcastable to it.
    """
    known = valid.expand(*valid.shape[:2], *data.shape[2:])
    filled = torch.where(known, data, 0.0)
    for _ in range(passes):
        if bool(known.all()):
            break
        weight = avg_pool2d(known.to(data.dtype), 3, 1, 1)
        mean = avg_pool2d(filled, 3, 1, 1) / weight.clamp_min(1e-6)
        grown = known | (weight > 0)
        filled = torch.where(known, filled, torch.where(grown, mean, 0.0))
        known = grown
    return filled, known
