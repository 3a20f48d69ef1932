"""Timeline: how a few observed dates become a value at every asked date, pixel by pixel and gap by gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Observation
from stsfusion.operators.fill import fill

__all__ = ["at_dates", "date_weights", "quality_of", "resample", "spread"]

Rule = Literal["linear", "nearest"]


def spread(dates: Sequence[int], most: int) -> list[int]:
    """At most so many of these dates, evenly spread, in their order."""
    if len(dates) <= most:
        return list(dates)
    return [dates[round(i * (len(dates) - 1) / max(most - 1, 1))] for i in range(most)]


def date_weights(valid: Tensor, days: Tensor, asked: Tensor, rule: Rule = "linear") -> Tensor:
    """Weight of every observed date in every asked date.

    Linear: between the nearest valid dates on either side in proportion to days; outside them the nearest
    one alone. Nearest: all on the closest valid date, the earlier one of two equally close.

    Parameters
    ----------
    valid
        (n, c, y, x) bool, c being 1 or the number of bands.
    days
        (n,) rising days of the observed dates.
    asked
        (m,) days of the asked dates.

    Returns
    -------
    Tensor
        (m, n, c, y, x) float32; sums to one over n, or to zero where no date is valid.
    """
    days, asked = days.to(valid.device), asked.to(valid.device)
    return torch.stack([_weights_at(valid, days - day, rule) for day in asked])


def _weights_at(valid: Tensor, offset: Tensor, rule: Rule) -> Tensor:
    """Weights (n, c, y, x) for one asked day, from the signed distance of every date to it."""
    n = len(offset)
    order = torch.arange(n, device=valid.device).reshape(n, 1, 1, 1)
    before = valid & (offset <= 0).reshape(n, 1, 1, 1)
    after = valid & (offset >= 0).reshape(n, 1, 1, 1)
    last = torch.where(before, order, -1).amax(0)
    first = torch.where(after, order, n).amin(0)
    has_last, has_first = last >= 0, first < n
    gap_before = torch.where(has_last, -offset[last.clamp(min=0)], torch.inf)
    gap_after = torch.where(has_first, offset[first.clamp(max=n - 1)], torch.inf)
    share = _share_of_first(gap_before, gap_after, rule)
    weights = torch.where(order == last, (1.0 - share) * has_last, 0.0)
    return (weights + torch.where((order == first) & (order != last), share * has_first, 0.0)).float()


def _share_of_first(before: Tensor, after: Tensor, rule: Rule) -> Tensor:
    """What the date after gets; the one before gets the rest. A gap of zero is the day itself."""
    if rule == "nearest":
        share = (after < before).to(before.dtype)
    else:
        share = before / (before + after)
        share = torch.where(torch.isinf(after), 0.0, torch.where(torch.isinf(before), 1.0, share))
    return torch.where(before == 0, 0.0, share)


def resample(data: Tensor, weights: Tensor) -> Tensor:
    """Σ_n weights[m, n] · data[n]: (n, b, y, x) to (m, b, y, x), one asked date at a time."""
    return torch.stack([(w * data).sum(0) for w in weights])


def quality_of(valid: Tensor, days: Tensor, asked: Tensor) -> Tensor:
    """(m, 1, y, x) uint8: OBSERVED, INTERPOLATED, EXTRAPOLATED or FILLED, by the dates valid at each pixel.

    Parameters
    ----------
    valid
        (n, c, y, x) bool; a pixel counts as seen when any of its channels is valid.
    days, asked
        As for `date_weights`.
    """
    seen = valid.any(1, keepdim=True)
    gaps = days.to(valid.device)[None] - asked.to(valid.device)[:, None]
    return torch.stack([_quality_at(seen, gap) for gap in gaps])


def _quality_at(seen: Tensor, gap: Tensor) -> Tensor:
    """(1, y, x) uint8 of one asked date, from the (n,) days by which others come after it."""
    observed, before, after = (seen[which].any(0) for which in (gap == 0, gap < 0, gap > 0))
    quality = torch.full(observed.shape, int(Quality.FILLED), dtype=torch.uint8, device=seen.device)
    quality[before | after] = int(Quality.EXTRAPOLATED)
    quality[before & after] = int(Quality.INTERPOLATED)
    quality[observed] = int(Quality.OBSERVED)
    return quality


def at_dates(
    observation: Observation, days: Tensor, rule: Rule = "linear", passes: int = 2
) -> tuple[Tensor, Tensor]:
    """An observation's series brought to all of the target's dates, on its own grid, gaps filled.

    Parameters
    ----------
    observation
        n dates of it.
    days
        (m,) days of the target's dates.
    rule
        How dates are weighted.
    passes
        Pixels of its own by which a gap without any valid date is entered from its edge.

    Returns
    -------
    tuple of Tensor
        (m, b, y/r, x/r) reflectance and (m, 1, y/r, x/r) uint8 Quality.
    """
    data = observation.data
    valid = observation.valid.expand(data.shape[0], -1, *data.shape[2:])
    seen = days[observation.dates]
    weights = date_weights(valid, seen, days, rule)
    series, known = fill(resample(data, weights), weights.sum(1) > 0, passes)
    reached = known.any(1, keepdim=True)
    return series, torch.where(reached, quality_of(valid, seen, days), int(Quality.NO_DATA)).to(torch.uint8)
