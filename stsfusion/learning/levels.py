"""Levels: how bright and how varied a scene's base images are, learned once, so that no tile has its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.looks import Base

__all__ = ["Levels"]

_TINY = 1e-6
"""Share of the level that stands for a spread of zero."""

_LEAST = 1e-12
"""Level of a scene that is zero everywhere."""


@dataclass(frozen=True, eq=False)
class Levels(Kept):
    """Statistics of the fine images over all sampled pixels that both sensors saw."""

    days: Tensor
    """(n,) days of the bases, rising, float64."""

    mean: Tensor
    """(n, b) reflectance."""

    spread: Tensor
    """(n, b) standard deviation, reflectance, above zero."""

    low: Tensor
    """(b,) least reflectance of all bases."""

    high: Tensor
    """(b,) largest."""

    level: Tensor
    """() root mean square of the brightest band, reflectance: the unit of all thresholds."""

    @classmethod
    def learn(cls, bases: Iterable[Base]) -> Self:
        """From the bases of all tiles, those of one day together.

        Days without a known pixel are left out; where no day has any, all pixels count.
        """
        known: dict[float, _Sums] = {}
        filled: dict[float, _Sums] = {}
        for base in bases:
            filled.setdefault(base.day, _Sums(len(base.fine))).add(base.fine.flatten(1))
            if bool(base.known.any()):
                known.setdefault(base.day, _Sums(len(base.fine))).add(base.fine[:, base.known])
        sums = known or filled
        days = sorted(sums)
        of = [sums[day] for day in days]
        square = torch.stack([each.square / each.count for each in of])
        mean = torch.stack([each.total / each.count for each in of])
        level = square.mean(0).max().sqrt()
        level = level.clamp_min(_LEAST)
        spread = (square - mean.square()).clamp_min(0.0).sqrt().clamp_min(_TINY * float(level))
        low, high = torch.stack([each.low for each in of]).amin(0), torch.stack([each.high for each in of])
        floats = (mean, spread, low, high.amax(0), level)
        return cls(torch.tensor(days, dtype=torch.float64), *(each.float() for each in floats))

    def rows(self, days: Sequence[float]) -> list[int]:
        """Of each day the learned one that is nearest."""
        return [int((self.days.cpu() - day).abs().argmin()) for day in days]


class _Sums:
    """Running sums of one day."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.total = torch.zeros(bands, dtype=torch.float64)
        self.square = torch.zeros(bands, dtype=torch.float64)
        self.low = torch.full((bands,), torch.inf, dtype=torch.float64)
        self.high = -self.low

    def add(self, values: Tensor) -> None:
        """(b, n) more values."""
        values = values.cpu().double()
        self.count += values.shape[1]
        self.total += values.sum(1)
        self.square += values.square().sum(1)
        self.low = torch.minimum(self.low, values.amin(1))
        self.high = torch.maximum(self.high, values.amax(1))
