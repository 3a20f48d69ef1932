"""Samebands: a dense series in the sharp sensor's bands, so that both can be fused as one series.

::

    sharp ─ as blurred and decimated as dense ─┐
    dense ─────────────────────────────────────┴─► regression over all dates that both saw

Where both respond alike nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.bandmatch import BandMatch, Sample
from stsfusion.operators.blur import Blur, box_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.operators.mix import pick

__all__ = ["SameBands", "in_bands"]

_WHOLE = 0.99
"""Share of a dense pixel's weight that must lie on valid sharp pixels."""

_EQUAL = 1e-6
"""Difference of weights under which two responses are one."""


@dataclass(frozen=True, eq=False)
class SameBands:
    """How the dense sensor's bands become the sharp one's."""

    live: Tensor
    """(dense bands,) bool: bands with valid pixels."""

    match: BandMatch | None
    """From all bands to all bands; None: they are the same."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], by: str) -> Self:
        """From sampled tiles.

        Raises
        ------
        ProblemError
            When a sensor is missing, or there is no place and date that both saw.
        """
        seen = [problem.require("sharp", "dense", by=by) for problem in problems]
        live = torch.stack([~dense.dead_bands for _, dense in seen]).any(0)
        if all(_alike(sharp, dense) for sharp, dense in seen):
            return cls(live, None)
        used = torch.stack([~sharp.dead_bands for sharp, _ in seen]).any(0)
        dates: dict[float, list[Sample]] = {}
        for problem, (sharp, dense) in zip(problems, seen, strict=True):
            for date in sorted(set(sharp.dates) & set(dense.dates)):
                sample = _sample(sharp, dense, date, used, live)
                if bool(sample[2].any()):
                    dates.setdefault(float(problem.target.days[date]), []).append(sample)
        if not dates:
            raise ProblemError(
                f"method '{by}'",
                expected="a place and a date that 'sharp' and 'dense' both saw, to match their bands",
                got="none",
                mend="Give a dense image of a sharp date, or a method that needs no dense series.",
            )
        return cls(live, BandMatch.learn(list(dates.values()), curved=False))

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        return {"live": self.live, **(self.match.tensors() if self.match else {})}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        return cls(tensors["live"], BandMatch.of(tensors) if len(tensors) > 1 else None)

    def series(self, dense: Observation, shape: Shape) -> Observation:
        """The dense sensor as if it had the bands of a target of this shape (time, band, y, x).

        A pixel is valid where all of its bands are.
        """
        if self.match is None:
            return replace(dense, view=in_bands(dense.view, shape))
        live = self.live.to(dense.data.device)
        match = BandMatch.of({name: t.to(dense.data.device) for name, t in self.match.tensors().items()})
        data = match(_cleared(dense, live))
        mask = dense.valid if dense.valid.shape[1] == 1 else dense.valid[:, live].all(1, keepdim=True)
        noise = None if dense.noise is None else match.noise(dense.noise)
        return Observation(data, mask, in_bands(dense.view, shape), noise)


def in_bands(view: Degradation, shape: Shape) -> Degradation:
    """The same dates and optics for a target of this shape, whose bands are seen one by one."""
    temporal = pick(view.dates, shape)
    bands = pick(range(shape[1]), temporal.out_shape, "band")
    return Degradation(temporal, bands, view.spatial.with_shape(bands.out_shape))


def _alike(sharp: Observation, dense: Observation) -> bool:
    """Whether both sensors are known to respond in the same way."""
    one, other = sharp.view.spectral, dense.view.spectral
    known = one.known and other.known and one.matrix.shape == other.matrix.shape
    return known and bool(torch.allclose(one.matrix.double(), other.matrix.double(), rtol=0.0, atol=_EQUAL))


def _cleared(dense: Observation, live: Tensor) -> Tensor:
    """(t, b, y, x) with zeros in gaps and in dead bands."""
    return torch.where(dense.valid & live[:, None, None], dense.data, 0.0)


def _sample(sharp: Observation, dense: Observation, date: int, used: Tensor, live: Tensor) -> Sample:
    """One date on the dense grid; dead bands are zero."""
    place, own = sharp.dates.index(date), dense.dates.index(date)
    mask = sharp.valid.expand(len(sharp.data), *sharp.valid.shape[1:])[place : place + 1]
    mask = mask.expand(1, *sharp.data.shape[1:])
    image = torch.where(mask & used.to(mask.device)[:, None, None], sharp.data[place : place + 1], 0.0)
    optics = dense.view.spatial
    kernel = optics.kernel if optics.known else box_kernel(optics.ratio)
    low = Blur(kernel, dense.ratio, _shape(image))(image)
    whole = mask[:, used.to(mask.device)].all(1, keepdim=True).to(image)
    weight = Blur(kernel, dense.ratio, _shape(whole))(whole)[0, 0] > _WHOLE
    seen = dense.valid.expand(len(dense.data), -1, *dense.data.shape[2:])[own]
    clear = seen[0] if len(seen) == 1 else seen[live.to(seen.device)].all(0)
    return _cleared(dense, live.to(seen.device))[own], low[0], (weight & clear).to(image)


def _shape(image: Tensor) -> Shape:
    time, band, rows, cols = image.shape
    return time, band, rows, cols
