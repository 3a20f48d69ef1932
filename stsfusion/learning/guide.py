"""Guide: all sharp images of a region as one image of few channels, its gaps closed by what else is known.

::

    stack = [ sharp(t₁) … sharp(tₙ) | coarse(t₁)↑ … ]        one long spectrum a pixel, noise-whitened
    gaps:   x_miss = m + C_mo (C_oo + 1)⁻¹ (x_o − m)          what channels that were seen tell of others
    guide:  principal components of the sharp part

Source: conditional means of a Gaussian, Anderson (2003), sec. 2.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.subspace import signed

__all__ = ["Guide", "Stack"]

_SIGNAL = 1.5
"""Variance, in those of the noise, from which a component is kept."""

_TELLING = 5.0
"""The same for components by which pixels are told apart."""

_FEW = 32
"""Most components."""

_CURVE = 0.25
"""Power of a component's share in the first one's variance that it keeps in the metric."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One tile's images, channel above channel."""

    values: Tensor
    """(c, H, W) reflectance; anything finite in gaps."""

    valid: Tensor
    """(c, H, W) bool."""


@dataclass(frozen=True, eq=False)
class Guide(Kept):
    """How a stack becomes a guide."""

    mean: Tensor
    """(c,) reflectance."""

    noise: Tensor
    """(c,) standard deviation of the noise."""

    covariance: Tensor
    """(c, c) of the stack in units of the noise."""

    axes: Tensor
    """(s, q) whitened sharp channels, the stack's first s, to components; noise of variance one in each."""

    metric: Tensor
    """(q',) factors of the leading components in the space in which likeness is measured."""

    @classmethod
    def learn(cls, stacks: Sequence[Stack], noise: Tensor, sharp: int) -> Self:
        """From all tiles; the stack's first `sharp` channels are the guide's."""
        mean, covariance = _moments(stacks, noise.double())
        values, vectors = torch.linalg.eigh(covariance[:sharp, :sharp])
        values, vectors = values.flip(0), signed(vectors.flip(1))
        keep = min(max(int((values > _SIGNAL).sum()), 1), _FEW)
        telling = min(max(int((values > _TELLING).sum()), 1), keep)
        level = values[:telling].clamp_min(1e-9)
        metric = (level / level[0]) ** _CURVE / level.sqrt()
        spread = (2.0 * (metric.square() * level).sum()).sqrt()
        parts = (mean, noise, covariance, vectors[:, :keep], metric / spread)
        return cls(*(part.float().contiguous() for part in parts))

    def components(self, stack: Stack) -> Tensor:
        """(q, H, W) of a tile, without gaps."""
        sharp = len(self.axes)
        full = self.completed(stack)
        return torch.einsum("cq,cyx->qyx", self.axes, full[:sharp])

    @property
    def variance(self) -> Tensor:
        """(q,) of the components."""
        own = self.covariance[: len(self.axes), : len(self.axes)]
        return torch.einsum("cq,cd,dq->q", self.axes, own, self.axes)

    def looks(self, components: Tensor) -> Tensor:
        """(q', H, W) components in the metric of likeness; two pixels lie about one apart."""
        return components[: len(self.metric)] * self.metric[:, None, None]

    def completed(self, stack: Stack) -> Tensor:
        """(c, H, W) whitened channels; what is missing is what the others tell of it."""
        white = (stack.values - self.mean[:, None, None]) / self.noise[:, None, None]
        white = torch.where(stack.valid, white, 0.0)
        holes = ~stack.valid.all(0)
        if not bool(holes.any()):
            return white
        rows, seen = white[:, holes], stack.valid[:, holes]
        patterns, which = torch.unique(seen.T, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            mine = which == number
            rows[:, mine] = self._told(pattern) @ rows[:, mine]
        return white.masked_scatter(holes[None].expand_as(white), rows)

    def _told(self, seen: Tensor) -> Tensor:
        """(c, c) map that keeps the channels seen and tells the others."""
        count = len(seen)
        whole = torch.diag(seen.float())
        if not bool(seen.any()):
            return torch.zeros(count, count, device=seen.device)
        covariance = self.covariance.double()
        own = covariance[seen][:, seen] + torch.eye(int(seen.sum()), device=seen.device).double()
        told = torch.linalg.solve(own, covariance[seen][:, ~seen]).T
        part = torch.zeros(int((~seen).sum()), count, device=seen.device)
        part[:, seen] = told.float()
        whole[~seen] = part
        return whole


def _moments(stacks: Sequence[Stack], noise: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and covariance in units of the noise, each pair of channels over the pixels that both saw."""
    size = len(noise)
    count, first = noise.new_zeros(size), noise.new_zeros(size)
    for stack in stacks:
        valid = stack.valid.flatten(1).double()
        count = count + valid.sum(1)
        first = first + (stack.values.flatten(1).double() * valid).sum(1)
    mean = first / count.clamp_min(1.0)
    both, second = noise.new_zeros(size, size), noise.new_zeros(size, size)
    for stack in stacks:
        valid = stack.valid.flatten(1).double()
        white = (stack.values.flatten(1).double() - mean[:, None]) / noise[:, None] * valid
        both, second = both + valid @ valid.T, second + white @ white.T
    values, vectors = torch.linalg.eigh(second / both.clamp_min(1.0))
    return mean, (vectors * values.clamp_min(0.0)) @ vectors.T
