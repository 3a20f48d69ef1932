"""Losses: distances between spectra that outliers do not rule, and the learnable weights of several tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["TaskWeights", "spectral_distance"]


def spectral_distance(difference: Tensor, weight: Tensor, smooth: float = 1e-3) -> Tensor:
    """Σ w sqrt(mean_b d_b² + ε²) / Σ w − ε: one distance a pixel, of first order where it is large.

    Parameters
    ----------
    difference
        (time, band, y, x) errors in units that are alike in all bands.
    weight
        Non-negative, broadcastable to (time, 1, y, x); zero where nothing is known.
    smooth
        ε, the distance under which errors count by their square.

    Returns
    -------
    Tensor
        A scalar; zero when no pixel has weight.
    """
    distance = (difference.square().mean(1, keepdim=True) + smooth**2).sqrt() - smooth
    weight = weight.expand_as(distance)
    return (weight * distance).sum() / weight.sum().clamp_min(1e-6)


class TaskWeights(nn.Module):
    """Σ_τ L_τ / (2 c_τ²) + ln(1 + c_τ²) with learnable c_τ: the long-time-series network's multitask loss.

    s_τ = ln c_τ² is what is learned, so that c stays positive; all tasks begin with c = 1.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.log_square = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum over the tasks that are present."""
        total = self.log_square.new_zeros(())
        for task, log_square in zip(self.tasks, self.log_square, strict=True):
            if task in losses:
                total = total + losses[task] * torch.exp(-log_square) / 2 + torch.log1p(torch.exp(log_square))
        return total
