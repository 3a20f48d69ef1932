"""Radiometry: a gain for every date and band of the dense sensor.

::

    seen by another sensor:   γ = Σ y ŷ / Σ ŷ² − 1                   ŷ: what that sensor says of y
    else:                     y(s) = (1 + γ) m(s) + e(s)              m: the series between its neighbours
                              e ~ Student(0, d v(s) C + noise),  γ ~ N(0, size²)

Pixels that change little, by v, tell most; the nearer the neighbours, by d, the more; C, how bands change
together, tells bands from each other. How many pixels err as one is settled where gains are known, by
estimating them as if they were not. Gains that are small throughout are none.

Source: pseudo-invariant features, Schott et al. (1988); the robust weights of Lange et al. (1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.fusion.timeline import date_weights

__all__ = ["Series", "gains", "ratio_of"]

_NONE = 0.004
"""Typical gain below which there is none."""

_ALIKE = (1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)
"""Pixels that err as one, to choose from."""

_TAIL = 2.0
"""Degrees of freedom of the errors."""

_ROUNDS = 6
"""Of the robust fit."""

_MOST = 20000
"""Pixels that are looked at."""


@dataclass(frozen=True, eq=False)
class Series:
    """Coarse pixels that were clear on all dates."""

    days: Tensor
    """(t,)."""

    values: Tensor
    """(t, b, n)."""

    noise: Tensor
    """(b,) standard deviation."""


def ratio_of(values: Tensor, said: Tensor) -> Tensor:
    """(b,) gain of (b, n) values over what another sensor says of them."""
    return (values * said).sum(1) / said.square().sum(1).clamp_min(1e-12)


def gains(series: Series, known: Mapping[int, Tensor]) -> Tensor:
    """(t, b) factors of all dates from those that are known, by date."""
    t, b, n = series.values.shape
    found = torch.ones(t, b)
    places = sorted(known)
    if not places:
        return found
    own = torch.stack([known[place].double().cpu() for place in places]) - 1.0
    if float(own.square().mean().sqrt()) < _NONE:
        return found
    common = 1.0 + _common(own)
    found = common.float().repeat(t, 1)
    for place, gain in zip(places, own, strict=True):
        found[place] = (1.0 + gain).float()
    own = (1.0 + own) / common - 1.0
    size = float(own.square().mean().sqrt())
    if len(places) < 3 or n < 4 * b or size < _NONE:
        return found
    even = Series(series.days, series.values / common.to(series.values)[:, None], series.noise)
    scene = _Scene.of(even, found / common.float(), places)
    alike = _settled(scene, places, own, size)
    for date in range(t):
        if date not in places:
            found[date] *= 1.0 + _estimated(scene, date, places, size, alike).float()
    return found


def _common(own: Tensor) -> Tensor:
    """(b,) part that all dates have in common, of (n, b) known ones, as far as chance does not explain it.

    Source: James and Stein (1961).
    """
    if len(own) < 2:
        return own.mean(0)
    mean = own.mean(0)
    chance = own.var(0).mean() / len(own)
    return mean * (1.0 - chance / mean.square().mean().clamp_min(1e-12)).clamp_min(0.0)


@dataclass(frozen=True, eq=False)
class _Scene:
    """The series, mended where gains are known, and how it changes."""

    series: Series
    """With all gains."""

    mended: Tensor
    """(t, b, n) without those that are known."""

    restless: Tensor
    """(n,) v: variance in time."""

    turn: Tensor
    """(b, b) eigenvectors of C in columns, noise-whitened."""

    strength: Tensor
    """(b,) eigenvalues."""

    @classmethod
    def of(cls, series: Series, found: Tensor, places: Sequence[int]) -> _Scene:
        """Learn C from the dates whose gains are known."""
        step = max(1, series.values.shape[2] // _MOST)
        values = series.values[:, :, ::step].double().cpu()
        thin = Series(series.days.double().cpu(), values, series.noise.double().cpu())
        mended = values / found.double()[:, :, None]
        noise = thin.noise[:, None]
        white = mended[list(places)] / noise
        restless = (white - white.mean(0)).square().mean((0, 1)) + 1.0
        scene = cls(thin, mended, restless, torch.eye(len(noise)).double(), torch.ones(len(noise)).double())
        total = torch.zeros_like(scene.turn)
        for place in places:
            gap = (mended[place] - scene.between(place, places)) / noise
            total = total + (gap / restless) @ gap.T / gap.shape[1] / scene.bridge(place, places)
        strength, turn = torch.linalg.eigh(total / len(places))
        return cls(thin, mended, restless, turn, strength.clamp_min(1e-9))

    def between(self, date: int, places: Sequence[int]) -> Tensor:
        """(b, n) the mended series at a date, from the other dates alone."""
        others = [place for place in places if place != date]
        valid = torch.ones(len(others), 1, 1, 1, dtype=torch.bool)
        weights = date_weights(valid, self.series.days[others], self.series.days[[date]])[0, :, 0, 0, 0]
        return torch.einsum("t,tbn->bn", weights.double(), self.mended[others])

    def bridge(self, date: int, places: Sequence[int]) -> float:
        """Variance of a random walk at a date, given it at the others; days."""
        gaps = self.series.days[[place for place in places if place != date]] - self.series.days[date]
        sides = [float(side.abs().min()) for side in (gaps[gaps < 0], gaps[gaps > 0]) if len(side)]
        return max(sides[0] * sides[1] / sum(sides) if len(sides) == 2 else sides[0], 1.0)


def _settled(scene: _Scene, places: Sequence[int], own: Tensor, size: float) -> float:
    """How many pixels err as one: under which gains that are known are estimated best."""
    losses = []
    for alike in _ALIKE:
        tried = torch.stack([_estimated(scene, place, places, size, alike) for place in places])
        losses.append(float((tried - own).square().mean()))
    return _ALIKE[losses.index(min(losses))] if min(losses) < float(own.square().mean()) else 1e12


def _estimated(scene: _Scene, date: int, places: Sequence[int], size: float, alike: float) -> Tensor:
    """(b,) γ of a date by what stands about it in time."""
    noise = scene.series.noise[:, None]
    line = scene.between(date, places) / noise
    gap = scene.series.values[date] / noise - line
    days = scene.bridge(date, places)
    weight = 1.0 / (days * scene.restless * scene.strength[:, None] + 1.0)
    gamma, trust = torch.zeros(len(noise)).double(), torch.ones_like(scene.restless)
    for _ in range(_ROUNDS):
        square = torch.eye(len(gamma)).double() / size**2
        told = torch.zeros_like(gamma)
        for own, row in zip(scene.turn.T, weight * trust / alike, strict=True):
            square = square + torch.outer(own, own) * ((line * row) @ line.T)
            told = told + own * ((line * row) @ (own @ gap))
        gamma = torch.linalg.solve(square, told)
        left = scene.turn.T @ (gap - gamma[:, None] * line)
        distance = (left.square() * weight).sum(0)
        trust = (_TAIL + len(gamma)) / (_TAIL + distance)
    return gamma
