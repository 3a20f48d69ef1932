"""Sharp radiometry: gain and offset of the sharp sensor's dates, by what the hyperspectral one says of them.

::

    P m(t) = γ(t) R x(t) + o(t) + e        P: what the hyperspectral sensor makes of the sharp image m
                                           R: what the sharp sensor makes of the spectra x

Estimates are held to the sharp image of their date as if both sensors agreed: what they do not agree on is
taken from it first. Dates that the hyperspectral sensor did not see have what the others have in common, and
what stands about them in time.

Source: as `offsets` and `radiometry`, which do the estimating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.changes import Seen, through
from stsfusion.learning.jointbase import Settings, days_of, noise_of
from stsfusion.learning.kept import Kept
from stsfusion.learning.live import on_dead
from stsfusion.learning.offsets import offsets
from stsfusion.learning.pointing import pointing
from stsfusion.learning.radiometry import Series, gains, ratio_of
from stsfusion.learning.sighting import displaced, place_of

__all__ = ["SharpRadiometry"]

_FEW = 50
"""Coarse pixels below which a date tells nothing."""

_LOAD = 0.01
"""On the slopes of the regression by which displacements are found, in variances of the bands."""

_WHOLE = 0.999
"""Share of a coarse pixel that the sharp sensor must have seen."""


@dataclass(frozen=True, eq=False)
class SharpRadiometry(Kept):
    """What the sharp sensor's values are off by."""

    days: Tensor
    """(t,)."""

    gain: Tensor
    """(t, b) by which its values are divided, after what was added is taken away."""

    added: Tensor
    """(t, b) reflectance."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], settings: Settings) -> Self | None:
        """From dates that both sensors saw; None where nothing is found, or one sensor plays two parts."""
        first = problems[0]
        if settings.doubled or first.sharp is None or first.rich is None or first.sharp.ratio != 1:
            return None
        days, bands = days_of(first, "sharp"), first.sharp.data.shape[1]
        low = [_Low.of(problem) for problem in problems]
        told = {date: pair for date in range(len(days)) if (pair := _told(low, date, settings)) is not None}
        added = offsets(told, len(days), bands)
        noise = noise_of([p.sharp for p in problems if p.sharp is not None])
        known = {}
        for date, (values, said) in told.items():
            telling = said.square().mean(1) > noise.square().to(said)
            own = ratio_of(values.double() - added[date, :, None].to(values), said.double())
            known[date] = torch.where(telling, own, 1.0)
        series = torch.cat([each.values[:, :, each.clear.all(0)] for each in low], 2)
        gain = gains(Series(days, series - added[:, :, None].to(series), noise), known)
        none = bool((gain == 1.0).all()) and not bool(added.any())
        return None if none else cls(days, gain, added)

    def __call__(self, problem: Problem, sharp: Observation) -> Tensor:
        """(t, b, y, x) values as the hyperspectral sensor would have them; unknown dates have the usual."""
        usual = self.added.median(0).values, self.gain.median(0).values
        places = [place_of(self.days, float(problem.target.days[date])) for date in sharp.dates]
        added = torch.stack([usual[0] if place is None else self.added[place] for place in places])
        gain = torch.stack([usual[1] if place is None else self.gain[place] for place in places])
        return (sharp.data - added.to(sharp.data)[..., None, None]) / gain.to(sharp.data)[..., None, None]


@dataclass(frozen=True, eq=False)
class _Low:
    """One tile's sharp series as the hyperspectral sensor makes it."""

    problem: Problem
    """The tile."""

    values: Tensor
    """(t, b, h, w)."""

    clear: Tensor
    """(t, h, w) bool."""

    said: list[tuple[Tensor, Tensor] | None]
    """What the hyperspectral image of each date says, and where; None without one."""

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Each date laid to where the hyperspectral images of that day lie."""
        sharp, rich = problem.sharp, problem.rich
        assert sharp is not None
        assert rich is not None
        mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:]).all(1)
        images = torch.where(mask[:, None], sharp.data, 0.0)
        said = [_said(problem, date) for date in sharp.dates]
        kernels = [_kernel(rich, *each) for each in zip(images, mask, said, strict=True)]
        seen = Seen(rich.data[:1], mask[:1], kernels, rich.ratio)  # for its kernels
        clear = through(mask[:, None].float(), seen)[:, 0] > _WHOLE
        return cls(problem, through(images, seen), clear, said)


def _kernel(rich: Observation, image: Tensor, mask: Tensor, told: tuple[Tensor, Tensor] | None) -> Tensor:
    """(ky, kx) of the hyperspectral sensor, laid to where it sees a (b, H, W) sharp image of the date."""
    kernel = rich.view.spatial.kernel
    if told is None or int(mask.sum()) < _FEW:
        return kernel
    said, clear = told
    whole = through(mask[None, None].float(), Seen(said[None], clear[None], [kernel], rich.ratio))[0, 0]
    mean, size = image[:, mask].mean(1), image[:, mask].std(1).clamp_min(1e-9)
    bands = torch.where(mask, (image - mean[:, None, None]) / size[:, None, None], 0.0)
    seen = Seen(said[None], (clear & (whole > _WHOLE))[None], [kernel], rich.ratio)
    return displaced(kernel, pointing([(bands, seen)], _LOAD)[0].tolist())


def _said(problem: Problem, date: int) -> tuple[Tensor, Tensor] | None:
    """(b, h, w) sharp bands by the hyperspectral image of a date, and where all that they need is valid."""
    sharp, rich = problem.sharp, problem.rich
    assert sharp is not None
    assert rich is not None
    days = problem.target.days
    place = place_of(days[rich.dates], float(days[date]))
    if place is None:
        return None
    response = sharp.view.spectral.matrix.to(rich.data)
    needed = response.abs().sum(0) > 0
    valid = rich.valid.expand(rich.data.shape)[place, needed].all(0)
    image = torch.where(valid, rich.data[place, needed], 0.0)
    return torch.einsum("bs,syx->byx", response[:, needed], image), valid


def _told(low: Sequence[_Low], date: int, settings: Settings) -> tuple[Tensor, Tensor] | None:
    """(b, n) sharp values of a date and what they should be; None where too little is known.

    Bands that look where the hyperspectral sensor is dead are said to be what they are.
    """
    values, said = [], []
    for tile in low:
        told, sharp = tile.said[date], tile.problem.sharp
        if told is None:
            continue
        clear = told[1] & tile.clear[date]
        own, other = tile.values[date][:, clear], told[0][:, clear]
        if settings.dead is not None and sharp is not None:
            lost = on_dead(sharp.view.spectral.matrix, settings.dead).to(own.device)
            other = torch.where(lost[:, None], own, other)
        values.append(own)
        said.append(other)
    if sum(each.shape[1] for each in values) < _FEW:
        return None
    return torch.cat(values, 1), torch.cat(said, 1)
