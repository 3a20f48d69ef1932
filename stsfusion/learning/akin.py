"""Akin: what pixels that look alike keep in common, whatever the panel says of them.

::

    e(s, t) = G(m(s, t), g(s)) + own(s, t)      cov G = exp(−½ ‖Δm‖² − ½ ‖Δg‖²)
    G = k(·, z) (Kᵀ K + λ k(z, z))⁻¹ Kᵀ e        K = k(some pixels, z), z: a few of them

m is what the multispectral bands show of a date, g the guide, which shows all dates at once: pixels of one
crop are alike in it, also where this date does not tell them apart. Dates hidden one after the other choose λ
for every score by itself, and whether the score keeps anything in common at all.

Source: Rasmussen and Williams (2006), sec. 8.3.1, subset of regressors; Laird and Ware (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.panel import Carried, carry

__all__ = ["Akin", "Company"]

_LOADS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Of λ, in variances of what is in common; beyond the last nothing is."""

_JITTER = 1e-6
"""Added to the centres' covariance."""

_NEAR = 1_600_000
"""Covariances of pixels with centres that are held at once."""


@dataclass(frozen=True, eq=False)
class Company:
    """What some pixels keep at the dates of the hyperspectral sensor."""

    days: Tensor
    """(n,)."""

    bands: Tensor
    """(n, q, s) components of the dense bands then."""

    looks: Tensor
    """(q', s) of the guide."""

    kept: Tensor
    """(n, p, s) scores less what the panel says."""

    doubt: Tensor
    """(n, s) variance of its error, in that of what lasts."""

    clear: Tensor
    """(n, s) bool: seen by all sensors that it comes from."""

    @property
    def dates(self) -> int:
        """How many there are."""
        return len(self.days)

    def points(self, date: int) -> Tensor:
        """(s, q + q') where the pixels stand."""
        return torch.cat([self.bands[date], self.looks]).T


@dataclass(frozen=True, eq=False)
class Akin(Kept):
    """G."""

    centres: Tensor
    """(m, q + q') z."""

    weights: Tensor
    """(m, p)."""

    @classmethod
    def learn(cls, company: Company, carried: Carried, centres: int, seed: int) -> Self | None:
        """From pixels at all dates; None where nothing is in common, or too few dates to tell.

        Parameters
        ----------
        carried
            How what pixels keep by themselves is carried to a hidden date.
        centres
            m at most.
        seed
            Of the choice of centres.
        """
        some = torch.cat([company.points(i)[company.clear[i]] for i in range(company.dates)])
        if len(some) == 0 or company.dates < 2:
            return None
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(some), generator=generator)[:centres].to(some.device)
        lessons = _Lessons.of(company, some[chosen])
        loads = _chosen(lessons, company, carried)
        if all(load is None for load in loads):
            return None
        return cls(lessons.centres.float(), lessons.solved(range(company.dates), loads).float())

    def __call__(self, bands: Tensor, looks: Tensor) -> Tensor:
        """(p, H, W) of (q, H, W) components of the bands and (q', H, W) looks."""
        points = torch.cat([bands, looks]).flatten(1).T
        rows = max(1, _NEAR // len(self.centres))
        said = [_alike(some, self.centres) @ self.weights for some in points.split(rows)]
        return torch.cat(said).T.unflatten(1, tuple(bands.shape[1:]))


@dataclass(frozen=True, eq=False)
class _Lessons:
    """Sums of products, date by date, from which G follows with any date hidden and any load."""

    centres: Tensor
    """(m, q + q')."""

    own: Tensor
    """(m, m) covariance of the centres."""

    squares: Tensor
    """(n, m, m) Kᵀ K."""

    mixed: Tensor
    """(n, m, p) Kᵀ e."""

    @classmethod
    def of(cls, company: Company, centres: Tensor) -> Self:
        """From pixels that are clear."""
        squares, mixed = [], []
        for date in range(company.dates):
            clear = company.clear[date]
            near = _alike(company.points(date)[clear], centres).double()
            squares.append(near.T @ near)
            mixed.append(near.T @ company.kept[date][:, clear].T.double())
        own = _alike(centres, centres).double()
        own = own + _JITTER * torch.eye(len(own)).to(own)
        return cls(centres, own, torch.stack(squares), torch.stack(mixed))

    def solved(self, dates: Sequence[int], loads: Sequence[float | None]) -> Tensor:
        """(m, p) weights by some dates, every score under its load; none where it has none."""
        square, mixed = self.squares[list(dates)].sum(0), self.mixed[list(dates)].sum(0)
        out = torch.zeros_like(mixed)
        for load in {load for load in loads if load is not None}:
            mine = torch.tensor([own == load for own in loads], device=out.device)
            out[:, mine] = torch.linalg.solve(square + load * self.own, mixed[:, mine])
        return out


def _chosen(lessons: _Lessons, company: Company, carried: Carried) -> list[float | None]:
    """For every score the load under which hidden dates are met best; None: nothing in common.

    What is gained must be more than its standard error over the dates (Breiman et al., 1984, sec. 3.4.3).
    """
    count = company.kept.shape[1]
    asked = (None, *_LOADS)
    dates = range(company.dates)
    missed = [
        torch.stack([_missed(lessons, company, carried, date, load) for date in dates]) for load in asked
    ]
    losses = torch.stack(missed).cpu()
    best = losses.sum(1).argmin(0)
    gain = losses[0] - losses[best, :, torch.arange(count)].T
    sure = gain.mean(0) > gain.std(0) / math.sqrt(len(gain))
    return [asked[row] if own else None for row, own in zip(best.tolist(), sure.tolist(), strict=True)]


def _missed(lessons: _Lessons, company: Company, carried: Carried, hidden: int, load: float | None) -> Tensor:
    """(p,) sum of squared errors of a hidden date."""
    rest = [date for date in range(company.dates) if date != hidden]
    weights = lessons.solved(rest, [load] * company.kept.shape[1]).float()
    common = [(_alike(company.points(d), lessons.centres) @ weights).T for d in range(company.dates)]
    own = torch.stack([company.kept[d] - common[d] for d in rest])
    seen = company.days[rest], company.bands[rest][..., None]
    when = company.days[hidden], company.bands[hidden][..., None]
    told, _ = carry(own[..., None], company.doubt[rest][..., None], seen, when, carried)
    errors = told[..., 0] + common[hidden] - company.kept[hidden]
    return errors[:, company.clear[hidden]].double().square().sum(1)


def _alike(points: Tensor, centres: Tensor) -> Tensor:
    """(s, m) covariance of what is in common."""
    return torch.cdist(points, centres).square_().mul_(-0.5).exp_()
