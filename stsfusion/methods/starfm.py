"""starfm: the spatial and temporal adaptive reflectance fusion model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stsfusion.fusion.method import Card
from stsfusion.learning.levels import Levels
from stsfusion.learning.looks import Base, Look
from stsfusion.learning.similar import Region, Search
from stsfusion.learning.stack import Stack, by_strips
from stsfusion.learning.windowed import WindowedMethod

__all__ = ["STARFM"]

_NOTHING = 1e-6
"""Share of the level below which a difference is none."""


@dataclass
class STARFM(WindowedMethod):
    """F(x, k) = Σ_i W_i [F(i, m) + C(i, k) − C(i, m)] over the alike pixels i of a window, all bases pooled.

    W is the inverse of S T D: S = |F(m) − C(m)|, T = |C(k) − C(m)|, D = 1 + distance / decay (eq. 5 to 8).
    Alike pixels that tell no more than the centre does, by S or by T, are left out (eq. 14, 15). Where the
    centre's S or T is nothing, the pixel is copied.

    Source: Gao et al. (2006), doi:10.1109/TGRS.2006.872081.
    """

    classes: float = field(default=4.0, metadata={"ge": 1.0, "le": 100.0})
    """Pixels are alike when every band of the base differs by less than 2 σ / classes."""

    uncertainty: float = field(default=0.02, metadata={"ge": 0.0, "le": 10.0})
    """Standard deviation of fine and of coarse reflectance, as a share of the scene's level."""

    floor: float = field(default=5e-4, metadata={"ge": 1e-9, "le": 10.0})
    """Added to S and T so that a zero does not count for all, as a share of the scene's level."""

    decay: float = field(default=1.0, metadata={"ge": 1e-3, "le": 1e6})
    """Distance at which a pixel counts half, in halves of the window."""

    logarithmic: bool = False
    """Whether S and T enter by their logarithms, which weighs them less."""

    @property
    def card(self) -> Card:
        """Adaptive reflectance fusion."""
        return Card(
            name="starfm",
            title="Adaptive reflectance fusion",
            source="10.1109/TGRS.2006.872081",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            chooses=True,
            memory=10.0,
        )

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """One strip after the other."""
        levels = Levels.of(state)
        spread = levels.spread[levels.rows([base.day for base in bases])]
        search = Search(self.radius, self.decay * self.radius, asked.coarse)
        return by_strips(
            bases, asked, self.radius, lambda stack: self._strip(stack, search, spread, float(levels.level))
        )

    def _strip(self, stack: Stack, search: Search, spread: Tensor, level: float) -> Tensor:
        """(b, own, W) of one strip."""
        n, b = stack.fine.shape[:2]
        unlike, moved = (stack.fine - stack.coarse).abs(), stack.change.abs()
        weight = stack.known[:, None] / self._cost(unlike, moved, self.floor * level)
        values = torch.stack([weight, weight * (stack.fine + stack.change)], 2)
        looks = stack.fine * (self.classes / (2.0 * spread))[..., None, None]
        allowed = math.sqrt(2.0) * self.uncertainty * level
        size = n * b

        def kernel(region: Region) -> Tensor:
            return torch.cat([s for m in range(n) for s in _sums(search, region, m, b, size, allowed)], 1)

        same = (torch.minimum(unlike, moved) <= _NOTHING * level)[:, :, stack.own]
        parts = [part.flatten(0, 1) for part in (looks, unlike, moved, values.flatten(1, 2))]
        sums = search.over(parts, stack.missing, kernel).unflatten(0, (n, b, 2))
        return _pooled(stack, sums, same)

    def _cost(self, unlike: Tensor, moved: Tensor, floor: float) -> Tensor:
        """S T, without distance."""
        if self.logarithmic:
            return (unlike / floor + 2.0).log_() * (moved / floor + 2.0).log_()
        return (unlike + floor) * (moved + floor)


def _sums(search: Search, region: Region, m: int, b: int, size: int, allowed: float) -> list[Tensor]:
    """(g, 2, P) a band: weights and weighted values of one base's candidates."""
    alike = search.alike(region, slice(m * b, m * b + b)).div_(search.apart)
    chosen, told, sums = torch.empty_like(alike), torch.empty_like(alike), []
    for band in range(m * b, m * b + b):
        (unlike, moved) = (region.pair(start + band) for start in (size, 2 * size))
        torch.lt(unlike[0], unlike[1] + allowed, out=chosen)
        chosen.mul_(torch.lt(moved[0], moved[1] + allowed, out=told)).mul_(alike)
        first = 3 * size + 2 * band
        sums.append(region.sums(slice(first, first + 2), chosen))
    return sums


def _pooled(stack: Stack, sums: Tensor, same: Tensor) -> Tensor:
    """(b, own, W) from (n, b, 2, own, W) sums, and where (n, b, own, W) pixels are copied."""
    trust = stack.trust()[:, None]
    own = stack.fine[:, :, stack.own] + stack.change[:, :, stack.own]
    weight, value = (trust[:, :, None] * sums).sum(0).unbind(1)
    plain = (trust * own).sum(0) / trust.sum(0)
    made = torch.where(weight > 0, value / torch.where(weight > 0, weight, 1.0), plain)
    copied = trust * same
    count = copied.sum(0)
    return torch.where(count > 0, (copied * own).sum(0) / count.clamp_min(1.0), made)
