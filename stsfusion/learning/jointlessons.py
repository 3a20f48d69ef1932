"""Lessons of joint estimation: what is chosen by hidden dates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.floor import Floor, below_zero
from stsfusion.learning.innovation import Innovation, ground
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointassured import assured
from stsfusion.learning.jointbase import Settings, learn_base, noise_of, score_noise, seen_values
from stsfusion.learning.jointtrial import Trial, guess, tile_of, trials, with_panel
from stsfusion.learning.live import half_clear, on_dead, same_bands
from stsfusion.learning.resolved import Resolved, suits
from stsfusion.learning.sharponly import matched, sharp_bands
from stsfusion.learning.steady import Steady, line
from stsfusion.learning.subspace import Subspace

__all__ = ["learn_joint"]

_ENOUGH = 40000
"""Pixels from which scores are learned, and in which dates are hidden."""


def learn_joint(problems: Sequence[Problem], settings: Settings) -> Joint:
    """All of it: base from all tiles, scores and hidden dates from as many as are enough.

    Every sensor that is there has seen something in some tile.
    """
    if all(suits(problem) for problem in problems):
        resolved = Resolved.learn(problems)
        steady = Steady.learn(problems, lambda hidden, date: _resolved(resolved, hidden, date))
        return replace(Joint.bare(resolved), steady=steady)
    joint = learn_base(problems, settings)
    if joint.rich is None:
        joint = matched(joint, problems)
        steady = Steady.learn(problems, lambda hidden, date: _between(hidden, date, settings))
        return replace(joint, steady=steady)
    some = _some([problem for problem in problems if problem.rich and bool(half_clear(problem.rich).any())])
    joint = with_panel(joint, [tile_of(joint, problem) for problem in some], settings)
    return with_innovations(joint, some, trials(some, joint, settings), settings)


def _resolved(resolved: Resolved, hidden: Problem, date: int) -> Tensor:
    """(b, H, W) sharp bands of a date that was hidden."""
    made = resolved.anew(hidden, float(hidden.target.days[date]))
    return line(hidden, date)[0] if made is None else made


def _between(hidden: Problem, date: int, settings: Settings) -> Tensor:
    """The same by everything that is learned without the date."""
    if hidden.dense is None:
        return line(hidden, date)[0]
    base = matched(learn_base([hidden], settings), [hidden])
    if base.match is None and not same_bands(hidden):
        return line(hidden, date)[0]
    dense = base.fine_dense(hidden, base.components(hidden))
    assert dense is not None
    return sharp_bands(base, dense, float(hidden.target.days[date]))


def _some(problems: Sequence[Problem]) -> Sequence[Problem]:
    """Tiles evenly spread that hold about so many pixels."""
    size = max(problem.target.shape[2] * problem.target.shape[3] for problem in problems)
    return problems[:: max(1, len(problems) * size // max(_ENOUGH, size))]


def with_innovations(
    joint: Joint, problems: Sequence[Problem], tried: Sequence[Trial], settings: Settings
) -> Joint:
    """Span and ground by what hidden dates say, and how estimates are held to multispectral bands."""
    assert joint.carried is not None
    subspace = joint.subspace
    assert subspace is not None
    assert joint.rich is not None
    if not tried:
        spread = joint.rich.changes.spread.square().mean(0)
        held = _held(joint, torch.diag(spread).double(), problems, settings)
        return assured(_floored(held, problems), (), problems, settings)
    losses = [[_size(t.errors(guess(t, span)[0]), subspace) for t in tried] for span in settings.spans]
    best = settings.spans[int(torch.tensor(losses).square().sum(1).argmin())]
    guesses = [guess(trial, best) for trial in tried]
    usual = torch.stack([unsure.mean() for _, unsure in guesses]).mean().clamp_min(1e-6)
    joint = replace(joint, carried=replace(joint.carried, days=torch.tensor(best), usual=usual))
    errors = [trial.errors(scores) for trial, (scores, _) in zip(tried, guesses, strict=True)]
    smooth = ground(subspace, problems[0].target.wavelengths)
    typical = float(torch.tensor([_size(each, subspace) for each in errors]).square().mean().sqrt())
    found = []
    for size in settings.grounds:
        loss = []
        for i, (trial, (scores, unsure)) in enumerate(zip(tried, guesses, strict=True)):
            others = [e for j, e in enumerate(errors) if j != i] or errors
            covariance = _covariance(others, subspace) + (size * typical) ** 2 * smooth
            own = _held(joint, covariance, [trial.whole], settings)
            if own.by_dense is not None and trial.tile.dense is not None:
                scores = own.by_dense(scores, trial.wanted.bands, unsure / usual)[0]
            loss.append(_size(trial.errors(scores), subspace) ** 2)
        found.append(loss)
    size = settings.grounds[_simplest(torch.tensor(found))]
    covariance = _covariance(errors, subspace) + (size * typical) ** 2 * smooth
    return assured(
        _floored(_held(joint, covariance, problems, settings), problems), tried, problems, settings
    )


def _floored(joint: Joint, problems: Sequence[Problem]) -> Joint:
    """With what no estimate falls below; without, where a sensor shows that reflectance does."""
    assert joint.covariance is not None
    assert joint.subspace is not None
    sharp = [p.sharp for p in problems if p.sharp is not None]
    seen = [seen_values(p.rich) for p in problems if p.rich is not None]
    by_sharp = below_zero([seen_values(each) for each in sharp], noise_of(sharp))
    if by_sharp or below_zero(seen, joint.subspace.noise):
        return joint
    return replace(joint, floor=Floor.learn(seen, joint.covariance, joint.subspace))


def _simplest(losses: Tensor) -> int:
    """The first row of (choices, dates) losses that is, within its standard error, as good as the best.

    Source: the one-standard-error rule of Breiman et al. (1984), sec. 3.4.3, on paired differences.
    """
    best = int(losses.sum(1).argmin())
    if losses.shape[1] < 2:
        return best
    excess = losses - losses[best]
    error = excess.std(1) / math.sqrt(losses.shape[1])
    return int((excess.mean(1) <= error).nonzero()[0, 0])


def _size(errors: Tensor, subspace: Subspace) -> float:
    """Root mean square of (p, n) score errors, reflectance."""
    return float((subspace.basis.T @ errors).square().mean().sqrt())


def _covariance(errors: Sequence[Tensor], subspace: Subspace) -> Tensor:
    """(p, p) of the errors of hidden dates, the noise of what they were compared with taken away."""
    noise = score_noise(subspace).double()
    total = torch.stack([e.double() @ e.double().T / max(e.shape[1], 1) for e in errors]).mean(0)
    white = total / torch.outer(noise, noise)
    values, vectors = torch.linalg.eigh(white)
    return (vectors * (values - 1.0).clamp_min(0.3)) @ vectors.T * torch.outer(noise, noise)


def _held(joint: Joint, covariance: Tensor, problems: Sequence[Problem], settings: Settings) -> Joint:
    """Innovations by dense and by sharp bands; by dense ones alone where both are of one sensor.

    What a band shows where hyperspectral ones are dead was never compared with anything: it holds nothing.
    """
    assert joint.subspace is not None
    first, found = problems[0], {}
    for role in ("dense",) if settings.doubled else ("dense", "sharp"):
        seen = [each for p in problems if (each := getattr(p, role)) is not None]
        if not seen:
            continue
        noise = noise_of(seen)
        if role == "dense" and joint.dense is not None:
            left = (joint.dense.changes.spread.square().mean(0) * joint.dense.changes.noise).sqrt()
            noise = 2.0 * torch.maximum(noise, left)
        response = getattr(first, role).view.spectral.matrix
        if settings.dead is not None:
            lost = on_dead(response, settings.dead).to(noise.device)
            if bool(lost.all()):
                continue
            noise = torch.where(lost, torch.inf, noise)
        found[f"by_{role}"] = Innovation.learn(covariance, response, noise, joint.subspace)
    return replace(joint, covariance=covariance.float(), **found)  # type: ignore[arg-type]
