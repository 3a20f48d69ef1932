"""How sure joint estimation is: learned at hidden dates that the dense sensor saw, and as if it had not.

Without hidden dates, bands of the dense series that are hidden stand for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.assurance import Assurance, Outcome, band_variance, in_common
from stsfusion.learning.fading import fading
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.jointanswer import Lasting, floored, held_to_sharp, judge, keep, signs
from stsfusion.learning.jointbase import Settings
from stsfusion.learning.jointtrial import Tile, Trial, tile_of
from stsfusion.learning.lent import seen_by_either
from stsfusion.learning.sighting import place_of
from stsfusion.learning.stirred import stirred
from stsfusion.learning.told import panel_series, told_of
from stsfusion.learning.unrest import Unrest
from stsfusion.learning.withheld import withheld
from stsfusion.operators.resample import blocks

__all__ = ["assured"]

_GROUND = 0.3
"""Least standard deviation, in that of the hyperspectral noise."""

_PIXELS = 5000
"""Fine pixels of a hidden date from which standard deviations are learned."""

_SERIES = 2000
"""Fine pixels from which unrest is learned."""


def assured(joint: Joint, tried: Sequence[Trial], problems: Sequence[Problem], settings: Settings) -> Joint:
    """Learn what standard deviations are made of."""
    assert joint.subspace is not None
    ground = (_GROUND * joint.subspace.noise).square()
    wholes = {id(trial.whole): trial.whole for trial in tried} or {0: problems[0]}
    tiles = {key: tile_of(joint, whole) for key, whole in wholes.items()}
    detail = torch.stack([withheld(joint, t.problem) + stirred(joint, t) for t in tiles.values()]).mean(0)
    joint = replace(joint, unrest=_unrest(joint, next(iter(tiles.values()))))
    if not tried:
        return _untried(joint, next(iter(tiles.values())), ground + detail, settings)
    truths = [_truth(joint, tiles[id(trial.whole)], trial.date) for trial in tried]
    cases = list(zip(tried, truths, strict=True))
    shown = [found for trial, truth in cases if (found := _outcome(joint, trial, tiles, truth)) is not None]
    if not shown:
        joint = replace(joint, unrest=None)
        shown = [found for trial, truth in cases if (found := _blind(joint, trial, tiles, truth)) is not None]
    joint = replace(joint, assurance=Assurance.learn([outcome for outcome, _ in shown], ground, detail))
    if joint.unrest is None:
        return joint
    return _corrected(joint, [_blind(joint, trial, tiles, truth) for trial, truth in cases])


def _unrest(joint: Joint, tile: Tile) -> Unrest | None:
    """Of what the dense bands tell of pixels here and there; None without them.

    Where no date can be compared with another, pixels may become what others of the scene are, over the days
    that what they keep is said to last.
    """
    assert joint.subspace is not None
    assert joint.carried is not None
    if tile.dense is None or joint.panel is None:
        return None
    seen = seen_by_either(tile.problem, tile.dense.days).flatten(1)
    some = seen.any(0).nonzero()[:, 0]
    some = some[:: max(1, len(some) // _SERIES)]
    series = panel_series(joint, tile.dense, some)
    basis, span = joint.subspace.basis, joint.carried.days
    found = Unrest.learn(series, seen[:, some], tile.dense.days, basis, span)
    return Unrest.unknown(basis, span) if found is None else found


def _corrected(joint: Joint, found: Sequence[tuple[Outcome, Tensor | None] | None]) -> Joint:
    """Unrest under which hidden dates that the dense sensor is said not to have seen are covered."""
    assert joint.unrest is not None
    assert joint.assurance is not None
    known = [(own[0], own[1]) for own in found if own is not None and own[1] is not None]
    if not known:
        return joint
    sill = joint.unrest.sill[:, None]
    lacking = [joint.assurance.lacking(outcome, sill * apart[None]) for outcome, apart in known]
    factor = torch.quantile(torch.cat(lacking, 1), 0.9, dim=1) * (1.0 + 1.0 / len(known))
    return replace(joint, unrest=joint.unrest.corrected(factor))


def _truth(joint: Joint, tile: Tile, date: int) -> Tensor:
    """(p, H, W) scores of a date by all that was seen of it."""
    seen = tile.problem.dense is not None and date in tile.problem.dense.dates
    kept = keep(joint, tile.rich, tile.dense)
    verdict = judge(joint, kept, tile.dense, float(tile.problem.target.days[date]), seen)
    return floored(joint, held_to_sharp(joint, tile.problem, date, verdict)[0])


def _own(joint: Joint, trial: Trial) -> tuple[Joint, Lasting]:
    """What a trial learned without its date, and otherwise what was learned of all."""
    shared = {name: getattr(joint, name) for name in ("carried", "by_dense", "unrest", "covariance", "floor")}
    own = replace(trial.joint, **shared)
    return own, keep(own, trial.tile.rich, trial.tile.dense)


def _outcome(
    joint: Joint, trial: Trial, tiles: dict[int, Tile], truth: Tensor
) -> tuple[Outcome, Tensor | None] | None:
    """Errors, v and signs of a hidden date where the dense sensor saw it; None where it did not."""
    own, kept = _own(joint, trial)
    day = float(trial.whole.target.days[trial.date])
    now = told_of(own, trial.tile.problem, trial.tile.dense).glance(own, day).now
    if not bool(now.any()):
        return None
    return _met(own, trial, tiles, truth, (kept, trial.tile.dense, now))


def _blind(
    joint: Joint, trial: Trial, tiles: dict[int, Tile], truth: Tensor
) -> tuple[Outcome, Tensor | None] | None:
    """The same as if the dense sensor had not seen the date, and how far pixels may have moved meanwhile."""
    own, kept = _own(joint, trial)
    day = float(trial.whole.target.days[trial.date])
    dense = trial.tile.dense
    if dense is not None:
        rest = [k for k in range(len(dense.days)) if k != place_of(dense.days, day)]
        if not rest:
            return None
        dense = Fine(dense.days[rest], dense.values[rest], dense.deviation[rest], dense.looks)
    glance = told_of(own, trial.tile.problem, dense).glance(own, day)
    return _met(own, trial, tiles, truth, (kept, dense, glance.now), glance.apart)


def _met(
    own: Joint,
    trial: Trial,
    tiles: dict[int, Tile],
    truth: Tensor,
    what: tuple[Lasting, Fine | None, Tensor],
    apart: Tensor | None = None,
) -> tuple[Outcome, Tensor | None] | None:
    """Errors at some of the fine pixels that the hyperspectral sensor saw."""
    assert own.subspace is not None
    kept, dense, now = what
    day = float(trial.whole.target.days[trial.date])
    seen = bool(now.any())
    clear = blocks(trial.wanted.clear[None], trial.wanted.ratio)[0]
    some = ((clear & now) if seen else clear).flatten().nonzero()[:, 0]
    if len(some) == 0:
        return None
    some = some[:: max(1, len(some) // _PIXELS)]
    verdict = judge(own, kept, dense, day, seen)
    basis = own.subspace.basis
    errors = basis.T @ (floored(own, verdict.scores) - truth).flatten(1)[:, some]
    unsure = verdict.unsure.flatten()[some][None]
    assert own.covariance is not None
    variance = band_variance(own.covariance, unsure, own.by_dense if seen else None, own.subspace)[:, 0]
    looks = own.subspace.basis.new_zeros(0, len(some))
    if dense is not None and own.bent is not None:
        looks = own.bent.components(own.at(dense, day)[0])[:4].flatten(1)[:, some]
    rich = tiles[id(trial.whole)].rich
    place = place_of(rich.days, day)
    left = rich.deviation[place].flatten(1)[:, some].square().mean(1)
    own_signs = signs(verdict, now).flatten(1)[:, some]
    outcome = Outcome(errors, variance, own_signs, basis.T.square() @ left, in_common(errors, looks))
    return outcome, None if apart is None else apart.flatten()[some]


def _untried(joint: Joint, tile: Tile, ground: Tensor, settings: Settings) -> Joint:
    """One date taught all: what it leaves over, and how bands that are hidden fare on other dates."""
    assert joint.subspace is not None
    assert joint.carried is not None
    assert joint.covariance is not None
    basis = joint.subspace.basis
    usual = (joint.covariance.to(basis) @ basis * basis).sum(0).clamp_min(1e-20)
    left = basis.square().sum(0)
    if joint.panel is not None:
        left = joint.carried.lasting.square() @ basis.square()
    level = (left / usual).sqrt().clamp_min(1.0)
    joint = replace(joint, assurance=Assurance(level, torch.tensor([1.0, 0.0, 0.0]), ground))
    if tile.dense is None or joint.unrest is None or joint.dense is None:
        return joint
    guided = torch.cat([joint.sharp_days.to(joint.dense.days), joint.dense.days])
    if place_of(guided, float(tile.rich.days[0])) is None:
        # What the guide leaves over of a date that it does not show has grown already.
        return joint
    days = told_of(joint, tile.problem, tile.dense).dense_days
    place = int((days - tile.rich.days[0]).abs().argmin())
    own = [k for k, day in enumerate(tile.dense.days.tolist()) if place_of(days, day) is not None]
    bands = tile.dense.values[own].flatten(2)
    bands = bands[:, :, :: max(1, bands.shape[2] // _SERIES)]
    noise = tile.dense.deviation[own].square().mean((0, 2, 3)).sqrt()
    growth = fading(bands, noise, place, (settings.centres, settings.curve, settings.seed))
    others = [k for k in range(len(days)) if k != place]
    return replace(joint, unrest=joint.unrest.with_fading(growth[others], (days[others] - days[place]).abs()))
