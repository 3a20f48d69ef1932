"""Between: the hyperspectral image where the multispectral sensor alone looked, of dates and under clouds.

::

    Z(t)  =  Σ_k w_k Z_k  +  f(Y↓(t)) − Σ_k w_k f(Y↓_k)        w: linear in days between dates that both saw

The regression f is learned at the dates that both saw. What it cannot know is taken from those dates, linear
in days between, pixel by pixel; what did change is told by the date's own multispectral image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation
from stsfusion.fusion.timeline import date_weights
from stsfusion.learning.bandmatch import BandMatch, Sample
from stsfusion.learning.pair import Pair
from stsfusion.operators.pairmodel import PairModel

__all__ = ["Bridge", "Look", "bridged", "lacking", "looked_alone", "sample"]

_WHOLE = 0.99
"""Share of a coarse pixel's weight that must lie on valid fine pixels."""


@dataclass(frozen=True, eq=False)
class Look:
    """One date as the coarse sensor would have seen the fine image."""

    low: Tensor
    """(l, h, w) reflectance."""

    known: Tensor
    """(h, w) bool: all that made the pixel is valid."""

    day: float
    """Days since the series' first date."""

    @classmethod
    def of(cls, pair: Pair, model: PairModel) -> Look:
        """Of a pair that was registered by the model."""
        seen = model.lowpass(pair.known[None].to(pair.fine))[0]
        return cls(model.lowpass(pair.fine), pair.clear & (seen > _WHOLE), pair.day)


@dataclass(frozen=True, eq=False)
class Bridge:
    """What is known of the dates that both sensors saw, for the others and for gaps."""

    match: BandMatch
    """From the fine sensor's bands to the coarse one's, at the coarse grid."""

    both: Sequence[Look]
    """Of the dates that both saw, rising in days."""

    coarse: Tensor
    """(n, L, h, w) what the coarse sensor saw on them."""

    def __call__(self, look: Look) -> tuple[Tensor, Tensor]:
        """See `bridged`."""
        return bridged(self.match, look, self.both, self.coarse)

    def unsure(self, sigma: Tensor, live: Tensor) -> Tensor:
        """(L, H, W) standard deviation with the misfit of the regression that stands in for the rich sensor.

        `live` (L,) are the bands that it tells.
        """
        misfit = sigma.new_zeros(len(sigma))
        misfit[live] = self.match.misfit.to(sigma)
        return (sigma.square() + misfit.square()[:, None, None]).sqrt()


def lacking(rich: Observation, date: int) -> Tensor:
    """(L or 1, h, w) bool: what the rich sensor did not see of a date of the target."""
    if date not in rich.dates:
        return torch.ones_like(rich.data[0, :1], dtype=torch.bool)
    valid = rich.valid.expand(len(rich.data), -1, *rich.data.shape[2:])
    return ~valid[rich.dates.index(date)]


def looked_alone(rich: Observation, sharp: Observation, live: Tensor) -> bool:
    """Whether the sharp sensor saw dates that the rich one lacks, or lacks in part and others do not."""
    if any(date not in rich.dates for date in sharp.dates):
        return True
    gaps = (lacking(rich, date) for date in sharp.dates)
    return len(sharp.dates) > 1 and any(bool((gap if len(gap) == 1 else gap[live]).any()) for gap in gaps)


def sample(pair: Pair, model: PairModel) -> Sample:
    """What the regression learns from: a registered fine image through the coarse sensor, and its own."""
    return model.lowpass(pair.fine), pair.coarse, pair.clear.to(pair.coarse)


def bridged(match: BandMatch, look: Look, both: Sequence[Look], coarse: Tensor) -> tuple[Tensor, Tensor]:
    """The coarse image of a date where only the fine sensor saw it.

    Parameters
    ----------
    match
        From the fine sensor's bands to the coarse one's, at the coarse grid.
    look
        Of the date.
    both
        Of the dates that both saw, rising in days.
    coarse
        (n, L, h, w) what the coarse sensor saw on them.

    Returns
    -------
    tuple of Tensor
        (L, h, w) reflectance, and (h, w) bool where it can be told.
    """
    known = torch.stack([each.known for each in both])[:, None]
    days = torch.tensor([each.day for each in both], dtype=torch.float64)
    (weights,) = date_weights(known, days, torch.tensor([look.day], dtype=torch.float64))
    image = match(look.low[None])[0]
    for share, each, seen in zip(weights, both, coarse, strict=True):
        image = image + share * (seen - match(each.low[None])[0])
    return image, look.known & known.any(0)[0]
