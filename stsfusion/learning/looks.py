"""Looks: a tile's dates as the dense sensor saw them, on both grids, and those that the sharp one saw too.

::

    dense  ─► linear in days over its gaps ─► own grid ─► upsampled          a Look, every date
    sharp  ─► C(t) + Σ w_i (F_i − C_i) in its gaps                           a Base, dates that sharp saw

So no image has holes, and `known` says what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import at_dates, date_weights
from stsfusion.operators.fill import fill
from stsfusion.operators.resample import blocks, upsample

__all__ = ["Base", "Look", "Looks"]

_SAME = 1e-6
"""Days between which no difference is made."""


@dataclass(frozen=True, eq=False)
class Look:
    """One date of one tile as the dense sensor saw it, gaps filled."""

    day: float
    """Days since the series' first date."""

    coarse: Tensor
    """(b, H, W) reflectance on the fine grid, bicubic."""

    own: Tensor
    """(b, h, w) the same on the dense sensor's own grid."""

    known: Tensor
    """(H, W) bool: the dense pixel was seen on this date; of a Base, the fine pixel too."""

    ratio: int
    """Fine pixels along one side of a dense one."""


@dataclass(frozen=True, eq=False)
class Base(Look):
    """A date that the sharp sensor saw too: what an asked date is made from."""

    fine: Tensor
    """(b, H, W) reflectance; where the sharp sensor saw nothing, what the dense one and other dates say."""


@dataclass(frozen=True, eq=False)
class Looks:
    """A tile with all of its dates. Indices are the target's dates, bands are the target's."""

    days: Tensor
    """(time,) days since the first date, float64."""

    own: Tensor
    """(time, band, h, w) dense series, linear in days over its gaps; zero where it never saw anything."""

    seen: Tensor
    """(time, 1, h, w) bool: all usable bands were seen on this very date."""

    ever: Tensor
    """(1, h, w) bool: some date was seen here, or is near."""

    sharp: Tensor
    """(n, band, H, W) what the sharp sensor saw, zero in its gaps."""

    valid: Tensor
    """(n, band or 1, H, W) bool."""

    dates: tuple[int, ...]
    """(n,) dates that the sharp sensor saw."""

    common: tuple[int, ...]
    """Dates that both saw, as far as dates go; all of the sharp sensor's where there is none."""

    watched: tuple[int, ...]
    """Dates that the dense sensor saw."""

    live: Tensor
    """(band,) bool: bands that both have."""

    ratio: int
    """Fine pixels along one side of a dense one."""

    passes: int
    """Pixels by which gaps that no date knows are entered from their edges."""

    @classmethod
    def of(cls, problem: Problem, live: Tensor, passes: int) -> Self:
        """Lay a problem out; both sensors must have the target's bands, the sharp one its pixels."""
        sharp, dense = problem.require("sharp", "dense")
        live = live.to(dense.data.device)
        own, _ = at_dates(dense, problem.target.days, "linear", passes)
        mask = _usable(dense, live)
        seen = mask.new_zeros(len(own), 1, *mask.shape[2:])
        seen[dense.dates] = mask
        reached = fill(own[:1, :1], mask.any(0, keepdim=True), passes)[1][0]
        valid = sharp.valid.expand(len(sharp.data), -1, *sharp.data.shape[2:])
        both = tuple(date for date in sharp.dates if date in dense.dates)
        return cls(
            days=problem.target.days.to(torch.float64),
            own=own,
            seen=seen,
            ever=reached,
            sharp=torch.where(valid, sharp.data, 0.0),
            valid=valid,
            dates=tuple(sharp.dates),
            common=both or tuple(sharp.dates),
            watched=tuple(dense.dates),
            live=live,
            ratio=dense.ratio,
            passes=passes,
        )

    @cached_property
    def coarse(self) -> Tensor:
        """(time, band, H, W) dense series on the fine grid."""
        return upsample(self.own, self.ratio)

    def day(self, date: int) -> float:
        """Days since the first date."""
        return float(self.days[date])

    def sharp_known(self, date: int) -> Tensor:
        """(1, H, W) bool: the sharp sensor saw every usable band on this date."""
        if date not in self.dates:
            return self.valid.new_zeros(1, *self.valid.shape[2:])
        mask = self.valid[self.dates.index(date)]
        return mask if len(mask) == 1 else mask[self.live].all(0, keepdim=True)

    def dense_known(self, date: int) -> Tensor:
        """(1, H, W) bool: the dense sensor saw every usable band on this date."""
        return blocks(self.seen[date], self.ratio)

    def both_known(self, date: int) -> Tensor:
        """(1, H, W) bool: seen by both; where the dense one did not look on this date, ever by it."""
        dense = self.dense_known(date) if date in self.watched else blocks(self.ever, self.ratio)
        return self.sharp_known(date) & dense

    def drift(self, date: int) -> Tensor:
        """(band, H, W) C(t) + Σ w_i (F_i − C_i), w linear in days between the dates valid at a pixel."""
        weights = date_weights(self.valid, self.days[list(self.dates)], self.days[[date]])[0]
        apart = torch.zeros_like(self.coarse[0])
        for weight, fine, seen in zip(weights, self.sharp, self.dates, strict=True):
            apart.addcmul_(weight, fine - self.coarse[seen])
        known = (weights.sum(0) > 0)[None].expand(1, len(apart), -1, -1)
        return fill(apart[None], known, self.passes)[0][0] + self.coarse[date]

    def look(self, date: int) -> Look:
        """What the dense sensor says of a date, of the usable bands."""
        coarse, own = self.coarse[date][self.live], self.own[date][self.live]
        return Look(self.day(date), coarse, own, self.dense_known(date)[0], self.ratio)

    def base(self, date: int) -> Base:
        """A date that the sharp sensor saw, of the usable bands."""
        look, place = self.look(date), self.dates.index(date)
        fine = self.sharp[place]
        if not bool(self.valid[place].all()):
            fine = torch.where(self.valid[place], fine, self.drift(date))
        return Base(look.day, look.coarse, look.own, self.both_known(date)[0], self.ratio, fine[self.live])

    def bases(self, poor: Sequence[float] = ()) -> list[int]:
        """Dates to start from: those that both saw, without days of which next to nothing was seen."""
        good = [date for date in self.common if not any(abs(self.day(date) - day) < _SAME for day in poor)]
        return good or list(self.common)


def _usable(observation: Observation, live: Tensor) -> Tensor:
    """(n, 1, y, x) bool: every usable band was seen."""
    data = observation.data
    valid = observation.valid.expand(len(data), -1, *data.shape[2:])
    return valid if valid.shape[1] == 1 else valid[:, live].all(1, keepdim=True)
