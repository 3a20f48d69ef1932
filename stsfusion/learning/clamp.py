"""Clamps: values held in an interval, with a gradient that can bring them back into it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["clamp_inward"]


class _Inward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(0.0, 1.0)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        (slope,) = slopes
        # Nothing where x < 0 and the slope is positive, or x > 1 and it is negative: that leads further out.
        return slope.where(torch.where(slope > 0, x >= 0.0, x <= 1.0), 0.0)


def clamp_inward(x: Tensor) -> Tensor:
    """min(max(x, 0), 1), whose gradient passes wherever descent leads towards [0, 1].

    A plain clamp has no gradient outside, so that a unit that starts there is lost for ever; here it is
    stopped only where a step would lead further out. A minimum under the plain clamp is one under this.
    """
    out: Tensor = _Inward.apply(x)  # type: ignore[no-untyped-call]
    return out
