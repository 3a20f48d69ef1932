"""Update: what a multispectral image still tells of scores that were already estimated from it.

::

    innovation  i = Y − R X̂          X̂ += C Rᵀ (R C Rᵀ + D + S)⁻¹ i

C is the covariance of the left-out errors, without what neighbours have in common, which the returned
residual brings; S the misfit of the sensor model, and D the covariance of the
innovations that the fine pixels really show: where the sensor model does not hold, they are larger than C
explains, and the model is not obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.learning.pair import Pair
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Update"]

_GROUND = 1e-9
"""Share of the innovations' variance that is added so that their covariance inverts."""


@dataclass(frozen=True, eq=False)
class Update(Kept):
    """gain · (Y − seen · scores − offset)."""

    gain: Tensor
    """(p, l)."""

    seen: Tensor
    """(l, p) response of the basis."""

    offset: Tensor
    """(l,) response of the mean."""

    @classmethod
    def learn(
        cls,
        pairs: Sequence[Pair],
        scores: Sequence[Tensor],
        left: Tensor,
        weight: Tensor,
        subspace: Subspace,
        model: PairModel,
    ) -> Self:
        """Settle the gain.

        Parameters
        ----------
        pairs, scores
            Tiles, and the (p, H, W) scores that were estimated on them.
        left, weight
            (n, p) left-out errors of the clear coarse pixels, and their (n,) weight.
        subspace, model
            What the scores are of, and the sensors.
        """
        covered = pairs[0].coverage.any(1)
        response = model.response.to(left) * covered[:, None]
        seen = response @ subspace.basis.T.to(left)
        bare = cls(torch.zeros(0), seen.float(), (response @ subspace.mean.to(left)).float())
        met, count = left.new_zeros(len(seen), len(seen)), 0
        for pair, each in zip(pairs, scores, strict=True):
            gap = bare.innovation(pair.fine, each)[:, pair.known].to(left)
            met, count = met + gap @ gap.T, count + gap.shape[1]
        errors = (left * weight.to(left)[:, None]).T @ left / len(left)
        # What uncovered bands show has nothing to do with innovations, and is kept apart from them.
        met = met * torch.outer(covered, covered) / max(count, 1)
        spread = seen @ errors @ seen.T + met + torch.diag(model.misfit.to(left).square())
        ground = _GROUND * spread.diagonal().mean().clamp_min(1e-20) * torch.eye(len(seen)).to(left)
        gain = errors @ seen.T @ torch.linalg.inv(spread + ground) * covered
        return cls(gain.float(), bare.seen, bare.offset)

    def innovation(self, fine: Tensor, scores: Tensor) -> Tensor:
        """(l, H, W) Y − R X̂."""
        return fine - torch.einsum("lp,pyx->lyx", self.seen, scores) - self.offset[:, None, None]

    def __call__(self, fine: Tensor, scores: Tensor) -> Tensor:
        """(p, H, W) to add to the scores."""
        return torch.einsum("pl,lyx->pyx", self.gain, self.innovation(fine, scores))

    def of_errors(self, left: Tensor, seen: Tensor, fine: Tensor) -> Tensor:
        """(n, p) errors that are left of (n, p) left-out ones.

        `seen` are the (p, n) scores of the coarse pixels, `fine` the (l, n) fine image under them.
        """
        gain, response = self.gain.to(left), self.seen.to(left)
        gap = fine.to(left) - response @ (seen.to(left) - left.T) - self.offset.to(left)[:, None]
        return left - (gain @ gap).T
