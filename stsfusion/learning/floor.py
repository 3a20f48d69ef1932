"""Floor: reflectance is not negative, and an estimate that is gives way where it is least sure.

::

    x̂ = argmin (a − â)ᵀ C⁻¹ (a − â) + Σ_b min(0, x_b − f_b)² / τ_b²        x = mean + basisᵀ a

C is the covariance of the errors before an estimate is held to its date's bands, τ a part of the noise.
Over water, what noise and land nearby leave of an infrared spectrum is as large as the spectrum itself, and
as often below zero as above. Where a sensor does show negative values, as where the air was taken off too
much, there is no floor at all: fine pixels lie lower still than those that it sees.

Source: the mode of a truncated Gaussian, by semismooth Newton steps (Hintermüller, Ito and Kunisch, 2002).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.subspace import Subspace

__all__ = ["Floor", "below_zero"]

_RARE = 1e-3
"""Share of values that may lie anywhere."""

_DEVIATIONS = 3.09
"""Standard deviations below which noise lies so rarely."""

_SURELY = 4.0
"""Those beyond which noise, whose size is known to a quarter, is no excuse."""

_MOST = 20000
"""Values of a band that are looked at in a piece, about."""

_FIRM = 0.1
"""τ, in standard deviations of the noise."""

_ROUNDS = 8
"""Newton steps."""

_SHARES = (1.0, 0.5, 0.2, 0.05, 0.0)
"""Of a Newton step, of which the best is taken."""

_LEAST = 1e-6
"""Least variance of errors, in the largest."""

_ROWS = 1024
"""Pixels at a time, of `_RANK` scores."""

_RANK = 16
"""More scores: fewer pixels."""


def below_zero(pixels: Iterable[Tensor], noise: Tensor) -> bool:
    """Whether (band, n) pieces of what a sensor saw lie further below zero than (band,) noise explains.

    NaN is what it did not see.
    """
    rare = _rare(pixels)
    return rare is not None and bool((rare < -_SURELY * noise).any())


def _rare(pixels: Iterable[Tensor]) -> Tensor | None:
    """(band,) what hardly any value lies below, NaN of bands without values; None where no band has any."""
    seen = torch.cat([piece[:, :: max(1, piece.shape[1] // _MOST)] for piece in pixels], 1)
    if bool(seen.isnan().all()):
        return None
    places = (_RARE * (~seen.isnan()).sum(1)).long().clamp_min(1) - 1
    return seen.sort(dim=1).values.gather(1, places[:, None])[:, 0]


@dataclass(frozen=True, eq=False)
class Floor(Kept):
    """What an estimate may not fall below."""

    least: Tensor
    """(band,) f, reflectance."""

    inverse: Tensor
    """(p, p) of C."""

    @classmethod
    def learn(cls, pixels: Iterable[Tensor], covariance: Tensor, subspace: Subspace) -> Self:
        """From (band, n) pieces of what the hyperspectral sensor saw, NaN elsewhere, and the (p, p) C."""
        rare = _rare(pixels)
        least = torch.zeros_like(subspace.mean)
        if rare is not None:
            least = (rare.nan_to_num(0.0) + _DEVIATIONS * subspace.noise).clamp_max(0.0)
        values, vectors = torch.linalg.eigh(covariance.double())
        level = values.clamp_min(max(_LEAST * float(values[-1]), 1e-12))
        return cls(least.float(), ((vectors / level) @ vectors.T).float())

    def __call__(self, scores: Tensor, subspace: Subspace) -> Tensor:
        """(p, H, W) scores, moved where a band of theirs lies below the floor."""
        flat = scores.flatten(1)
        gap = (subspace.mean - self.least)[:, None]
        rows = max(1, _ROWS * _RANK**2 // max(len(flat), _RANK) ** 2)
        low = torch.cat(
            [((subspace.basis.T @ part + gap) < 0).any(0) for part in flat.split(_ROWS, dim=1)]
        ).nonzero()[:, 0]
        if len(low) == 0:
            return scores
        out = flat.clone()
        for places in low.split(rows):
            out[:, places] = self._raised(flat[:, places].T, subspace)
        return out.unflatten(1, tuple(scores.shape[1:]))

    def _raised(self, scores: Tensor, subspace: Subspace) -> Tensor:
        """(p, n) of (n, p)."""
        inverse, basis = self.inverse.double(), subspace.basis.double()
        gap = (subspace.mean - self.least).double()
        firm = (_FIRM * subspace.noise.double()).square().reciprocal()
        start, moved = scores.double(), scores.double()
        pairs = (basis[:, None] * basis[None]).flatten(0, 1).T

        def cost(own: Tensor) -> Tensor:
            low = (own @ basis + gap).clamp_max(0.0).square() @ firm
            return ((own - start) @ inverse * (own - start)).sum(1) + low

        for _ in range(_ROUNDS):
            weight = ((moved @ basis + gap) < 0).double() * firm
            square = inverse + (weight @ pairs).unflatten(1, tuple(inverse.shape))
            step = torch.linalg.solve(square, start @ inverse - (weight * gap) @ basis.T) - moved
            tried = torch.stack([moved + share * step for share in _SHARES])
            best = torch.stack([cost(own) for own in tried]).argmin(0)
            moved = tried[best, torch.arange(len(moved), device=moved.device)]
        return moved.T.float()
