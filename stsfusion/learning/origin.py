"""Origin: how every pixel of a date came to be, from what each sensor saw of it."""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.timeline import quality_of
from stsfusion.learning.smoothspectra import picked
from stsfusion.operators.resample import blocks

__all__ = ["has_all_bands", "origin"]


def origin(problem: Problem, all_bands: bool | None = None) -> Tensor:
    """(time, 1, y, x) uint8 Quality.

    Observed where the hyperspectral sensor saw the date (without one, the sharp sensor, if the target has its
    bands); fused where another did; else interpolated or extrapolated by the dates at which the pixel was
    seen by any; else filled. Without the hyperspectral sensor, pixels that no sharp image shows are filled.

    `all_bands` tells whether the sharp sensor has the target's bands, of which dead ones were left out here;
    None: it is seen from the problem.
    """
    roles = problem.observations
    sharp = roles.get("sharp")
    leads = has_all_bands(sharp) if all_bands is None else all_bands
    first = roles.get("rich", sharp if leads else None)
    days = problem.target.days
    seen = {role: _mask(each) for role, each in roles.items()}
    quality = _extent(problem, seen, days)
    for role, each in roles.items():
        best = first is each
        for place, date in enumerate(each.dates):
            mine = seen[role][place]
            if not best:
                mine = mine & (quality[date] != int(Quality.OBSERVED))
            value = int(Quality.OBSERVED if best else Quality.FUSED)
            quality[date] = torch.where(mine, value, quality[date].int()).to(torch.uint8)
    if "rich" not in roles and "sharp" in roles:
        quality[:, ~seen["sharp"].any(0)] = int(Quality.FILLED)
    return quality


def has_all_bands(sharp: Observation | None) -> bool:
    """Whether a sensor's bands are the target's, all of them."""
    return sharp is not None and len(picked(sharp.view.spectral.matrix) or ()) == sharp.view.in_shape[1]


def _mask(observation: Observation) -> Tensor:
    """(t, 1, y, x) bool on the target's grid: any band was valid."""
    valid = observation.valid.expand(observation.data.shape[0], -1, *observation.data.shape[2:])
    return blocks(valid.any(1, keepdim=True), observation.ratio)


def _extent(problem: Problem, seen: dict, days: Tensor) -> Tensor:  # type: ignore[type-arg]
    """Quality by all sensors' dates together, none of them counting as the date itself."""
    dates = [date for each in problem.observations.values() for date in each.dates]
    order = sorted(range(len(dates)), key=lambda i: dates[i])
    masks = torch.cat([seen[role] for role in problem.observations])[order]
    when = days[[dates[i] for i in order]]
    quality = quality_of(masks, when, days)
    seen_now = quality == int(Quality.OBSERVED)
    return torch.where(seen_now, int(Quality.FUSED), quality.int()).to(torch.uint8)
