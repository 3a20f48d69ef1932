"""Steady: how sure sharp bands are on dates that the sharp sensor did not see, without a hyperspectral one.

::

    σ² = level² Σ share · sign       signs: days from the sharp dates, change that was said, days in texture

Learned at sharp images that were hidden, twice: where the dense sensor saw the date and as if it had not.
Where one sharp image is all there is, the dense ones of other dates are what is hidden, one scale coarser.
Bands that no sensor saw have, beside, what smooth spectra leave open, as large as sharp bands show that are
told from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import date_weights, spread
from stsfusion.fusion.wald import coarsen, hide
from stsfusion.learning.assurance import Assurance, Outcome
from stsfusion.learning.kept import Kept
from stsfusion.learning.live import same_bands
from stsfusion.learning.smoothspectra import open_variance
from stsfusion.learning.unrest import gaps
from stsfusion.operators.resample import blocks

__all__ = ["Steady", "expanded", "line"]

_MOST = 4
"""Sharp dates that are hidden."""

_PIXELS = 5000
"""Of a hidden date."""

_AROUND = 2
"""Pixels about one over which texture is taken."""

_FAR = 30.0
"""Sign, in that of hidden dates, beyond which it is taken to be no larger."""


@dataclass(frozen=True, eq=False)
class Steady(Kept):
    """What is learned of a region."""

    level: Tensor
    """(2, b) of the sharp bands: where the dense sensor saw the date, and where not."""

    shares: Tensor
    """(2, 3)."""

    scale: Tensor
    """(2, 3) mean signs of hidden dates."""

    size: Tensor
    """(2, b) mean square errors of hidden dates."""

    mean: Tensor
    """(b,) of the sharp bands."""

    scene: Tensor
    """(b,) variance of the sharp bands."""

    spread: Tensor
    """(band,) variance of the target's bands that sharp bands leave open."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], predict: Callable[[Problem, int], Tensor]) -> Self:
        """From hidden sharp images; `predict` makes (b, H, W) sharp bands of a date that was hidden."""
        pixels = torch.cat([_pixels(problem) for problem in problems], 1)
        scene = pixels.var(1, correction=0).clamp_min(1e-18)
        (sharp,) = problems[0].require("sharp")
        spread = open_variance(sharp.view.spectral.matrix, problems[0].target.wavelengths, pixels)
        none, three = torch.zeros(2, len(scene)), torch.tensor([[1.0, 0.0, 0.0]] * 2)
        usual = torch.stack([0.3 * scene, scene])
        blank = cls(none + 1.0, three, torch.ones(2, 3), usual, pixels.mean(1), scene, spread.to(scene))
        found: list[list[tuple[Tensor, Tensor]]] = [[], []]
        for trial in _trials(problems):
            made = predict(trial.problem, trial.date)
            for which, case in enumerate(blank._cases(trial, made)):
                if case is not None:
                    found[which].append(case)
        parts = [_assured(own) if own else blank._at(which) for which, own in enumerate(found)]
        level, shares, scale, size = (torch.stack(side) for side in zip(*parts, strict=True))
        return cls(level, shares, scale, size, blank.mean, scene, blank.spread)

    def __call__(self, problem: Problem, date: int, made: Tensor) -> Tensor:
        """(b, H, W) standard deviation of the sharp bands (b, H, W) made of a date."""
        told = _told(problem, date, made)
        signs, found = self._signs(problem, date, made), []
        for which in (0, 1):
            own = signs.clone()
            if which:
                own[1] = 0.0
            own = (own / self.scale[which][:, None, None].to(own)).clamp_max(_FAR)
            assurance = Assurance(self.level[which], self.shares[which], torch.zeros_like(self.scene))
            found.append(assurance(self.size[which][:, None, None].expand_as(made), own))
        return torch.where(told, found[0], found[1])

    def _at(self, which: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.level[which], self.shares[which], self.scale[which], self.size[which]

    def _signs(self, problem: Problem, date: int, made: Tensor) -> Tensor:
        """(3, H, W)."""
        base, before, after = line(problem, date)
        both = torch.isfinite(before) & torch.isfinite(after)
        bridge = torch.where(both, before * after / (before + after).clamp_min(1e-3), 0.0)
        days = torch.where(both, bridge, torch.minimum(before, after)).clamp_max(1e6)
        size = self.scene[:, None, None].to(made)
        said = ((made - base).square() / size).mean(0)
        side = 2 * _AROUND + 1
        mean = avg_pool2d(base, side, 1, _AROUND, count_include_pad=False)
        texture = avg_pool2d(base.square(), side, 1, _AROUND, count_include_pad=False) - mean.square()
        rough = (texture.clamp_min(0.0) / size).mean(0)
        return torch.stack([days, said, days * rough])

    def _cases(self, trial: _Trial, made: Tensor) -> list[tuple[Tensor, Tensor] | None]:
        """Errors and signs of a hidden date, as it was made and as the line between the others."""
        problem, date, truth = trial.problem, trial.date, trial.truth
        signs, base = self._signs(problem, date, made), line(problem, date)
        clear = trial.clear & torch.isfinite(torch.minimum(base[1], base[2]))
        alone = signs.clone()
        alone[1] = 0.0
        told = _told(problem, date, made)
        cases = ((made, signs, clear & told), (base[0], alone, clear))
        out: list[tuple[Tensor, Tensor] | None] = []
        for values, own, mask in cases:
            some = mask.flatten().nonzero()[:, 0]
            some = some[:: max(1, len(some) // _PIXELS)]
            kept = ((values - truth).flatten(1)[:, some], own.flatten(1)[:, some])
            out.append(kept if len(some) else None)
        return out


def _assured(found: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Level, shares, scale and size."""
    scale = torch.stack([signs.mean(1) for _, signs in found]).mean(0).clamp_min(1e-9)
    size = torch.stack([errors.square().mean(1) for errors, _ in found]).mean(0).clamp_min(1e-18)
    none = torch.zeros_like(size)
    outcomes = [
        Outcome(errors, size[:, None].expand_as(errors), signs / scale[:, None], none, none)
        for errors, signs in found
    ]
    learned = Assurance.learn(outcomes, none, none)
    return learned.level, learned.shares, scale, size


@dataclass(frozen=True, eq=False)
class _Trial:
    """An image that is hidden."""

    problem: Problem
    """Without it."""

    date: int
    """Of the target."""

    truth: Tensor
    """(b, H, W) the image."""

    clear: Tensor
    """(H, W) bool: where it was seen."""


def _trials(problems: Sequence[Problem]) -> Iterator[_Trial]:
    """Sharp images hidden one after the other, tiles taking turns; dense ones where there is one alone."""
    (sharp,) = problems[0].require("sharp")
    if len(sharp.dates) < 2:
        yield from _coarser(problems)
        return
    for turn, date in enumerate(spread(sharp.dates, _MOST)):
        whole = problems[turn % len(problems)]
        (sharp,) = whole.require("sharp")
        place = sharp.dates.index(date)
        yield _Trial(hide(whole, "sharp", (date,)), date, sharp.data[place], _clear(whole)[place])


def _coarser(problems: Sequence[Problem]) -> Iterator[_Trial]:
    """The question one scale coarser (Wald et al., 1997), where the dense images are what is asked for."""
    dense = problems[0].dense
    if dense is None or dense.ratio == 1 or not same_bands(problems[0]):
        return
    (sharp,) = problems[0].require("sharp")
    hidden = [date for date in dense.dates if date not in sharp.dates]
    for turn, date in enumerate(spread(hidden, _MOST)):
        problem = problems[turn % len(problems)]
        if problem.dense is None or min(problem.target.shape[2:]) < 2 * problem.dense.ratio**2:
            continue
        wald = coarsen(problem.question().with_observations({"rich": problem.dense}))
        place = wald.labels.dates.index(date)
        clear = wald.labels.valid.expand_as(wald.labels.data)[place].all(0)
        yield _Trial(wald.problem.with_observations({"rich": None}), date, wald.labels.data[place], clear)


def _clear(problem: Problem) -> Tensor:
    """(t, H, W) bool: seen by the sharp sensor."""
    (sharp,) = problem.require("sharp")
    return sharp.valid.expand(len(sharp.data), -1, *sharp.data.shape[2:]).all(1)


def _pixels(problem: Problem) -> Tensor:
    (sharp,) = problem.require("sharp")
    return sharp.data.movedim(1, 0)[:, _clear(problem)]


def line(problem: Problem, date: int) -> tuple[Tensor, Tensor, Tensor]:
    """(b, H, W) sharp bands linear in days, and (H, W) days to the dates before and after."""
    (sharp,) = problem.require("sharp")
    days, clear = problem.target.days, _clear(problem)
    day = days[date]
    weights = date_weights(clear[:, None], days[sharp.dates], day[None])[0]
    base = (weights * torch.where(clear[:, None], sharp.data, 0.0)).sum(0)
    return base, *gaps(clear, days[sharp.dates], float(day))


def _told(problem: Problem, date: int, made: Tensor) -> Tensor:
    """(H, W) bool: seen by the dense sensor on the date."""
    dense = problem.dense
    if dense is None or date not in dense.dates:
        return torch.zeros(made.shape[1:], dtype=torch.bool, device=made.device)
    place = dense.dates.index(date)
    mask = dense.valid.expand(len(dense.data), -1, *dense.data.shape[2:])[place].all(0)
    return blocks(mask[None], dense.ratio)[0]


def expanded(steady: Steady, sharp_sigma: Tensor, own: Tensor) -> Tensor:
    """(band, H, W) standard deviation of the target's bands, of the sharp ones' and their (band, b) map."""
    told = torch.einsum("bs,syx->byx", own.abs().to(sharp_sigma), sharp_sigma)
    return (told.square() + steady.spread[:, None, None].to(told)).sqrt()
