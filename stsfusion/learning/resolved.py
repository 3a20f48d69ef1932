"""Resolved: dense images that were brought to the fine grid, used for no more than they resolve.

::

    F̂_k = Σ w F_i + g ∗ D_k + κ (u − g ∗ u)          D_k = C_k − Σ w C_i
    u = slope_k · features of Σ w F_i, regressed on D_k, both smoothed by g

w runs linearly in days between the sharp dates on either side. Resampled coarse images carry displacements
and view angles below their own resolution: g, a Gaussian, smooths them away; κ is how far the change of
every kind of surface is believed. Both are those under which hidden sharp images are made best from others.

Source: ours; the smoothing as in Senty et al. (2024), doi:10.3390/rs16111833, sec. 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import date_weights
from stsfusion.fusion.wald import hide
from stsfusion.learning.kept import Kept
from stsfusion.learning.sighting import place_of

__all__ = ["WIDEST", "Resolved", "smooth", "suits"]

WIDTHS = (0.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0)
"""Standard deviations of g that are tried, pixels."""

WIDEST = math.ceil(3.0 * max(WIDTHS))
"""Pixels of context."""

_SHARES = (0.0, 0.25, 0.5)
"""κ that are tried."""

_LOAD = 0.01
"""Of the regression, in variances of the features."""

_FEW = 100
"""Pixels below which a hidden sharp image tells nothing."""

_USUAL = (8.0, 0.25)
"""Width and κ where no sharp image can be hidden."""


def suits(problem: Problem) -> bool:
    """Whether dense images lie on the target's grid, their optics unknown and their bands the same."""
    sharp, dense = problem.sharp, problem.dense
    if sharp is None or dense is None or problem.rich is not None:
        return False
    alike = torch.equal(sharp.view.spectral.matrix, dense.view.spectral.matrix)
    return dense.ratio == 1 and sharp.ratio == 1 and not dense.view.spatial.known and alike


def smooth(image: Tensor, valid: Tensor, width: float) -> Tensor:
    """(c, y, x) Gaussian mean over the valid pixels of a (y, x) mask; zero where none is near."""
    if width == 0.0:
        return image * valid
    reach = math.ceil(3.0 * width)
    steps = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    profile = torch.exp(-0.5 * (steps / width).square())
    both = torch.cat([image * valid, valid[None].to(image)])[:, None]
    tall = conv2d(pad(both, (0, 0, reach, reach)), profile[None, None, :, None])
    wide = conv2d(pad(tall, (reach, reach, 0, 0)), profile[None, None, None])[:, 0]
    return wide[:-1] / wide[-1:].clamp_min(1e-6)


@dataclass(frozen=True, eq=False)
class _Question:
    """One date of one tile."""

    base: Tensor
    """(b, y, x) Σ w F."""

    change: Tensor
    """(b, y, x) D."""

    known: Tensor
    """(y, x) bool: D may be believed."""

    based: Tensor
    """(y, x) bool: some sharp image was valid."""


@dataclass(frozen=True, eq=False)
class Resolved(Kept):
    """What is learned of a region."""

    days: Tensor
    """(t,) of the dense dates."""

    slope: Tensor
    """(t, features, b)."""

    centre: Tensor
    """(t, features) means of the features."""

    mean: Tensor
    """(b,) of the sharp bands."""

    sd: Tensor
    """(b,) of the sharp bands."""

    width: Tensor
    """() of g, pixels."""

    share: Tensor
    """() κ."""

    @classmethod
    def learn(cls, problems: Sequence[Problem]) -> Self:
        """Width and κ from hidden sharp images, then every date's regression."""
        days = problems[0].target.days[problems[0].dense.dates].float()  # type: ignore[union-attr]
        blank = cls._blank(problems, days)
        found = []
        for width in WIDTHS:
            own = blank.with_width(width)
            errors = [own.trial(problem, date) for problem in problems for date in _hidable(problem)]
            told = [error for error in errors if error is not None]
            if told:
                found.append(torch.stack(told).mean(0))
        width, share = _chosen(found)
        best = blank.with_width(width)
        slopes = [best.regressed([_question(p, float(day)) for p in problems]) for day in days]
        slope, centre = (torch.stack(side) for side in zip(*slopes, strict=True))
        return cls(days, slope, centre, blank.mean, blank.sd, best.width, torch.tensor(share))

    @classmethod
    def _blank(cls, problems: Sequence[Problem], days: Tensor) -> Self:
        rows = []
        for problem in problems:
            (sharp,) = problem.require("sharp")
            mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:]).all(1)
            rows.append(sharp.data.movedim(1, 0)[:, mask])
        pixels = torch.cat(rows, 1)
        bands = len(pixels)
        count = bands + bands * (bands + 1) // 2
        zeros = torch.zeros(len(days), count, bands)
        sd = pixels.std(1, correction=0).clamp_min(1e-9)
        none = torch.tensor(0.0)
        return cls(days, zeros, zeros[:, :, 0], pixels.mean(1), sd, none, none)

    def with_width(self, width: float) -> Self:
        """The same with another smoothing."""
        return type(self)(**{**self.tensors(), "width": torch.tensor(width)})

    def features(self, base: Tensor) -> Tensor:
        """(features, y, x) bands and their products."""
        own = (base - self.mean[:, None, None]) / self.sd[:, None, None]
        i, j = torch.triu_indices(len(own), len(own), device=own.device)
        return torch.cat([own, own[i] * own[j]])

    def regressed(self, questions: Sequence[_Question | None]) -> tuple[Tensor, Tensor]:
        """(features, b) slope and (features,) means of a date over all tiles."""
        total: Tensor | None = None
        for question in questions:
            if question is None:
                continue
            known = question.known & question.based
            inputs = smooth(self.features(question.base), question.based, float(self.width))
            outputs = smooth(question.change, known, float(self.width))
            both = torch.cat([inputs[:, known], outputs[:, known]]).double()
            both = torch.cat([both, torch.ones_like(both[:1])])
            total = both @ both.T if total is None else total + both @ both.T
        count = self.slope.shape[1]
        if total is None or float(total[-1, -1]) < 4 * count:
            return torch.zeros_like(self.slope[0]), torch.zeros_like(self.centre[0])
        mean = total[-1, :-1] / total[-1, -1]
        centred = total[:-1, :-1] / total[-1, -1] - torch.outer(mean, mean)
        square = centred[:count, :count] + _LOAD * torch.eye(count).to(centred)
        return torch.linalg.solve(square, centred[:count, count:]).float(), mean[:count].float()

    def parts(self, question: _Question, slope: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """(b, y, x) Σ w F + g ∗ D, and u − g ∗ u."""
        width = float(self.width)
        plain = question.base + smooth(question.change, question.known & question.based, width)
        told = torch.einsum("fb,fyx->byx", slope, self.features(question.base) - centre[:, None, None])
        return plain, told - smooth(told, question.based, width)

    def trial(self, problem: Problem, date: int) -> Tensor | None:
        """(κ, b) mean squared errors of a hidden sharp image; None where next to nothing was seen of it."""
        (sharp,) = problem.require("sharp")
        question = _question(hide(problem, "sharp", (date,)), float(problem.target.days[date]))
        assert question is not None
        plain, detail = self.parts(question, *self.regressed([question]))
        place = sharp.dates.index(date)
        mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:])[place].all(0) & question.based
        if int(mask.sum()) < _FEW:
            return None
        gaps = [(plain + share * detail - sharp.data[place])[:, mask] for share in _SHARES]
        return torch.stack([gap.square().mean(1) for gap in gaps])

    def anew(self, problem: Problem, day: float) -> Tensor | None:
        """The same, regressed on this problem's own images of the day."""
        question = _question(problem, day)
        if question is None:
            return None
        plain, detail = self.parts(question, *self.regressed([question]))
        return plain + float(self.share) * detail

    def __call__(self, problem: Problem, day: float) -> Tensor | None:
        """(b, y, x) of a day; None where the dense sensor did not see it."""
        place, question = place_of(self.days, day), _question(problem, day)
        if place is None or question is None:
            return None
        plain, detail = self.parts(question, self.slope[place], self.centre[place])
        return plain + float(self.share) * detail


def _chosen(found: Sequence[Tensor]) -> tuple[float, float]:
    """Width and κ: the least sum over bands, each in its own mean."""
    if not found:
        return _USUAL
    table = torch.stack(list(found))
    score = (table / table.mean((0, 1)).clamp_min(1e-30)).sum(2)
    row, column = divmod(int(score.argmin()), len(_SHARES))
    return WIDTHS[row], _SHARES[column]


def _hidable(problem: Problem) -> list[int]:
    """Sharp dates that the dense sensor saw too, and that are not the only one."""
    sharp, dense = problem.require("sharp", "dense")
    if len(sharp.dates) < 2:
        return []
    return [date for date in sharp.dates if date in dense.dates][:6]


def _question(problem: Problem, day: float) -> _Question | None:
    """The base of a day and the change since, the day's own sharp image left out of nothing."""
    sharp, dense = problem.require("sharp", "dense")
    days = problem.target.days
    place = place_of(days[dense.dates], day)
    if place is None:
        return None
    valid = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:]).all(1, keepdim=True)
    weights = date_weights(valid, days[sharp.dates], torch.tensor([day], dtype=days.dtype))[0]
    base = (weights * sharp.data).sum(0)
    mask = dense.valid.expand(len(dense.dates), -1, *dense.data.shape[2:]).all(1)
    both = [dense.dates.index(date) if date in dense.dates else None for date in sharp.dates]
    known = mask[place].clone()
    then = torch.zeros_like(base)
    for weight, other in zip(weights, both, strict=True):
        if other is None:
            known &= weight[0] == 0
            continue
        known &= (weight[0] == 0) | mask[other]
        then = then + weight * dense.data[other]
    change = torch.where(known, dense.data[place] - then, 0.0)
    return _Question(base, change, known, weights.sum(0)[0] > 0)
