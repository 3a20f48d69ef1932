"""Sticks: representations that are shares of a whole by construction, and the dense encoders that make them.

::

    pixel ─ dense ─► u = sigmoid ┐
    pixel ─ dense ─► β = softplus ┴─► v = u^(1/β) ─► s_1 = v_1,  s_i = v_i Π_{j<i} (1 − v_j)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

__all__ = ["DenseLinear", "StickEncoder", "angle", "entropy", "stick_breaking", "volume"]

_TINY = 1e-8


class DenseLinear(nn.Module):
    """Linear layers, each of which sees the input and all layers before it; no activation.

    Parameters
    ----------
    bands
        Columns of the input.
    levels
        Columns of every inner layer.
    out
        Columns of the last layer.
    generator
        Of the first weights: uniform in ± sqrt(6 / (fan-in + fan-out)), as Glorot's.
    """

    def __init__(self, bands: int, levels: Sequence[int], out: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size in (*levels, out):
            bound = math.sqrt(6.0 / (bands + size))
            self.weights.append((2.0 * torch.rand(bands, size, generator=generator) - 1.0) * bound)
            self.biases.append(torch.zeros(size))
            bands += size

    def forward(self, x: Tensor) -> Tensor:
        """(n, bands) to (n, out)."""
        *inner, last = zip(self.biases, self.weights, strict=True)
        for bias, weight in inner:
            x = torch.cat([x, torch.addmm(bias, x, weight)], 1)
        return torch.addmm(last[0], x, last[1])


class StickEncoder(nn.Module):
    """Pixels to stick-breaking shares whose fractions follow Kumaraswamy's distribution, β per pixel."""

    def __init__(
        self, bands: int, narrow: int, levels: Sequence[int], shares: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.fractions = DenseLinear(bands, levels, shares, generator)
        self.shape = DenseLinear(narrow, levels[:2], 1, generator)

    def forward(self, x: Tensor, narrow: Tensor | None = None) -> Tensor:
        """(n, bands), and what β is read from if not the same, to (n, shares)."""
        beta = softplus(self.shape(x if narrow is None else narrow)).clamp_min(_TINY)
        return stick_breaking(logsigmoid(self.fractions(x)) / beta)


def stick_breaking(log_fractions: Tensor) -> Tensor:
    """s_i = v_i Π_{j<i} (1 − v_j) from ln v, (n, p): shares that are not negative and sum to at most one.

    Source: Sethuraman (1994); with v = u^(1/β), u uniform, v is Kumaraswamy (β, 1) distributed.
    """
    left = torch.log(-torch.expm1(log_fractions.clamp_max(-1e-7)))
    before = torch.cat([torch.zeros_like(left[:, :1]), left[:, :-1].cumsum(1)], 1)
    return torch.exp(log_fractions + before)


def entropy(shares: Tensor) -> Tensor:
    """Mean of −q ln q with q = s / Σ s: least where a pixel is made of one thing."""
    q = shares / (shares.sum(1, keepdim=True) + _TINY)
    return -(q * (q + _TINY).log()).mean()


def angle(first: Tensor, second: Tensor) -> Tensor:
    """Mean angle between the rows of (n, p), as a share of π."""
    products = (first * second).sum(1)
    norms = first.norm(dim=1) * second.norm(dim=1)
    cosine = products / norms.clamp_min(_TINY)
    return torch.acos(cosine.clamp(-1.0 + 1e-6, 1.0 - 1e-6)).mean() / math.pi


def volume(spectra: Tensor) -> Tensor:
    """Mean of EᵀE over all pairs of bands, E (p, L): small where the endmembers enclose little."""
    return (spectra.sum(1).square().sum()) / spectra.shape[1] ** 2
