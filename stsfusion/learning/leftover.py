"""Left over: what a regression of scores leaves of the pairs, and how far bands may be off at fine pixels.

::

    left-out errors of the scores ─► of the bands, + what no score holds ─► grown to fine pixels ─► Doubt
    residuals of the bands ─► their own fields ───────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from stsfusion.learning.doubt import Doubt, signs
from stsfusion.learning.exam import Exam
from stsfusion.learning.experts import Looks
from stsfusion.learning.growth import Growth, clean, foretold
from stsfusion.learning.kriging import Field, Kriging
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairnoise import PairNoise, gathered
from stsfusion.learning.sampling import lit
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.pairmodel import PairModel

__all__ = ["LeftOver"]


@dataclass(frozen=True, eq=False)
class LeftOver:
    """Errors of the clear coarse pixels of all tiles."""

    pairs: Sequence[Pair]
    """The tiles."""

    model: PairModel
    """The sensors."""

    subspace: Subspace
    """What the scores are of."""

    noise: PairNoise
    """Of the images."""

    sampled: Tensor
    """(p,) variance of the noise in the scores."""

    errors: Tensor
    """(n, p) of the scores at pixels whose block was left out, double precision."""

    residuals: Sequence[Tensor]
    """(p, h, w) of every tile: scores less what the coarse sensor makes of the estimated ones."""

    outside: Sequence[Tensor]
    """(L, h, w) of every tile: what the subspace leaves out."""

    @cached_property
    def carry(self) -> Tensor:
        """(L,) share of what the subspace leaves out that neighbouring coarse pixels have in common."""
        both = own = torch.zeros(len(self.outside[0])).to(self.outside[0])
        for image, pair in zip(self.outside, self.pairs, strict=True):
            for axis in (1, 2):
                size = image.shape[axis] - 1
                first, second = image.narrow(axis, 0, size), image.narrow(axis, 1, size)
                met = pair.clear.narrow(axis - 1, 0, size) & pair.clear.narrow(axis - 1, 1, size)
                both = both + (first * second * met).sum((1, 2))
                own = own + (0.5 * (first.square() + second.square()) * met).sum((1, 2))
        return (2.0 * both / own.clamp_min(1e-20)).clamp(0.0, 1.0)

    def doubt(self, kriging: Kriging, exam: Exam | None, looks: Looks) -> Doubt:
        """Standard deviations of the bands at fine pixels, reflectance.

        Parameters
        ----------
        kriging
            What brings the residuals back.
        exam
            What hidden bands say of errors; None: nothing.
        looks
            How fine pixels are looked at.
        """
        coarse = gathered([pair.coarse for pair in self.pairs], self.pairs).to(self.errors)
        # Empty pixels are told without error, and say nothing of others.
        (bright,) = lit([coarse])
        signed = [signs(looks(pair.fine)) for pair in self.pairs]
        return Doubt.learn(
            self._bands[bright],
            gathered([self.model.lowpass(each) for each in signed], self.pairs)[:, bright],
            torch.cat([each.flatten(1) for each in signed], 1),
            self._growth(kriging, exam, coarse.var(1)).sqrt(),
            None if exam is None else exam.witness(signed),
        )

    def _growth(self, kriging: Kriging, exam: Exam | None, size: Tensor) -> Tensor:
        """(L,) growth of the errors' variance from left-out coarse pixels to fine ones; see `Growth`."""
        white = torch.tensor(self.model.averaged).to(self.errors)
        power = self.errors.square().mean(0)
        fitted = gathered(self.residuals, self.pairs).to(self.errors).square().mean(1)
        grown = kriging.growth(power, fitted) * clean(power, self.sampled.to(power))
        beyond = self.noise.coarse.to(power) - self._basis.square().T @ self.sampled.to(power)
        # Of what the subspace leaves out, neighbours share what is carried over; the rest is white.
        carry = self.carry.to(power)
        alike = (carry + (1.0 - carry) * white) * clean(self._outer.square().mean(0), beyond)
        own = clean(self._bands.square().mean(0), self.noise.coarse.to(power))
        growth = Growth(
            foretold=foretold(self.errors, grown, self._basis, self._outer, alike),
            alone=own * self._alone(),
            own=own,
            exam=None if exam is None else exam.strayed,
            crossed=self.noise.crossed,
            coverage=self.pairs[0].coverage,
            nm=self.pairs[0].nm.to(power),
        )
        return growth(size / self._bands.square().mean(0).clamp_min(1e-300), white)

    def _alone(self) -> Tensor:
        """(L,) growth of every band's variance, were its own residuals kriged."""
        basis = self._basis.to(self.residuals[0])
        both = zip(self.residuals, self.outside, strict=True)
        left = [torch.einsum("pb,pyx->byx", basis, inner) + outer for inner, outer in both]
        clear = [pair.clear for pair in self.pairs]
        kriging = Kriging.learn(left, clear, self.noise.coarse, Field.tried(self.model))
        fitted = gathered(left, self.pairs).to(self._bands).square().mean(1)
        return kriging.growth(self._bands.square().mean(0), fitted)

    @cached_property
    def _basis(self) -> Tensor:
        """(p, L)."""
        return self.subspace.basis.to(self.errors)

    @cached_property
    def _outer(self) -> Tensor:
        """(n, L) what the subspace leaves out."""
        return gathered(self.outside, self.pairs).T.to(self.errors)

    @cached_property
    def _bands(self) -> Tensor:
        """(n, L) left-out errors of the bands."""
        return self.errors @ self._basis + self._outer
