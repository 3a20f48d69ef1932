"""Innovation: an estimate of all bands held to what multispectral bands of the same date show.

::

    i = m − R x̂          x̂ += u C Rᵀ (u R C Rᵀ + N)⁻¹ i

C is the covariance of the errors that hidden dates have shown, with a smooth ground of all spectra for
surfaces that no date has shown; u says, pixel by pixel, how much less or more is unsure than then.

Source: Kalman (1960), in the basis in which R C Rᵀ and N are diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.subspace import Subspace

__all__ = ["Innovation", "ground"]

_SMOOTH = 60.0
"""Distance in wavelength over which surfaces that were never seen resemble themselves, nm."""


@dataclass(frozen=True, eq=False)
class Innovation(Kept):
    """The gain, ready for any u."""

    seen: Tensor
    """(b, p) response of the basis."""

    offset: Tensor
    """(b,) response of the mean."""

    turn: Tensor
    """(n, b) from innovations to directions that do not mix, n of them."""

    strength: Tensor
    """(n,) variance of what is unsure along them, in that of the noise."""

    back: Tensor
    """(p, n) to the scores."""

    @classmethod
    def learn(cls, covariance: Tensor, response: Tensor, noise: Tensor, subspace: Subspace) -> Self:
        """From the (p, p) C, the (b, band) R and the (b,) standard deviation of what m has of errors.

        A band of infinite deviation tells nothing.
        """
        response = response.to(covariance)
        seen = response @ subspace.basis.T.to(covariance)
        sd = noise.to(covariance).clamp_min(1e-6)
        white = seen / sd[:, None]
        values, vectors = torch.linalg.eigh(white @ covariance @ white.T)
        keep = values > 1e-6 * values.max().clamp_min(1e-12)
        vectors = vectors[:, keep]
        turn, back = (vectors / sd[:, None]).T, covariance @ white.T @ vectors
        offset = response @ subspace.mean.to(covariance)
        return cls(*(part.float() for part in (seen, offset, turn, values[keep], back)))

    def __call__(self, scores: Tensor, bands: Tensor, unsure: Tensor) -> tuple[Tensor, Tensor]:
        """The (p, H, W) scores held to (b, H, W) bands with (H, W) u, and the (H, W) surprise.

        The surprise is the mean square of the innovations in their own standard deviation.
        """
        gap = bands - torch.einsum("bp,pyx->byx", self.seen, scores) - self.offset[:, None, None]
        along = torch.einsum("nb,byx->nyx", self.turn, gap)
        spread = unsure * self.strength[:, None, None]
        surprise = (along.square() / (spread + 1.0)).mean(0)
        moved = along * (unsure / (spread + 1.0))
        return scores + torch.einsum("pn,nyx->pyx", self.back, moved), surprise


def ground(subspace: Subspace, wavelengths: Tensor) -> Tensor:
    """(p, p) covariance of the scores of smooth spectra of unit variance."""
    nm = wavelengths.double()
    alike = torch.exp(-0.5 * ((nm[:, None] - nm[None]) / _SMOOTH).square())
    analysis = subspace.analysis.double()
    return analysis.T @ alike.to(analysis) @ analysis
