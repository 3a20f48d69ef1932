"""Layers for image series: convolutions in space and along dates, and the multi-kernel residual block.

A series is a (time, channel, y, x) tensor: dates are the batch of every spatial convolution, and a mix
along dates is a 1×1 convolution over each date with its neighbours. A k×k×min(k, 3) kernel is thus
factorised, which costs a tenth of the plain one on a processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stsfusion.errors import MethodError

__all__ = ["Branch", "MultiKernelBlock", "TimeMix", "initialise"]


class TimeMix(nn.Module):
    """y[t] = Σ_j W_j x[t + j] + b over one date or each date with both its neighbours; ends are repeated."""

    def __init__(self, channels: int, out: int, taps: int) -> None:
        super().__init__()
        if taps not in (1, 3):
            raise MethodError(
                "layer TimeMix", expected="1 or 3 taps", got=f"{taps}", mend="Stack layers to reach further."
            )
        self.taps = taps
        self.mix = nn.Conv2d(channels * taps, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(time, channel, y, x) to (time, out, y, x)."""
        if self.taps == 1:
            return self.mix(x)
        before, after = torch.cat([x[:1], x[:-1]]), torch.cat([x[1:], x[-1:]])
        return self.mix(torch.cat([before, x, after], 1))


class MultiKernelBlock(nn.Module):
    """y = x + Σ_k F_k(x), one F_k per kernel size k; its half-width inside is the group.

    F_k = TimeMix(w/2 → w, min(k, 3)) ∘ ReLU ∘ Conv(w → w/2, k × k).
    """

    def __init__(self, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        half = max(width // 2, 1)
        self.groups = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, half, k, padding=k // 2, padding_mode="replicate"),
                nn.ReLU(),
                TimeMix(half, width, min(k, 3)),
            )
            for k in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        """(time, width, y, x), as given."""
        y = x
        for group in self.groups:
            y = y + group(x)
        return y


class Branch(nn.Module):
    """A 1×1 entry, some multi-kernel blocks, and a 1×1 exit for the branch's own task."""

    def __init__(self, channels: int, width: int, out: int, blocks: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.entry = nn.Conv2d(channels, width, 1)
        self.blocks = nn.Sequential(*(MultiKernelBlock(width, kernels) for _ in range(blocks)))
        self.exit = nn.Conv2d(width, out, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (time, width, y, x) and the task's own output (time, out, y, x)."""
        features = self.blocks(self.entry(x))
        return features, self.exit(features)


def initialise(module: nn.Module, generator: torch.Generator, silent: Sequence[nn.Module] = ()) -> None:
    """Draw every weight from one generator, so that the process's own random state is never touched.

    Normal with variance 1 / fan-in, biases zero; what a residual block adds starts at a fifth of that, so
    that deep branches start as their entry and no unit is lost to the first large steps.

    Parameters
    ----------
    module
        Its parameters are filled in place.
    generator
        On the CPU.
    silent
        Layers that start at zero, so that what they end starts as nothing.
    """
    added = {layer.mix for layer in module.modules() if isinstance(layer, TimeMix)}
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            fan = layer.in_channels * math.prod(layer.kernel_size)
            drawn = torch.randn(layer.weight.shape, generator=generator) / math.sqrt(fan)
            share = 0.0 if layer in silent else 0.2 if layer in added else 1.0
            with torch.no_grad():
                layer.weight.copy_(drawn * share)
                if layer.bias is not None:
                    layer.bias.zero_()
