"""estarfm: the enhanced spatial and temporal adaptive reflectance fusion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor

from stsfusion.fusion.method import Card
from stsfusion.learning.levels import Levels
from stsfusion.learning.looks import Base, Look
from stsfusion.learning.similar import Region, Search
from stsfusion.learning.stack import Stack, by_strips
from stsfusion.learning.windowed import WindowedMethod

__all__ = ["ESTARFM"]

_NEVER = 1e-7
"""Added to distance times unlikeness, so that a pixel of two equal spectra does not count for all."""

_UNSURE = 0.5
"""Correlation of spectra of which one is constant."""

_STILL = 1e-6
"""Share of the level that is added to a coarse change, so that none counts for all."""


@dataclass
class ESTARFM(WindowedMethod):
    """F(x, k) = Σ_m T_m [F(x, m) + V Σ_i W_i (C(i, k) − C(i, m))] over the alike pixels i of a window.

    W falls with distance and with the unlikeness of fine and coarse spectra, V is the slope of fine on coarse
    reflectance of the alike pixels on all bases, T the inverse coarse change of the window. Where too few
    pixels are alike, the window's mean change is added to the pixel.

    Source: Zhu et al. (2010), doi:10.1016/j.rse.2010.05.032.
    """

    classes: float = field(default=4.0, metadata={"ge": 1.0, "le": 100.0})
    """Pixels are alike when every band of every base differs by less than 2 σ / classes."""

    fewest: int = field(default=5, metadata={"ge": 1, "le": 1000})
    """Alike pixels that are too few."""

    change: float = field(default=0.12, metadata={"ge": 0.0, "le": 10.0})
    """Coarse change between bases, as a share of the scene's level, below which V is one."""

    significance: float = field(default=0.05, metadata={"ge": 1e-6, "le": 0.5})
    """Largest probability of a chance slope."""

    steepest: float = field(default=5.0, metadata={"ge": 1.0, "le": 1e3})
    """Largest V; others are one, as are negative ones."""

    margin: float = field(default=0.5, metadata={"ge": 0.0, "le": 1e3})
    """Share of the scene's range by which a prediction may leave it before it is replaced by the mean."""

    @property
    def card(self) -> Card:
        """Enhanced adaptive reflectance fusion."""
        return Card(
            name="estarfm",
            title="Enhanced adaptive reflectance fusion",
            source="10.1016/j.rse.2010.05.032",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            chooses=True,
            memory=10.0,
        )

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """One strip after the other."""
        levels = Levels.of(state)
        rows = levels.rows([base.day for base in bases])
        search = Search(self.radius, float(self.radius), asked.coarse)
        return by_strips(bases, asked, self.radius, lambda stack: self._strip(stack, search, levels, rows))

    def _strip(self, stack: Stack, search: Search, levels: Levels, rows: list[int]) -> Tensor:
        """(b, own, W) of one strip."""
        n, b = stack.fine.shape[:2]
        scale = self.classes / (2.0 * levels.spread[rows])
        parts = [
            (stack.fine * scale[..., None, None]).flatten(0, 1),
            _counted(stack, levels.mean.mean(0)),
            _weighted(stack),
            _framed(stack),
        ]
        sizes = [len(part) for part in parts]
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        like, count, weigh, frame = (slice(a, z) for a, z in pairwise(ends))

        never = stack.fine.new_tensor(_NEVER)

        def kernel(region: Region) -> Tensor:
            alike = search.alike(region, like)
            plain = region.sums(count, alike)
            cost = torch.addcmul(never, region.around[weigh.start], search.apart)
            near = region.sums(slice(weigh.start + 1, weigh.stop), alike.div_(cost))
            return torch.cat([plain, near, search.whole(region, frame)], 1)

        sums = search.over(parts, stack.missing, kernel)
        plain, near, whole = sums.split([sizes[1], sizes[2] - 1, sizes[3]])
        slope = self._slope(_Moments.of(plain, n, b), self.change * float(levels.level))
        return self._blend(stack, slope, plain[0], near, whole, levels)

    def _slope(self, moments: _Moments, least: float) -> Tensor:
        """(b, own, W) V, or one where the bases do not tell it."""
        slope, explained = moments.regression()
        z = NormalDist().inv_cdf(1.0 - self.significance / 2.0)
        t = _student(z, (moments.points - 2.0).clamp_min(1.0))
        sure = explained >= t.square() / (t.square() + (moments.points - 2.0).clamp_min(1.0))
        told = sure & (moments.changed >= least) & (slope > 0.0) & (slope <= self.steepest)
        return torch.where(told, slope, 1.0)

    def _blend(
        self, stack: Stack, slope: Tensor, count: Tensor, near: Tensor, whole: Tensor, levels: Levels
    ) -> Tensor:
        """(b, own, W) from the sums over alike pixels and over whole windows."""
        n, b = stack.fine.shape[:2]
        fine, change = stack.fine[:, :, stack.own], stack.change[:, :, stack.own]
        total = near[0].clamp_min(torch.finfo(near.dtype).tiny)
        moved, mean = (part.unflatten(0, (n, b)) / total for part in near[1:].split([n * b, n * b]))
        seen, drift = whole[:n, None], whole[n:].unflatten(0, (n, b))
        drift = torch.where(seen > 0, drift / seen.clamp_min(1.0), change)
        share = stack.trust()[:, None] / (drift.abs() + _STILL * levels.level)
        share = share / share.sum(0)
        made = (share * (fine + slope * moved)).sum(0)
        span = self.margin * (levels.high - levels.low)
        low, high = (levels.low - span)[:, None, None], (levels.high + span)[:, None, None]
        made = torch.where((made < low) | (made > high), (share * mean).sum(0), made)
        return torch.where(count > self.fewest, made, (share * (fine + drift)).sum(0))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Of alike pixels on all bases together, coarse against fine, by band."""

    points: Tensor
    """(own, W) pixels times bases."""

    changed: Tensor
    """(b, own, W) largest difference between two bases' coarse means."""

    sums: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    """(b, own, W) each, of coarse, fine, coarse², fine² and their product."""

    @classmethod
    def of(cls, plain: Tensor, n: int, b: int) -> _Moments:
        """From the sums of what `_counted` gave."""
        each, coarse, rest = (
            plain[1 : 1 + n],
            plain[1 + n : 1 + n + n * b].unflatten(0, (n, b)),
            plain[-4 * b :],
        )
        there = (each > 0)[:, None]
        mean = coarse / each[:, None].clamp_min(1.0)
        most = torch.where(there, mean, -torch.inf).amax(0)
        least = torch.where(there, mean, torch.inf).amin(0)
        fine, coarse2, fine2, both = rest.split(b)
        return cls(each.sum(0), most - least, (coarse.sum(0), fine, coarse2, fine2, both))

    def regression(self) -> tuple[Tensor, Tensor]:
        """(b, own, W) slope of fine on coarse, and the share of variance that it explains."""
        points = self.points.clamp_min(1.0)
        coarse, fine, coarse2, fine2, both = self.sums
        wide = (coarse2 - coarse.square() / points).clamp_min(0.0)
        tall = (fine2 - fine.square() / points).clamp_min(0.0)
        common = both - coarse * fine / points
        tiny = torch.finfo(wide.dtype).tiny
        return common / wide.clamp_min(tiny), common.square() / (wide * tall).clamp_min(tiny)


def _counted(stack: Stack, middle: Tensor) -> Tensor:
    """(1 + n + n·b + 4·b, h, W) features whose sums give counts, means and the regression."""
    known = stack.known[:, None]
    coarse = (stack.coarse - middle[:, None, None]) * known
    fine = (stack.fine - middle[:, None, None]) * known
    squares = [fine.sum(0), coarse.square().sum(0), fine.square().sum(0), (coarse * fine).sum(0)]
    return torch.cat([stack.known.amax(0)[None], stack.known, coarse.flatten(0, 1), *squares])


def _weighted(stack: Stack) -> Tensor:
    """(2 + 2·n·b, h, W) unlikeness, then trust, coarse changes and fine values times it."""
    trust = stack.known.mean(0)
    both = torch.cat([stack.change.flatten(0, 1), stack.fine.flatten(0, 1)])
    return torch.cat([unlikeness(stack.fine, stack.coarse)[None], trust[None], both * trust])


def _framed(stack: Stack) -> Tensor:
    """(n + n·b, h, W) what is known, and its coarse change."""
    return torch.cat([stack.known, (stack.change * stack.known[:, None]).flatten(0, 1)])


def unlikeness(fine: Tensor, coarse: Tensor) -> Tensor:
    """(h, W) 1 − R of the two (n, b, h, W) spectra; of a single band the relative distance."""
    if fine.shape[1] == 1:
        level = fine.abs() + coarse.abs()
        far = torch.where(level > 0, (fine - coarse).abs() / level.clamp_min(1e-30), 0.0)
        return far.mean((0, 1))
    x, y = (part.flatten(0, 1).double() for part in (fine, coarse))
    x, y = x - x.mean(0), y - y.mean(0)
    size = x.square().sum(0) * y.square().sum(0)
    flat = size <= 0
    alike = torch.where(flat, _UNSURE, (x * y).sum(0) / torch.where(flat, 1.0, size).sqrt())
    return (1.0 - alike).clamp_min(0.0).to(fine)


def _student(z: float, freedom: Tensor) -> Tensor:
    """Student's t of the same probability as a normal z.

    Source: Abramowitz & Stegun (1964), eq. 26.7.5.
    """
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    third = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + first / freedom + second / freedom.square() + third / freedom**3
