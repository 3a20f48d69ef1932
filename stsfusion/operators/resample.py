"""Upsample: interpolation onto a grid that is an integer ratio finer, aligned by pixel centres.

Weights follow from the fine pixel's place inside its coarse one, never from its distance to the image's
corner, so that a tile and the whole scene are interpolated with the very same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from stsfusion.operators.linear import Linear, Shape

__all__ = ["Upsample", "blocks", "upsample"]

Kind = Literal["nearest", "bilinear", "bicubic"]

_TAPS: dict[Kind, int] = {"nearest": 1, "bilinear": 2, "bicubic": 4}


@dataclass(frozen=True)
class Upsample(Linear):
    """Interpolate every date and band to pixels `ratio` times as small; edges are repeated.

    Source: bicubic is the cubic convolution of Keys (1981), eq. 15, with a = −1/2.
    """

    ratio: int
    """Fine pixels along one side of a coarse one."""

    shape: Shape
    """(time, band, y, x) of the coarse cube."""

    kind: Kind = "bicubic"
    """Kernel of the interpolation."""

    shift: tuple[float, float] = (0.0, 0.0)
    """Fine pixels (down, right) by which the coarse pixels' centres of mass lie off their blocks' centres."""

    @property
    def in_shape(self) -> Shape:
        """Shape on the coarse grid."""
        return self.shape

    @property
    def out_shape(self) -> Shape:
        """Shape on the fine grid."""
        time, band, y, x = self.shape
        return time, band, y * self.ratio, x * self.ratio

    @property
    def reach(self) -> int:
        """Fine pixels of context that an interpolated pixel needs."""
        off = math.ceil(max(map(abs, self.shift)))
        return 0 if self._nothing else _TAPS[self.kind] // 2 * self.ratio + off

    @property
    def _nothing(self) -> bool:
        """Whether both grids are the same."""
        return self.ratio == 1 and not any(self.shift)

    def _plan(self, axis: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For every tap the coarse index of each fine pixel, and its weight."""
        size = self.shape[2 + axis]
        fine = torch.arange(size * self.ratio)
        block, place = fine // self.ratio, fine % self.ratio
        phases = [_phase(self.ratio, p, self.kind, self.shift[axis]) for p in range(self.ratio)]
        bases, weights = zip(*phases, strict=True)
        base = block + torch.tensor(bases)[place]
        table = torch.tensor(weights, dtype=torch.float64)[place].to(like)
        return [
            ((base + tap).clamp(0, size - 1).to(like.device), table[:, tap]) for tap in range(table.shape[1])
        ]

    def _apply(self, x: Tensor) -> Tensor:
        if self._nothing:
            return x
        rows, cols = self._plan(0, x), self._plan(1, x)
        tall = _gather(x, 2, [(index, weight[:, None]) for index, weight in rows])
        return _gather(tall, 3, cols)

    def _transpose(self, y: Tensor) -> Tensor:
        if self._nothing:
            return y
        time, band, rows, cols = self.shape
        tall = y.new_zeros(time, band, rows * self.ratio, cols)
        for index, weight in self._plan(1, y):
            tall.index_add_(3, index, y * weight)
        out = y.new_zeros(self.shape)
        for index, weight in self._plan(0, y):
            out.index_add_(2, index, tall * weight[:, None])
        return out


def _gather(x: Tensor, axis: int, taps: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Σ_k w_k · x[index_k] along an axis, in place so that only one tap is held beside the sum."""
    (index, weight), *rest = taps
    out = x.index_select(axis, index) * weight
    for index, weight in rest:
        out.addcmul_(x.index_select(axis, index), weight)
    return out


def _phase(ratio: int, place: int, kind: Kind, shift: float) -> tuple[int, list[float]]:
    """First tap relative to the own coarse pixel, and the weights, for the `place`-th fine pixel."""
    centre = Fraction(2 * place + 1, 2 * ratio) - Fraction(1, 2) - Fraction(shift) / ratio
    if kind == "nearest":
        return math.floor(centre + Fraction(1, 2)), [1.0]
    left = math.floor(centre)
    t = float(centre - left)
    if kind == "bilinear":
        return left, [1.0 - t, t]
    return left - 1, [_keys(1.0 + t), _keys(t), _keys(1.0 - t), _keys(2.0 - t)]


def _keys(distance: float) -> float:
    d = abs(distance)
    if d <= 1.0:
        return 1.5 * d**3 - 2.5 * d**2 + 1.0
    return -0.5 * d**3 + 2.5 * d**2 - 4.0 * d + 2.0 if d < 2.0 else 0.0


def upsample(x: Tensor, ratio: int, kind: Kind = "bicubic") -> Tensor:
    """Interpolate (time, band, y, x) to a grid `ratio` times as fine."""
    time, band, rows, cols = x.shape
    return Upsample(ratio, (time, band, rows, cols), kind)(x)


def blocks(x: Tensor, ratio: int) -> Tensor:
    """Repeat every coarse pixel ratio × ratio times, in any dtype: masks, flags and classes."""
    return x.repeat_interleave(ratio, dim=-2).repeat_interleave(ratio, dim=-1)
