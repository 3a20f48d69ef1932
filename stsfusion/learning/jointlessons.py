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
from stsfusion.learning.jointanswer import Verdict, judge, keep, signs
from stsfusion.learning.jointbase import Settings, learn_base, noise_of, score_noise
from stsfusion.learning.jointtrial import Trial, guess, low, tile_of, trials, with_panel
from stsfusion.learning.subspace import Subspace

__all__ = ["learn_joint"]


def learn_joint(problems: Sequence[Problem], settings: Settings) -> Joint:
    """All of it."""
    joint = learn_base(problems, settings)
    if joint.rich is None:
        return joint
    tiles = [tile_of(joint, problem) for problem in problems]
    joint = with_panel(joint, tiles, settings)
    tried = trials(problems, joint, settings)
    return with_innovations(joint, problems, tried, settings)


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
    assert joint.covariance is not None
    subspace = joint.subspace
    response = _told_by_dense(joint, problems)
    ground = (0.3 * subspace.noise).square()
    if not tried:
        ones = torch.ones_like(ground)
        return replace(joint, assurance=Assurance(ones, torch.tensor([1.0, 0.0, 0.0]), response, ground))
    outcomes, fine = [], []
    for trial in tried:
        own = replace(trial.joint, carried=joint.carried, by_dense=joint.by_dense)
        kept = keep(own, trial.tile.rich, trial.tile.dense)
        verdict = judge(own, kept, trial.tile.dense, float(trial.whole.target.days[trial.date]), True)
        outcomes.append(_outcome(joint, trial, verdict))
        fine.append(_detail_ratio(joint, trial, verdict, response))
    known = [pair for pair in fine if pair is not None]
    kappa = sum(a for a, _ in known) / max(sum(b for _, b in known), 1e-12) if known else 1.0
    detail = response * min(max(kappa, 0.2), 5.0)
    return replace(joint, assurance=Assurance.learn(outcomes, subspace.noise, detail, ground))


def _told_by_dense(joint: Joint, problems: Sequence[Problem]) -> Tensor:
    """(band,) l: variance that errors of the dense bands of their typical size bring to every band."""
    assert joint.subspace is not None
    assert joint.rich is not None
    dense = problems[0].dense
    if joint.dense is None or dense is None:
        return torch.zeros(joint.subspace.basis.shape[1])
    basis = joint.subspace.basis.double()
    response = dense.view.spectral.matrix.double()
    seen = response @ basis.T
    errors = joint.dense.changes.spread.double().square().mean(0)
    back = basis.T @ seen.T @ torch.linalg.inv(seen @ seen.T + 1e-2 * torch.diag((seen @ seen.T).diagonal()))
    return (back.square() @ errors).float()


def _outcome(joint: Joint, trial: Trial, verdict: Verdict) -> Outcome:
    """Errors, v and signs at the clear coarse pixels."""
    assert joint.subspace is not None
    assert joint.covariance is not None
    clear = trial.wanted.clear
    errors = joint.subspace.basis.T @ trial.errors(verdict.scores)
    held = joint.by_dense if trial.tile.dense is not None else None
    unsure = low(verdict.unsure[None], trial.wanted)
    variance = band_variance(joint.covariance, unsure[0], held, joint.subspace)[:, clear]
    return Outcome(errors, variance, low(signs(verdict), trial.wanted)[:, clear])


def _detail_ratio(joint: Joint, trial: Trial, verdict: Verdict, detail: Tensor) -> tuple[float, float] | None:
    """Variance that fine sharp pixels show beyond coarse ones, and what the doubt says of it."""
    sharp = trial.whole.sharp
    if sharp is None or trial.date not in sharp.dates or trial.tile.dense is None:
        return None
    assert joint.subspace is not None
    place = sharp.dates.index(trial.date)
    response = sharp.view.spectral.matrix.float()
    image = torch.einsum("sb,byx->syx", response, joint.subspace.expand(verdict.scores[None])[0])
    mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:])[place].all(0)
    gap = torch.where(mask, image - sharp.data[place], 0.0)
    kernel = trial.wanted.kernel
    coarse = low(gap, trial.wanted).square().mean()
    noise = noise_of([sharp]).square().mean()
    white = noise * kernel.square().sum().float()
    shown = float(gap.square().mean() - noise - (coarse - white).clamp_min(0.0))
    said = float((response.square() @ detail).mean() * verdict.doubt.mean())
    return max(shown, 0.0), said
