"""Bandmatch: what one sensor's bands say of another's, by regression on a grid that both share.

How much the regression is held back, and whether products of bands help, is decided by leaving one date out:
what was learned on some dates must hold on another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.ridge import Affine, Sums

__all__ = ["BandMatch", "Sample"]

_PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Candidates, as shares of the standardised variance."""

_ALONE = 1e-3
"""The penalty where a single date leaves nothing to decide by."""

Sample = tuple[Tensor, Tensor, Tensor]
"""(n, y, x) inputs, (m, y, x) outputs and the (y, x) weight of their pixels, of one date of one tile."""


@dataclass(frozen=True, eq=False)
class BandMatch(Kept):
    """y = offset + slope · [u, u ⊗ u], u = (x − centre) / spread; in products u stays inside `bounds`."""

    centre: Tensor
    """(n,) mean of the inputs."""

    spread: Tensor
    """(n,) their standard deviation; one for bands that do not vary."""

    bounds: Tensor
    """(2, n) least and largest u that was learned from."""

    slope: Tensor
    """(n, m), or (n + n (n + 1) / 2, m) with products."""

    offset: Tensor
    """(m,)."""

    misfit: Tensor
    """(m,) root mean square of what was not explained; of dates left out, where there are several."""

    def __call__(self, x: Tensor) -> Tensor:
        """(time, n, y, x) to (time, m, y, x)."""
        return Affine(self.slope, self.offset)(self._features(x))

    def noise(self, noise: Tensor) -> Tensor:
        """(m,) standard deviation of the outputs from the inputs' (n,), products left aside."""
        linear = self.slope[: len(self.centre)] / self.spread[:, None]
        return (linear.square() * noise.to(linear)[:, None].square()).sum(0).sqrt()

    @classmethod
    def learn(cls, dates: Sequence[Sequence[Sample]], *, curved: bool) -> Self:
        """Regress outputs on inputs over all dates.

        Parameters
        ----------
        dates
            Samples of all tiles, date by date; at least one of positive weight.
        curved
            Whether products of bands may take part where that explains more of dates that are left out.
        """
        every = [sample for date in dates for sample in date]
        centre, spread, bounds = _ranges(every)
        count, outputs = len(centre), len(every[0][1])
        blank = cls(centre, spread, bounds, centre.new_zeros(count, outputs), *centre.new_zeros(2, outputs))
        found = [blank._settled(dates, wide) for wide in ((False, True) if curved else (False,))]
        return min(found, key=lambda match: float(match.misfit.square().sum()))

    def _settled(self, dates: Sequence[Sequence[Sample]], curved: bool) -> Self:
        """With the penalty that explains most of dates that were left out."""
        sums = [reduce(add, (self._sums(sample, curved) for sample in date)) for date in dates]
        whole = reduce(add, sums)
        errors = {penalty: _left_out(sums, penalty) for penalty in _PENALTIES} if len(sums) > 1 else {}
        best = min(errors, key=lambda penalty: float(errors[penalty].sum()), default=_ALONE)
        solved = whole.solve(best)
        misfit = errors[best] if errors else _unexplained(whole, solved)
        return type(self)(
            self.centre, self.spread, self.bounds, solved.slope, solved.offset, misfit.sqrt().float()
        )

    def _sums(self, sample: Sample, curved: bool) -> Sums:
        x, y, weight = sample
        return Sums.of(self._features(x[None], curved), y[None], weight[None, None])

    def _features(self, x: Tensor, curved: bool | None = None) -> Tensor:
        """(time, n, y, x) to standardised bands, and their products where they take part."""
        u = (x - self.centre[:, None, None]) / self.spread[:, None, None]
        if not (len(self.slope) > len(self.centre) if curved is None else curved):
            return u
        held = u.clamp(self.bounds[0][:, None, None], self.bounds[1][:, None, None])
        i, j = torch.triu_indices(len(self.centre), len(self.centre), device=u.device)
        return torch.cat([u, held[:, i] * held[:, j]], 1)


def _ranges(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and standardised range of the inputs."""
    values = torch.cat([x[:, weight > 0] for x, _, weight in samples], 1).double()
    centre = values.mean(1)
    spread = (values - centre[:, None]).square().mean(1).sqrt()
    flat = spread <= 1e-6 * centre.abs()
    spread = torch.where(flat | (spread <= 0), torch.ones_like(spread), spread)
    u = (values - centre[:, None]) / spread[:, None]
    bounds = torch.stack([u.amin(1), u.amax(1)])
    return centre.float(), spread.float(), bounds.float()


def _left_out(sums: Sequence[Sums], penalty: float) -> Tensor:
    """(m,) mean square error of each date as told by the others."""
    parts = []
    for i, own in enumerate(sums):
        others = reduce(add, [each for j, each in enumerate(sums) if j != i])
        parts.append(_unexplained(own, others.solve(penalty)) * own.count)
    return reduce(add, parts) / sum(float(own.count) for own in sums)


def _unexplained(sums: Sums, affine: Affine) -> Tensor:
    """(m,) E |y − offset − x slope|², from the second moments."""
    n, count = sums.inputs, sums.count.clamp_min(1e-9)
    slope, offset = affine.slope.double(), affine.offset.double()
    mean, second = sums.first / count, sums.second / count
    square = second.diagonal()[n:] - 2 * (slope * second[:n, n:]).sum(0)
    square = square + (slope * (second[:n, :n] @ slope)).sum(0) + offset.square()
    return (square - 2 * offset * (mean[n:] - mean[:n] @ slope)).clamp_min(0.0)
