"""Sighting: a tile's observations as joint estimation takes them: aligned, of one radiometry, gaps marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.changes import Seen
from stsfusion.learning.guide import Stack
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.resample import blocks, upsample
from stsfusion.operators.translate import TAPS, translate

__all__ = ["Dates", "displaced", "place_of", "rich_scores", "seen_by", "stack_of"]

_SAME = 0.5
"""Days by which two dates may differ and be one."""

_STILL = 0.02
"""Fine pixels below which a displacement is none."""


@dataclass(frozen=True, eq=False)
class Dates:
    """One sensor's dates, as they were learned, and what was found of its pointing and radiometry."""

    days: Tensor
    """(t,) rising."""

    shift: Tensor
    """(t, 2) fine pixels (down, right) by which its footprints lie off their blocks."""

    gain: Tensor
    """(t, b) by which its values are divided."""

    @classmethod
    def plain(cls, days: Tensor, bands: int) -> Dates:
        """Of a sensor that needs no mending."""
        return cls(days.float(), torch.zeros(len(days), 2), torch.ones(len(days), bands))


def place_of(days: Tensor, day: float) -> int | None:
    """The position of a day; None when it is not among them."""
    if len(days) == 0:
        return None
    gap = (days - day).abs()
    nearest = int(gap.argmin())
    return nearest if float(gap[nearest]) <= _SAME else None


def displaced(kernel: Tensor, shift: Sequence[float]) -> Tensor:
    """A kernel moved (down, right) by fractions of a pixel; of unit sum, never negative."""
    if max(abs(s) for s in shift) < _STILL:
        return kernel
    wide = pad(kernel.double(), (math.ceil(max(abs(s) for s in shift)) + TAPS // 2,) * 4)
    moved = translate(wide[None], (-float(shift[0]), -float(shift[1])))[0].clamp_min(0.0)
    return moved / moved.sum()


def seen_by(observation: Observation, days: Tensor, dates: Dates) -> Seen:
    """What a sensor saw on its own grid, in the order of its dates in the problem."""
    mask = observation.valid.expand(observation.data.shape[0], -1, *observation.data.shape[2:])
    mask = mask.expand_as(observation.data)
    clear = mask.all(1)
    own = [place_of(dates.days, float(days[date])) for date in observation.dates]
    gains = torch.stack([dates.gain[p] if p is not None else torch.ones_like(dates.gain[0]) for p in own]).to(
        observation.data
    )
    values = torch.where(mask & clear[:, None], observation.data / gains[:, :, None, None], 0.0)
    kernel = observation.view.spatial.kernel
    kernels = [kernel if p is None else displaced(kernel, dates.shift[p].tolist()) for p in own]
    return Seen(values, clear, kernels, observation.ratio)


def rich_scores(rich: Observation, subspace: Subspace, days: Tensor, dates: Dates) -> tuple[Tensor, Seen]:
    """The hyperspectral series as scores, (n,) days first."""
    mask = rich.valid.expand(len(rich.data), -1, -1, -1)
    made = [subspace.project(*pair) for pair in zip(rich.data.split(1), mask.split(1), strict=True)]
    scores, clear = torch.cat([own for own, _ in made]), torch.cat([usable[:, 0] for _, usable in made])
    kernel = rich.view.spatial.kernel
    own = [place_of(dates.days, float(days[date])) for date in rich.dates]
    kernels = [kernel if p is None else displaced(kernel, dates.shift[p].tolist()) for p in own]
    values = torch.where(clear[:, None], scores, 0.0)
    return days[rich.dates].float(), Seen(values, clear, kernels, rich.ratio)


def stack_of(problem: Problem, sharp_days: Tensor, dense_days: Tensor) -> Stack:
    """Sharp images of these days, then dense ones, upsampled; what was not seen is a gap."""
    sharp = problem.observations.get("sharp")
    dense = problem.observations.get("dense")
    parts = [_channels(problem, sharp, sharp_days), _channels(problem, dense, dense_days)]
    values, valid = zip(*(part for part in parts if part is not None), strict=True)
    return Stack(torch.cat(values), torch.cat(valid))


def _channels(problem: Problem, seen: Observation | None, days: Tensor) -> tuple[Tensor, Tensor] | None:
    """(t · b, H, W) values and validity at these days."""
    if seen is None or len(days) == 0:
        return None
    own = problem.target.days[seen.dates]
    _, bands, rows, cols = seen.data.shape
    values = seen.data.new_zeros(len(days), bands, rows * seen.ratio, cols * seen.ratio)
    valid = torch.zeros_like(values, dtype=torch.bool)
    mask = seen.valid.expand(seen.data.shape[0], -1, rows, cols).expand_as(seen.data)
    for place, day in enumerate(days.tolist()):
        date = place_of(own, day)
        if date is None:
            continue
        clean = torch.where(mask[date], seen.data[date], 0.0)
        values[place] = upsample(clean[None], seen.ratio)[0]
        valid[place] = _sure(mask[date], seen.ratio)
    return values.flatten(0, 1), valid.flatten(0, 1)


def _sure(mask: Tensor, ratio: int) -> Tensor:
    """(b, H, W) fine pixels whose interpolation looks at valid pixels alone."""
    if ratio == 1 or bool(mask.all()):
        return blocks(mask, ratio)
    hole = torch.nn.functional.max_pool2d((~mask)[None].float(), 5, 1, 2)[0] > 0.5
    return blocks(~hole, ratio)
