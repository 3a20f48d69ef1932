"""Lessons of joint estimation: what is chosen by hidden dates, and how sure it makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.assurance import Assurance, Outcome, band_variance
from stsfusion.learning.innovation import Innovation, ground
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointanswer import Lasting, held_to_sharp, judge, keep, signs
from stsfusion.learning.jointbase import Settings, learn_base, noise_of, score_noise
from stsfusion.learning.jointtrial import Tile, Trial, guess, tile_of, trials, with_panel
from stsfusion.learning.live import half_clear
from stsfusion.learning.resolved import Resolved, suits
from stsfusion.learning.sighting import place_of
from stsfusion.learning.subspace import Subspace
from stsfusion.operators.resample import blocks

__all__ = ["learn_joint"]

_GROUND = 0.3
"""Least standard deviation, in that of the hyperspectral noise."""

_PIXELS = 5000
"""Fine pixels of a hidden date from which standard deviations are learned."""

_ENOUGH = 40000
"""Pixels from which scores are learned, and in which dates are hidden."""


def learn_joint(problems: Sequence[Problem], settings: Settings) -> Joint:
    """All of it: base from all tiles, scores and hidden dates from as many as are enough.

    Every sensor that is there has seen something in some tile.
    """
    if all(suits(problem) for problem in problems):
        return Joint.bare(Resolved.learn(problems))
    joint = learn_base(problems, settings)
    if joint.rich is None:
        return joint
    some = _some([problem for problem in problems if problem.rich and bool(half_clear(problem.rich).any())])
    joint = with_panel(joint, [tile_of(joint, problem) for problem in some], settings)
    return with_innovations(joint, some, trials(some, joint, settings), settings)


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
        return assured(_held(joint, torch.diag(spread).double(), problems), (), problems)
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
        loss = 0.0
        for i, (trial, (scores, unsure)) in enumerate(zip(tried, guesses, strict=True)):
            others = [e for j, e in enumerate(errors) if j != i] or errors
            covariance = _covariance(others, subspace) + (size * typical) ** 2 * smooth
            own = _held(joint, covariance, [trial.whole])
            if own.by_dense is not None and trial.tile.dense is not None:
                scores = own.by_dense(scores, trial.wanted.bands, unsure / usual)[0]
            loss += _size(trial.errors(scores), subspace) ** 2
        found.append(loss)
    size = settings.grounds[int(torch.tensor(found).argmin())]
    covariance = _covariance(errors, subspace) + (size * typical) ** 2 * smooth
    return assured(_held(joint, covariance, problems), tried, problems)


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


def _held(joint: Joint, covariance: Tensor, problems: Sequence[Problem]) -> Joint:
    """Innovations by dense and by sharp bands."""
    assert joint.subspace is not None
    first, found = problems[0], {}
    for role in ("dense", "sharp"):
        seen = [each for p in problems if (each := getattr(p, role)) is not None]
        if not seen:
            continue
        noise = noise_of(seen)
        if role == "dense" and joint.dense is not None:
            left = (joint.dense.changes.spread.square().mean(0) * joint.dense.changes.noise).sqrt()
            noise = 2.0 * torch.maximum(noise, left)
        response = getattr(first, role).view.spectral.matrix
        found[f"by_{role}"] = Innovation.learn(covariance, response, noise, joint.subspace)
    return replace(joint, covariance=covariance.float(), **found)  # type: ignore[arg-type]


# ---------------------------------------------------------------- how sure


def assured(joint: Joint, tried: Sequence[Trial], problems: Sequence[Problem]) -> Joint:
    """Learn what standard deviations are made of."""
    assert joint.subspace is not None
    ground = (_GROUND * joint.subspace.noise).square()
    if not tried:
        return replace(
            joint, assurance=Assurance(torch.ones_like(ground), torch.tensor([1.0, 0.0, 0.0]), ground)
        )
    outcomes = []
    for whole in {id(trial.whole): trial.whole for trial in tried}.values():
        tile = tile_of(joint, whole)
        kept = keep(joint, tile.rich, tile.dense)
        own = [trial for trial in tried if trial.whole is whole]
        outcomes += [_outcome(joint, trial, tile, _truth(joint, kept, tile, trial.date)) for trial in own]
    return replace(joint, assurance=Assurance.learn(outcomes, ground))


def _truth(joint: Joint, kept: Lasting, tile: Tile, date: int) -> Tensor:
    """(p, H, W) scores of a date by all that was seen of it."""
    seen = tile.problem.dense is not None and date in tile.problem.dense.dates
    verdict = judge(joint, kept, tile.dense, float(tile.problem.target.days[date]), seen)
    return held_to_sharp(joint, tile.problem, date, verdict)[0]


def _outcome(joint: Joint, trial: Trial, tile: Tile, truth: Tensor) -> Outcome:
    """Errors, v and signs of a hidden date at some of the fine pixels that the sensor saw."""
    assert joint.subspace is not None
    assert joint.covariance is not None
    own = replace(trial.joint, carried=joint.carried, by_dense=joint.by_dense)
    kept = keep(own, trial.tile.rich, trial.tile.dense)
    seen = trial.tile.dense is not None
    verdict = judge(own, kept, trial.tile.dense, float(trial.whole.target.days[trial.date]), seen)
    basis = joint.subspace.basis
    clear = blocks(trial.wanted.clear[None], trial.wanted.ratio)[0].flatten().nonzero()[:, 0]
    some = clear[:: max(1, len(clear) // _PIXELS)]
    errors = basis.T @ (verdict.scores - truth).flatten(1)[:, some]
    unsure = verdict.unsure.flatten()[some][None]
    held = joint.by_dense if seen else None
    variance = band_variance(joint.covariance, unsure, held, joint.subspace)[:, 0]
    place = place_of(tile.rich.days, float(trial.whole.target.days[trial.date]))
    left = tile.rich.deviation[place].flatten(1)[:, some].square().mean(1)
    return Outcome(errors, variance, signs(verdict).flatten(1)[:, some], basis.T.square() @ left)
