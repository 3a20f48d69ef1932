"""Doubt: how far an estimate may be off, pixel by pixel, learned from errors at pixels that were left out.

::

    variance of band b at pixel s  =  level_b² · spread(s)        spread = Σ_i share_i · signᵢ(s), mean one
    signs:  one · detail · brightness · rarity                    what errors grow with, never negative

Coarse pixels blur what errors grow with. Where errors of other bands are known at fine pixels, they have as
much say in the shares.

Source: variance functions in regression, Carroll and Ruppert (1988), ch. 2; the quantile as in split
conformal prediction, Lei et al. (2018), sec. 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.learning.kept import Kept
from stsfusion.operators.nnls import nnls

__all__ = ["Doubt", "deviation", "signs"]

_NINETY = 1.6449
"""Half-width of a Gaussian's central 90 per cent, in standard deviations."""

_ROUNDS = 4
"""Of the reweighted fit."""

_COMMON = 0.3
"""Least share of the spread that all pixels have in common."""

_LEAST = 0.02
"""Least spread of a pixel."""

_FAR = 30.0
"""Multiple of its mean beyond which a sign is taken to be no larger."""

_OUTLYING = 25.0
"""Multiple of a band's mean square beyond which a squared error is taken to be no larger."""


def deviation(errors: Tensor) -> Tensor:
    """(b,) standard deviation of normal errors of the same ninetieth percentile in size as (n, b) errors.

    Intervals are asked for, and errors have heavier tails at fine pixels than as means over coarse ones.
    """
    return torch.quantile(errors.abs(), 0.9, dim=0) / _NINETY


def signs(looks: Tensor) -> Tensor:
    """(2 l, y, x) looks to (4, y, x): one, detail, brightness and rarity, squared sizes about a pixel.

    They are means over its neighbourhood: a smooth pixel beside a rough one is no surer. Detail is the
    difference to the neighbourhood; rarity the part of a pixel's distance from the mean that grows with its
    fourth power, as of surfaces that are seldom met.
    """
    own, around = looks.tensor_split(2)
    distance = own.square().mean(0)
    return torch.stack(
        [torch.ones_like(distance), (own - around).square().mean(0), distance, distance.square()]
    )


@dataclass(frozen=True, eq=False)
class Doubt(Kept):
    """What is needed to say a standard deviation."""

    level: Tensor
    """(b,) standard deviation of a band where the spread is one."""

    shares: Tensor
    """(4,) of the signs in the spread, not negative."""

    scale: Tensor
    """(4,) typical size of the signs, beyond which they are bent."""

    @classmethod
    def learn(
        cls,
        errors: Tensor,
        seen: Tensor,
        fine: Tensor,
        blow: Tensor,
        witness: tuple[Tensor, Tensor] | None = None,
    ) -> Self:
        """Fit the spread to squared errors, then the level to their ninetieth percentile.

        Parameters
        ----------
        errors
            (n, b) errors of left-out coarse pixels, reflectance.
        seen
            (4, n) signs at these pixels, averaged by the point spread function.
        fine
            (4, m) signs at fine pixels.
        blow
            (b,) standard deviation at a fine pixel over that at a coarse one.
        witness
            (s, h) errors of other bands at fine pixels, and the (4, s) signs there.
        """
        scale = fine.double().mean(1).clamp_min(1e-12)
        bent = _bent(seen.double(), scale)
        shares = _shares(errors.double(), bent)
        if witness is not None:
            shares = 0.5 * (shares + _shares(witness[0].double(), _bent(witness[1].double(), scale)))
        spread = (shares @ bent).clamp_min(_LEAST)
        level = deviation(errors.double() / spread.sqrt()[:, None]) * blow.double()
        return cls(level.float(), shares.float(), scale.float())

    def __call__(self, looks: Tensor) -> Tensor:
        """(b, y, x) standard deviation from (2 l, y, x) looks."""
        bent = _bent(signs(looks), self.scale)
        spread = torch.einsum("i,iyx->yx", self.shares, bent).clamp_min(_LEAST).sqrt()
        return self.level[:, None, None] * spread


def _bent(seen: Tensor, scale: Tensor) -> Tensor:
    """(4, …) signs in their typical size, of pixels that are not too far from it."""
    return (seen / scale.reshape(-1, *(1,) * (seen.ndim - 1))).clamp_max(_FAR)


def _shares(errors: Tensor, bent: Tensor) -> Tensor:
    """(4,) of the spread that squares of (n, b) errors go with, by (4, n) signs; their sum is one."""
    size = errors.square().mean(0).clamp_min(1e-300)
    relative = (errors.square() / size).clamp_max(_OUTLYING).mean(1)
    shares = torch.tensor([1.0, 0.0, 0.0, 0.0]).to(bent)
    for _ in range(_ROUNDS):
        weight = 1.0 / (shares @ bent).clamp_min(_LEAST).square()
        gram = (bent * weight) @ bent.T
        shares = nnls(
            gram + 1e-6 * gram.diagonal().mean() * torch.eye(4).to(gram), (bent * weight) @ relative
        )
    # Coarse pixels are never as smooth as fine ones can be: what they have in common is held up.
    shares[0] = torch.maximum(shares[0], _COMMON * shares.sum()).clamp_min(1e-30)
    return shares / shares.sum()
