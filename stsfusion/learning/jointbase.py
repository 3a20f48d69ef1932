"""Base of joint estimation: guide, subspace and changes of every sensor, learned from a region's tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.changes import Changes, Seen
from stsfusion.learning.densegains import dense_gains
from stsfusion.learning.guide import Guide
from stsfusion.learning.guidedkriging import Likeness
from stsfusion.learning.joint import Joint
from stsfusion.learning.live import live_bands
from stsfusion.learning.pointing import pointing
from stsfusion.learning.sighting import Dates, rich_scores, seen_by, stack_of
from stsfusion.learning.subspace import Subspace
from stsfusion.learning.timed import Timed

__all__ = ["Settings", "learn_base", "noise_of", "score_noise", "seen_values"]

_POINTING = 10.0
"""Load on the slopes of the regression by which displacements are found."""

_SIGNAL = 1.2
"""Variance, in that of the noise, from which a score is kept."""


@dataclass(frozen=True)
class Settings:
    """What is not learned."""

    rank: int
    """Most scores."""

    halves: tuple[int, int]
    """Coarse pixels that windows extend: of the dense and of the hyperspectral sensor."""

    width: float
    """Of the likeness of pixels."""

    linear: float
    """Of the likeness of pixels."""

    near: float
    """Of the likeness of pixels, coarse pixels."""

    loads: tuple[float, float]
    """On the slopes of dense and hyperspectral changes."""

    centres: int
    """Typical spectra."""

    curve: float
    """Load on bent features."""

    akin: int
    """Pixels that stand for all that look like them; 0: none."""

    spans: tuple[float, ...]
    """Days over which what pixels keep may last; hidden dates decide."""

    grounds: tuple[float, ...]
    """Sizes of the smooth ground, in typical errors; hidden dates decide."""

    hidings: int
    """Dates that are hidden, at most."""

    seed: int
    """Of everything random."""

    doubled: bool
    """Whether one sensor plays two parts: dense bands alone hold an estimate then."""

    dead: Tensor | None = None
    """(band,) bool: hyperspectral bands that are lines between others."""

    @property
    def likeness(self) -> Likeness:
        """Of pixels, before its level is learned."""
        return Likeness.by(self.width, self.linear, self.near)


def learn_base(problems: Sequence[Problem], settings: Settings, subspace: Subspace | None = None) -> Joint:
    """Guide and changes of every sensor that is there; the subspace is learned unless it is given."""
    first = problems[0]
    sharp_days, dense_days = (days_of(first, role) for role in ("sharp", "dense"))
    stacks = [stack_of(problem, sharp_days, dense_days) for problem in problems]
    count = len(sharp_days) * _bands(first, "sharp")
    guide = Guide.learn(stacks, _stack_noise(problems, len(sharp_days), len(dense_days)), count)
    guides = [guide.components(stack) for stack in stacks]
    joint = Joint(guide, torch.tensor(settings.halves), sharp_days)
    if first.rich is not None:
        joint = replace(joint, subspace=_subspace(problems, settings) if subspace is None else subspace)
        joint = _with_rich(problems, joint, guides, settings)
    if first.dense is not None:
        joint = replace(joint, dense=_dense(problems, joint, guides, settings, dense_days))
    return joint


def days_of(problem: Problem, role: str) -> Tensor:
    """(dates,) days on which a role saw the target, since its first date; empty without that role."""
    seen: Observation | None = getattr(problem, role)
    return problem.target.days[seen.dates].float() if seen is not None else torch.zeros(0)


def _bands(problem: Problem, role: str) -> int:
    seen: Observation | None = getattr(problem, role)
    return 0 if seen is None else seen.data.shape[1]


def noise_of(observations: Sequence[Observation]) -> Tensor:
    """(b,) standard deviation of the noise; where it is unknown, a fiftieth of the bands' own."""
    first = observations[0]
    if all(each.noise is not None for each in observations):
        own = torch.stack([each.noise for each in observations if each.noise is not None]).mean(0)
        if bool((own > 0).all()):
            return own.float()
    kept = [valid_pixels(each) for each in observations]
    spread = torch.stack([pixels.std(1) for pixels in kept if pixels.shape[1] > 1]).mean(0)
    assert first.data.shape[1] == len(spread)
    return (0.02 * spread).clamp_min(1e-6)


def valid_pixels(observation: Observation) -> Tensor:
    """(b, n) pixels of which all bands are valid."""
    mask = observation.valid.expand(observation.data.shape[0], -1, *observation.data.shape[2:]).all(1)
    return observation.data.movedim(1, 0)[:, mask]


def seen_values(observation: Observation) -> Tensor:
    """(b, n) values of every pixel and date, NaN where a band was not valid."""
    seen = observation.valid.expand_as(observation.data)
    return torch.where(seen, observation.data, torch.nan).movedim(1, 0).flatten(1)


def _stack_noise(problems: Sequence[Problem], sharp: int, dense: int) -> Tensor:
    parts = []
    for role, count in (("sharp", sharp), ("dense", dense)):
        seen = [each for p in problems if (each := getattr(p, role)) is not None]
        if seen:
            parts.append(noise_of(seen).repeat(count))
    return torch.cat(parts)


def _dense(
    problems: Sequence[Problem], joint: Joint, guides: Sequence[Tensor], settings: Settings, days: Tensor
) -> Timed:
    assert joint.guide is not None
    guide = joint.guide
    seen = [p.dense for p in problems if p.dense is not None]
    noise = noise_of(seen)
    pairs = list(zip(problems, guides, strict=True))
    plain = Dates.plain(days, len(noise))
    pointed = replace(plain, shift=pointing([(g, _dense_seen(p, plain)) for p, g in pairs], _POINTING))
    tiles = [(p, g, _dense_seen(p, pointed)) for p, g in pairs]
    gain = dense_gains(joint, tiles, days, noise, settings.dead, doubled=settings.doubled)
    mended = replace(pointed, gain=gain)
    ready = [(g, guide.looks(g), _dense_seen(p, mended)) for p, g in pairs]
    changes = Changes.learn(ready, noise, settings.likeness, settings.loads[0], settings.halves[0])
    return Timed(days, mended.shift, mended.gain, changes)


def _dense_seen(problem: Problem, dates: Dates) -> Seen:
    assert problem.dense is not None
    return seen_by(problem.dense, problem.target.days, dates)


def _subspace(problems: Sequence[Problem], settings: Settings) -> Subspace:
    """Of the hyperspectral bands, without components that are noise."""
    seen = [p.rich for p in problems if p.rich is not None]
    noise = noise_of(seen) if all(each.noise is not None for each in seen) else None
    live = live_bands(seen).to(seen[0].data.device)
    pixels = (valid_pixels(_alive(each, live)).T for each in seen)
    found = Subspace.learn(pixels, rank=settings.rank, noise=noise)
    telling = (found.basis / found.noise).square().sum(1) > _SIGNAL
    count = max(int(telling.sum()), 1)
    return replace(found, basis=found.basis[:count].clone(), analysis=found.analysis[:, :count].clone())


def _with_rich(
    problems: Sequence[Problem], joint: Joint, guides: Sequence[Tensor], settings: Settings
) -> Joint:
    assert joint.subspace is not None
    assert joint.guide is not None
    guide = joint.guide
    plain = Dates.plain(days_of(problems[0], "rich"), joint.subspace.rank)
    pairs = list(zip(problems, guides, strict=True))
    shift = pointing([(g, _rich_seen(p, joint, plain)) for p, g in pairs], _POINTING)
    pointed = replace(plain, shift=shift)
    tiles = [(g, guide.looks(g), _rich_seen(p, joint, pointed)) for p, g in pairs]
    own = score_noise(joint.subspace)
    changes = Changes.learn(tiles, own, settings.likeness, settings.loads[1], settings.halves[1])
    return replace(joint, rich=Timed(plain.days, shift, plain.gain, changes))


def _rich_seen(problem: Problem, joint: Joint, dates: Dates) -> Seen:
    assert problem.rich is not None
    assert joint.subspace is not None
    return rich_scores(problem.rich, joint.subspace, problem.target.days, dates)[1]


def _alive(observation: Observation, live: Tensor) -> Observation:
    """Bands that are not live as zeros that are valid: a pixel may count that lacks nothing else."""
    dead = ~live[None, :, None, None]
    mask = observation.valid.expand_as(observation.data) | dead
    return replace(observation, data=torch.where(dead, 0.0, observation.data), valid=mask)


def score_noise(subspace: Subspace) -> Tensor:
    """(p,) standard deviation of the noise of every score."""
    return 1.0 / (subspace.basis / subspace.noise).norm(dim=1).clamp_min(1e-9)
