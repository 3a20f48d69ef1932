"""efast: fine bases weighted by their distance in days and to clouds, moved along by the coarse series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.blend import Blend, gaussian_mean, gaussian_reach, settled
from stsfusion.learning.coarsepixel import width_of
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.learning.series import Choice, SeriesMethod

__all__ = ["EFAST"]

_STEPS = 30
"""Steps of the ramp from a gap to where it is not felt."""

_WIDTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Smoothings that are tried, coarse pixels."""

_USUAL = 0.5
"""Smoothing where there is a single base to learn from, coarse pixels."""

_ENOUGH = 48
"""Bases that the smoothing is learned from."""

_BESIDE = 1e-3
"""Weight of a pixel beside a gap, in that of one far from it."""


@dataclass
class EFAST(SeriesMethod):
    """F_k = Σ w_i F_i + g ∗ (C_k − Σ w_i C_i)↑, w_i ∝ exp(−Δt_i² / 2σ²) · min((d_i − 1) / D, 1).

    d_i is the distance to the nearest gap of base i. The smoothing g is what real coarse images ask for: they
    carry misregistration and view angles below their own resolution.

    Source: Senty et al. (2024), doi:10.3390/rs16111833, sec. 2.3; without the cut-off in days, which a
    normalised weight does not need, and so that no date is left without a base.
    """

    bases: Choice = "all"
    """The nearest before and after (two of one side where the other has none), the nearest alone, or all."""

    days: float = field(default=20.0, metadata={"ge": 0.1, "le": 3650.0})
    """σ, days."""

    clear: float = field(default=15.0, metadata={"ge": 0.0, "le": 100.0})
    """D, coarse pixels from a gap to where it is not felt."""

    smooth: float | None = field(default=None, metadata={"ge": 0.0, "le": 4.0})
    """Standard deviation of the smoothing of the coarse change, coarse pixels; 0: none; None: the one with
    which bases are best made from each other."""

    coarse: int = field(default=0, metadata={"ge": 0, "le": 512})
    """Fine pixels along one side of a coarse one; 0: the data's ratio, or found where they were resampled."""

    @property
    def card(self) -> Card:
        """Weighted bases and the coarse change."""
        return Card(
            name="efast",
            title="EFAST",
            source="10.3390/rs16111833",
            needs=("sharp", "dense"),
            fits="scene",
            blind=True,
            memory=11.0,
        )

    def context(self, ratio: int) -> int:
        """The smoothing; the ramp works on masks alone."""
        size = int(self.state.get("own.coarse", self.coarse or ratio))
        widest = max(_WIDTHS) if self.smooth is None else self.smooth
        smooth = float(self.state.get("own.smooth", widest))
        return gaussian_reach(smooth * size) + self._stride(size) * _STEPS

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """The coarse pixels' width, and how far the coarse change is smoothed."""
        size = width_of(self.coarse, tiles, [self.bases_of(tile) for tile in tiles])
        tick(0.5, "smoothing")
        smooth = self._smoothing(tiles, size) if self.smooth is None else self.smooth
        return {"coarse": torch.tensor(size), "smooth": torch.tensor(smooth)}

    def _smoothing(self, tiles: Sequence[Looks], size: int) -> float:
        """The width with the least squared errors over bases left out in turn, each band in its own mean."""
        apart = torch.zeros(len(_WIDTHS), int(tiles[0].live.sum()), dtype=torch.float64)
        whole = [(tile, date) for tile in tiles for date in self.bases_of(tile) if self.chosen(tile, date)]
        for tile, date in whole[:: max(1, -(-len(whole) // _ENOUGH))]:
            truth = tile.base(date)
            bases = [tile.base(base) for base in self.chosen(tile, date)]
            base = Blend.of(bases, self._shares(bases, truth, size))
            left, known = truth.fine - base.fine, truth.known & base.known
            for i, width in enumerate(_WIDTHS):
                change = gaussian_mean(truth.coarse - base.coarse, width * size)
                apart[i] += (left - change)[:, known].double().square().sum(1).cpu()
        told = apart.mean(0) > 0
        score = (apart / apart.mean(0))[:, told].sum(1)
        return _WIDTHS[int(score.argmin())] if bool(told.any()) else _USUAL

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """The weighted bases, plus the smoothed change."""
        size = int(state["coarse"])
        base = Blend.of(bases, self._shares(bases, asked, size))
        return base.fine + gaussian_mean(asked.coarse - base.coarse, float(state["smooth"]) * size)

    def _shares(self, bases: Sequence[Base], asked: Look, size: int) -> Tensor:
        """(n, H, W) of the bases; the nearest in days has an exponent of zero, so that none underflows."""
        squares = torch.tensor([(base.day - asked.day) ** 2 for base in bases], dtype=torch.float64)
        near = torch.exp(-0.5 * (squares - squares.min()) / self.days**2).to(asked.coarse)[:, None, None]
        near = near.clamp_min(1e-12)
        clear = torch.stack([_ramp(base.known, self._stride(size)) for base in bases])
        return settled(near * clear, (near / near.sum(0)).expand_as(clear))

    def _stride(self, size: int) -> int:
        """Fine pixels of one step of the ramp, rounded up."""
        return -(-int(self.clear * size) // _STEPS)


def _ramp(known: Tensor, stride: int) -> Tensor:
    """(H, W) share of the steps, each `stride` pixels wide, at which no gap is met; zero in gaps."""
    gaps = (~known).float()[None]
    if stride == 0 or not bool(gaps.any()):
        return 1.0 - gaps[0]
    free = torch.zeros_like(gaps)
    for _ in range(_STEPS):
        gaps = max_pool2d(gaps, 2 * stride + 1, 1, stride)
        free += 1.0 - gaps
    return torch.where(known, (free[0] / _STEPS).clamp_min(_BESIDE), 0.0)
