"""Time-encoded resampling: a few observed dates brought to all dates, and how far each came."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stsfusion.fusion.timeline import date_weights, resample
from stsfusion.operators.fill import fill

__all__ = ["CODES", "Timeline", "on_dates"]

CODES = 3
"""Channels of the time code: days to the source before and to the one after / 100, and whether seen."""

_FAR = 2.0
"""Code of a source that does not exist, hundreds of days."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """A series at all asked dates, on its own grid."""

    values: Tensor
    """(time, channel, y, x), linear in days between the nearest valid dates; zero where nothing is known."""

    code: Tensor
    """(time, 3, y, x) days to the source before / 100, to the one after / 100, 1 where this date was seen."""

    known: Tensor
    """(time, 1, y, x) bool: some date was valid at this pixel."""


def on_dates(data: Tensor, valid: Tensor, days: Tensor, asked: Tensor, passes: int = 0) -> Timeline:
    """Resample a series with gaps to the asked dates, pixel by pixel, and encode the distance in time.

    Parameters
    ----------
    data
        (n, channel, y, x); what stands in gaps is ignored.
    valid
        bool, broadcastable to data.
    days
        (n,) days of the observed dates.
    asked
        (time,) days of the asked dates.
    passes
        Pixels by which a gap that no date knows is entered from its edge.
    """
    mask = valid.expand(data.shape[0], -1, *data.shape[2:])
    days, asked = days.to(data.device), asked.to(data.device)
    weights = date_weights(mask, days, asked)
    series = resample(torch.where(mask, data, 0.0), weights)
    filled, _ = fill(series, weights.sum(1) > 0, passes)
    seen = mask.float().mean(1, keepdim=True) >= 0.5
    code = torch.stack([_code(seen, (days - day).float()) for day in asked])
    known = seen.any(0, keepdim=True).expand(len(asked), -1, -1, -1)
    return Timeline(filled, code, known)


def _code(seen: Tensor, offset: Tensor) -> Tensor:
    """(3, y, x) for one asked day, from the signed days of every date to it."""
    gap = offset.reshape(-1, 1, 1, 1)
    before = torch.where(seen & (gap <= 0), -gap / 100.0, _FAR).amin(0).clamp_max(_FAR)
    after = torch.where(seen & (gap >= 0), gap / 100.0, _FAR).amin(0).clamp_max(_FAR)
    here = (seen & (gap == 0)).any(0).float()
    return torch.cat([before, after, here])
