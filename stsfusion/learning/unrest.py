"""Unrest: how far a series moves between the dates on which a pixel was seen.

::

    Var(z(t) − Σ w z(tᵢ)) = c · g      g = 2 Σ w γ(|t − tᵢ|) − 2 w w' γ(t' − t″)      γ(h) = 1 − exp(−h / τ)

w runs linearly in days between the dates on either side. What the dense bands tell of every date is hidden
in turn from its neighbours, near and far: τ is the one for which g tells these errors apart, and c, band by
band, how large they are. Pixels that moved much elsewhere in the series move more.

Source: Matheron (1963), the extension variance; exponential variogram as in Cressie (1993), sec. 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.operators.nnls import nnls

__all__ = ["Unrest", "extension", "gaps"]

_SPANS = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""τ that are tried, days."""

_BELIEVED = (0.25, 9.0)
"""Least and most by which hidden dates may correct c."""

_SHRUNK = 1.0
"""Dates' worth of the common unrest in a pixel's own."""

_FEW = 30
"""Pixels below which a hidden date tells nothing."""


def extension(before: Tensor, after: Tensor, span: Tensor) -> Tensor:
    """G of the days to the dates on either side; inf where there is none, two where there is neither."""

    def moved(days: Tensor) -> Tensor:
        return 1.0 - torch.exp(-days / span)

    both = torch.isfinite(before) & torch.isfinite(after)
    apart = torch.where(both, before + after, 1.0).clamp_min(1e-6)
    share = torch.where(both, before / apart, 0.0)
    inside = 2.0 * ((1.0 - share) * moved(before) + share * moved(after))
    inside = inside - 2.0 * share * (1.0 - share) * moved(apart)
    return torch.where(both, inside, 2.0 * moved(torch.minimum(before, after)))


def gaps(seen: Tensor, days: Tensor, day: float) -> tuple[Tensor, Tensor]:
    """(H, W) days to the nearest dates before (or on) and after a day that saw the pixel, of (t, H, W)."""
    off = (days - day).to(seen.device)[:, None, None].float()
    far = torch.tensor(torch.inf, device=seen.device)
    before = torch.where(seen & (off <= 0), -off, far).amin(0)
    after = torch.where(seen & (off >= 0), off, far).amin(0)
    return before, after


@dataclass(frozen=True, eq=False)
class Unrest(Kept):
    """What is learned of it."""

    sill: Tensor
    """(band,) c, reflectance squared."""

    span: Tensor
    """() τ, days."""

    turn: Tensor
    """(p, p) from steps of scores to steps whose mean square over the bands is that in their own c."""

    shares: Tensor
    """(2,) of what pixels have in common, and of what each has shown itself."""

    fading: Tensor
    """() growth of the variance, at dates that were seen, with g from the one date that taught; else zero."""

    @classmethod
    def unknown(cls, basis: Tensor, span: Tensor) -> Self:
        """Where no date can be hidden: pixels become what others of the scene are, over () span days."""
        sill = basis.square().sum(0).clamp_min(1e-20)
        return cls(sill, span.cpu().float(), _root(basis, sill), torch.tensor([1.0, 0.0]), torch.tensor(0.0))

    @classmethod
    def learn(cls, series: Tensor, seen: Tensor, days: Tensor, basis: Tensor, span: Tensor) -> Self | None:
        """From (t, p, n) scores, where they were (t, n) seen; None where no date can be hidden.

        Dates that are all as far apart as each other do not tell τ: then it is () span.
        """
        found = [case for case in _cases(len(days)) if _told(case, seen)]
        if not found:
            return None
        errors = torch.stack([_error(case, series, seen, days, basis) for case in found])
        before, after = torch.stack([torch.stack(_days(case, days)) for case in found]).T.to(errors.device)
        relative = (errors / errors.mean(0).clamp_min(1e-20)).mean(1).clamp_min(1e-9)
        alike = len({float(torch.minimum(*pair)) for pair in zip(before, after, strict=True)}) == 1
        spans = (float(span),) if alike else _SPANS
        tried = [extension(before, after, torch.tensor(each)).clamp_min(1e-9) for each in spans]
        misfit = [float((relative.log() - g.log()).var(correction=0)) for g in tried]
        best = min(range(len(spans)), key=misfit.__getitem__)
        sill = (errors / tried[best][:, None]).mean(0).clamp_min(1e-20)
        turn = _root(basis, sill)
        first = cls(
            sill.float(), torch.tensor(spans[best]), turn, torch.tensor([1.0, 0.0]), torch.tensor(0.0)
        )
        return replace(first, shares=first._shared(series, seen, days))

    def shown(self, series: Tensor, seen: Tensor, days: Tensor) -> Tensor:
        """(...,) how much pixels of (t, p, ...) scores moved where they were (t, ...) seen; about one."""
        total = torch.full_like(series[0, 0], _SHRUNK)
        count, last = total.clone(), series[0]
        when = torch.full_like(total, -torch.inf)
        for scores, mask, day in zip(series, seen, days.tolist(), strict=True):
            far = 2.0 * (1.0 - torch.exp((when - day) / self.span.to(total)))
            step = torch.einsum("qp,p...->q...", self.turn.to(total), scores - last).square().sum(0) / far
            counted = mask & torch.isfinite(when)
            total, count = total + torch.where(counted, step, 0.0), count + counted
            last, when = torch.where(mask, scores, last), torch.where(mask, day, when)
        return total / count

    def __call__(self, shown: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """(...,) variance in c, of what pixels have shown and the days to the dates that saw them."""
        own = self.shares[0] + self.shares[1] * shown
        return own * extension(before, after, self.span.to(before))

    def faded(self, before: Tensor, after: Tensor) -> Tensor:
        """(...,) times by which variance grows so many days from the dates that taught."""
        nearest = torch.minimum(before, after)
        far = torch.full_like(nearest, torch.inf)
        return 1.0 + self.fading * extension(nearest, far, self.span.to(nearest))

    def with_fading(self, growth: Tensor, days: Tensor) -> Self:
        """From the (t,) growth of the variance so many (t,) days from the date that taught."""
        far = torch.full_like(days, torch.inf)
        g = extension(days, far, self.span.to(days))
        rise = (growth.to(g) - 1.0) * g
        return replace(self, fading=rise.sum() / g.square().sum().clamp_min(1e-9))

    def corrected(self, factor: Tensor) -> Self:
        """By (band,) factors of c under which hidden dates lie inside their intervals."""
        return replace(self, sill=self.sill * factor.clamp(*_BELIEVED).to(self.sill))

    def _shared(self, series: Tensor, seen: Tensor, days: Tensor) -> Tensor:
        """(2,) by non-negative least squares over dates hidden from their neighbours."""
        gram = torch.zeros(2, 2, dtype=torch.float64, device=series.device)
        right = gram[0].clone()
        for i in range(1, len(days) - 1):
            told = seen[i - 1] & seen[i] & seen[i + 1]
            if int(told.sum()) < _FEW:
                continue
            rest = [k for k in range(len(days)) if k != i]
            shown = self.shown(series[rest], seen[rest], days[rest])[told]
            gap = _gap((i - 1, i, i + 1), series, days)[:, told]
            own = torch.einsum("qp,pn->qn", self.turn, gap).square().sum(0)
            own = (own / own.mean().clamp_min(1e-12)).clamp_max(25.0).double()
            signs = torch.stack([torch.ones_like(shown), shown]).double()
            signs = signs / torch.stack([signs[0].mean(), signs[1].mean()])[:, None]
            gram, right = gram + signs @ signs.T / len(own), right + signs @ own / len(own)
        if float(gram[0, 0]) == 0.0:
            return torch.tensor([1.0, 0.0])
        shares = nnls(gram + 1e-3 * torch.eye(2).to(gram), right).clamp_min(0.0)
        return (shares / shares.sum().clamp_min(1e-9)).float()


def _cases(dates: int) -> list[tuple[int | None, int, int | None]]:
    """Dates hidden from one before, from one after, or from one on either side."""
    sides = [(i, k, None) for k in range(dates) for i in range(k)]
    later = [(None, k, j) for k in range(dates) for j in range(k + 1, dates)]
    return [*sides, *later, *((i, k, j) for i, k, _ in sides for _, m, j in later if m == k)]


def _told(case: tuple[int | None, int, int | None], seen: Tensor) -> bool:
    return int(_both(case, seen).sum()) >= _FEW


def _both(case: tuple[int | None, int, int | None], seen: Tensor) -> Tensor:
    return torch.stack([seen[each] for each in case if each is not None]).all(0)


def _days(case: tuple[int | None, int, int | None], days: Tensor) -> tuple[Tensor, Tensor]:
    """Days to the dates on either side; inf where there is none."""
    i, k, j = case
    far = torch.tensor(torch.inf)
    return (
        far if i is None else (days[k] - days[i]).float().cpu(),
        far if j is None else (days[j] - days[k]).float().cpu(),
    )


def _gap(case: tuple[int | None, int, int | None], series: Tensor, days: Tensor) -> Tensor:
    """(p, n) what lies between the dates on either side is off by."""
    i, k, j = case
    if i is None or j is None:
        return series[k] - series[j if i is None else i]
    share = float((days[k] - days[i]) / (days[j] - days[i]))
    return series[k] - (1.0 - share) * series[i] - share * series[j]


def _error(
    case: tuple[int | None, int, int | None], series: Tensor, seen: Tensor, days: Tensor, basis: Tensor
) -> Tensor:
    """(band,) mean square of it."""
    return (basis.T @ _gap(case, series, days)[:, _both(case, seen)]).square().mean(1)


def _root(basis: Tensor, sill: Tensor) -> Tensor:
    """(p, p) A, Aᵀ A = mean over bands of basis basisᵀ / c."""
    form = (basis / sill) @ basis.T / basis.shape[1]
    values, vectors = torch.linalg.eigh(form.double())
    return (vectors * values.clamp_min(0.0).sqrt()).T.float()
