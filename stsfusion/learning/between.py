"""Between: the hyperspectral image of a date on which the multispectral sensor alone looked.

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

__all__ = ["Look", "bridged", "dates_alone", "sample"]

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


def dates_alone(rich: Observation, sharp: Observation) -> list[int]:
    """Dates that the sharp sensor saw and the rich one did not."""
    return [date for date in sharp.dates if date not in rich.dates]


def sample(pair: Pair, model: PairModel) -> Sample:
    """What the regression learns from: a registered fine image through the coarse sensor, and its own."""
    return model.lowpass(pair.fine), pair.coarse, pair.clear.to(pair.coarse)


def bridged(match: BandMatch, look: Look, both: Sequence[Look], coarse: Tensor) -> tuple[Tensor, Tensor]:
    """The coarse image of a date that only the fine sensor saw.

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
