"""Offsets: what a sensor's values of a date have added to them, by what another sensor says they should be.

::

    y = γ ŷ + o + e        o: by least squares, shrunk to nothing as far as it may be chance or misfit,
                           or noise that y and ŷ have in common

What all dates have in common is shrunk apart from what each has of its own: the one reaches dates of which
nothing else is known.

Source: James and Stein (1961).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["offsets"]

_KIN = 9.0
"""Pixels that err together as one."""

_MISFIT = 0.01
"""Error of a slope that no number of pixels takes away; an offset stands in for it at the mean level."""

_DOUBT = 4.0
"""Mean square, in that of the errors, up to which offsets are none."""


def offsets(
    found: Mapping[int, tuple[Tensor, Tensor]], dates: int, bands: int, shared: Tensor | None = None
) -> Tensor:
    """(t, b) of all dates, from the (b, n) values, and what they should be, of those that are known.

    Parameters
    ----------
    shared
        (b,) standard deviation of noise that the values and what they should be have in common, where one
        sensor told both: a slope may be that noise alone.
    """
    out = torch.zeros(dates, bands)
    if not found:
        return out
    both = torch.zeros(bands) if shared is None else shared
    fits = [_fitted(values.double(), said.double(), both) for values, said in found.values()]
    own, chance = (torch.stack(side).cpu() for side in zip(*fits, strict=True))
    common = own.mean(0)
    # One date that differs from all others, by a veil of its own, says nothing of dates that nobody knows.
    between = (own - common).square().sum(0) / max(len(own) * (len(own) - 1), 1)
    common = common * _kept(common, torch.maximum(chance.mean(0), between))
    rest = own - common
    out[:] = common.float()
    out[list(found)] = (common + rest * _kept(rest, chance)).float()
    return out


def _fitted(values: Tensor, said: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
    """(b,) offsets and the variance of their errors."""
    count, mean = values.shape[1], said.mean(1)
    spread = (said - mean[:, None]).square().sum(1).clamp_min(1e-30)
    level = values.mean(1)
    slope = ((said - mean[:, None]) * (values - level[:, None])).sum(1) / spread
    own = level - slope * mean
    left = (values - slope[:, None] * said - own[:, None]).square().mean(1)
    chance = _KIN * left * (1.0 / count + mean.square() / spread) + (_MISFIT * mean).square()
    chance = chance + shared.to(spread).square() * mean.square() * count / spread
    return own, chance.clamp_min(1e-30)


def _kept(own: Tensor, chance: Tensor) -> float:
    """Share of them that is neither chance nor misfit."""
    return max(0.0, 1.0 - _DOUBT / max(float((own.square() / chance).mean()), 1e-9))
