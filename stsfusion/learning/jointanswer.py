"""Answer of joint estimation: what pixels keep is carried to a date and held to what was seen of it.

A tile's series come to the fine grid a few rows at a time, all dates of them; only scores, and what their
standard deviation follows from, are held of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.fusion.answer import Deviations, Quality
from stsfusion.fusion.problem import Problem
from stsfusion.learning.assurance import band_variance
from stsfusion.learning.innovation import Innovation
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.lent import lent
from stsfusion.learning.panel import carry
from stsfusion.learning.sighting import place_of
from stsfusion.learning.swaths import swaths
from stsfusion.learning.told import Glance, told_of
from stsfusion.learning.unguided import unguided
from stsfusion.operators.linear import Shape

__all__ = [
    "Lasting",
    "Verdict",
    "answer_of",
    "estimate",
    "floored",
    "held_to_sharp",
    "judge",
    "keep",
    "sigma_of",
    "signs",
    "told",
]


_STILL = 1e-12
"""Least that regressions leave over: constant images leave nothing, and nothing of them is in doubt."""


@dataclass(frozen=True, eq=False)
class Lasting:
    """What pixels keep at the dates of the hyperspectral sensor."""

    days: Tensor
    """(n,)."""

    bands: Tensor
    """(n, q, H, W) components of the dense bands then."""

    kept: Tensor
    """(n, p, H, W) scores less what the panel says."""

    doubt: Tensor
    """(n, H, W) variance of its error, in that of what lasts."""

    more: Tensor
    """(H, W) times by which what lasts varies more than where there is a guide."""


def keep(joint: Joint, rich: Fine, dense: Fine | None) -> Lasting:
    """Take from the scores what is told by their bands."""
    assert joint.carried is not None
    usual, where = joint.carried.lasting, unguided(rich.looks)
    doubt, more = (rich.deviation / usual[:, None, None]).square().mean(1), torch.ones_like(rich.looks[0])
    if bool(where.any()):
        # There all of a spectrum is kept, its few large scores with it: in doubt is what reflectance is.
        whole = _variance(joint, usual.clamp_min(1.0)[:, None])
        doubt = torch.where(where, torch.stack([_variance(joint, d) for d in rich.deviation]) / whole, doubt)
        more = torch.where(where, whole / _variance(joint, usual[:, None]), 1.0)
    if dense is None or joint.panel is None:
        bands = rich.values.new_zeros(len(rich.days), 1, *rich.values.shape[2:])
        return Lasting(rich.days, bands, rich.values, doubt, more)
    leading, left = [], []
    for day, scores in zip(rich.days.tolist(), rich.values, strict=True):
        said, own = told(joint, joint.at(dense, day)[0], dense.looks)
        leading.append(own)
        left.append(scores - said)
    return Lasting(rich.days, torch.stack(leading), torch.stack(left), doubt, more)


def _variance(joint: Joint, scores: Tensor) -> Tensor:
    """(...,) over all bands, of (p, ...) standard deviations of scores."""
    assert joint.subspace is not None
    return torch.einsum("p,p...->...", joint.subspace.basis.square().sum(1), scores.square())


def estimate(joint: Joint, kept: Lasting, dense: Fine | None, day: float) -> tuple[Tensor, Tensor]:
    """(p, H, W) scores of a day before they are held to anything, and their (H, W) unsureness."""
    assert joint.carried is not None
    when = torch.tensor(day, device=kept.kept.device)
    if dense is None or joint.panel is None:
        same = (when, kept.bands[0])
        rest, unsure = carry(kept.kept, kept.doubt, (kept.days, kept.bands), same, joint.carried)
        return rest, unsure * kept.more
    said, leading = told(joint, joint.at(dense, day)[0], dense.looks)
    rest, unsure = carry(kept.kept, kept.doubt, (kept.days, kept.bands), (when, leading), joint.carried)
    return said + rest, unsure * kept.more


def told(joint: Joint, bands: Tensor, looks: Tensor) -> tuple[Tensor, Tensor]:
    """(p, H, W) scores by (b, H, W) dense bands of a day and the guide, and the bands' leading components."""
    assert joint.panel is not None
    assert joint.bent is not None
    leading = joint.bent.components(bands)[:4]
    scores = joint.panel(joint.bent(bands))
    return (scores if joint.akin is None else scores + joint.akin(leading, looks)), leading


def floored(joint: Joint, scores: Tensor) -> Tensor:
    """(p, H, W) scores, no band below the floor."""
    if joint.floor is None or joint.subspace is None:
        return scores
    return joint.floor(scores, joint.subspace)


@dataclass(frozen=True, eq=False)
class Verdict:
    """A date's answer in one tile."""

    scores: Tensor
    """(p, H, W)."""

    unsure: Tensor
    """(H, W) u, one at hidden dates on average."""

    surprise: Tensor
    """(H, W) mean square of the innovation by dense bands, in its own standard deviation."""

    doubt: Tensor
    """(H, W) mean variance of the dense bands, in that of what the regressions left over."""


def judge(joint: Joint, kept: Lasting, dense: Fine | None, day: float, now: bool) -> Verdict:
    """Scores of a day, held to its dense bands if the dense sensor saw the day (now)."""
    assert joint.carried is not None
    scores, unsure = estimate(joint, kept, dense, day)
    unsure = unsure / joint.carried.usual
    surprise, doubt = torch.ones_like(unsure), torch.zeros_like(unsure)
    if dense is not None and joint.dense is not None and joint.by_dense is not None:
        bands, deviation = joint.at(dense, day)
        spread = joint.dense.changes.spread.square().mean(0).sqrt().clamp_min(_STILL)
        doubt = (deviation / spread[:, None, None]).square().mean(0)
        if now:
            held, surprise = joint.by_dense(scores, bands, unsure)
            # What windows could not see at all, under clouds, must not hold anything.
            scores = scores + (1.0 - doubt.square()).clamp_min(0.0) * (held - scores)
    return Verdict(scores, unsure, surprise, doubt)


def signs(verdict: Verdict, now: Tensor) -> Tensor:
    """(3, H, W) what errors grow with; what the dense sensor did not see of the date tells nothing."""
    surprise = torch.where(now, verdict.surprise, 1.0)
    doubt = torch.where(now, verdict.doubt, 0.0)
    return torch.stack([torch.ones_like(doubt), surprise, 10.0 * doubt])


def sigma_of(joint: Joint, verdict: Verdict, glance: Glance, mask: Tensor | None) -> Tensor:
    """(band, H, W) standard deviation; `mask` (H, W) tells where the sharp sensor saw the date."""
    assert joint.assurance is not None
    assert joint.covariance is not None
    assert joint.subspace is not None

    def left(held: Innovation | None) -> Tensor:
        return band_variance(joint.covariance, verdict.unsure, held, joint.subspace)  # type: ignore[arg-type]

    now = glance.now
    if joint.by_dense is None:
        now = torch.zeros_like(now)
    whole = None if bool(now.all()) else left(None)
    variance = left(joint.by_dense) if whole is None else whole
    if whole is not None and bool(now.any()):
        variance = torch.where(now, left(joint.by_dense), whole)
    apart = None
    if glance.apart is not None and joint.unrest is not None:
        apart = joint.unrest.sill[:, None, None] * glance.apart
    if mask is not None and bool(mask.any()):
        held = left(joint.by_sharp)
        if apart is not None and whole is not None:
            apart = torch.where(mask, apart * held / whole.clamp_min(1e-20), apart)
        variance = torch.where(mask, held, variance)
    if glance.fading is not None:
        variance = variance * glance.fading
    return joint.assurance(variance, signs(verdict, glance.now), apart)


@dataclass(frozen=True, eq=False)
class _Grounds:
    """What the standard deviation of one date follows from, in some rows of a tile."""

    verdict: Verdict
    """Without its scores."""

    glance: Glance
    """When the pixels were seen."""

    mask: Tensor | None
    """(h, W) where the sharp sensor saw the date; None: nowhere."""


@dataclass(frozen=True, eq=False)
class _Sure(Deviations):
    """Standard deviations of a tile."""

    joint: Joint
    """All that was learned."""

    filled: Tensor
    """(time, H, W) bool: of which nobody knows anything."""

    parts: list[tuple[slice, list[_Grounds]]]
    """Rows, and all dates of them."""

    @property
    def shape(self) -> Shape:
        """(time, band, y, x)."""
        assert self.joint.subspace is not None
        time, rows, cols = self.filled.shape
        return time, self.joint.subspace.basis.shape[1], rows, cols

    def date(self, i: int) -> Tensor:
        """(band, y, x); as unsure as the scene varies where nothing is known."""
        assert self.joint.subspace is not None
        scene = self.joint.subspace.basis.norm(dim=0)[:, None, None]
        sigma = scene.new_empty(self.shape[1:], device=self.filled.device)
        for rows, dates in self.parts:
            own = sigma_of(self.joint, dates[i].verdict, dates[i].glance, dates[i].mask)
            sigma[:, rows] = torch.where(self.filled[i, rows], torch.maximum(own, scene), own)
        return sigma


def answer_of(joint: Joint, problem: Problem, quality: Tensor) -> tuple[Tensor, Deviations]:
    """(time, p, H, W) scores of every date of (time, 1, H, W) quality, and their standard deviation."""
    assert joint.subspace is not None
    components = joint.components(problem)
    dense, rich = joint.coming_dense(problem, components), joint.coming_rich(problem, components)
    assert rich is not None
    scores = components.new_empty(len(quality), joint.subspace.rank, *quality.shape[2:])
    parts = []
    for swath in swaths(problem):
        part, found = swath.of(problem), rich.rows(swath.own)
        fine = None if dense is None else lent(joint, part, dense.rows(swath.own), found)
        own, grounds = _answered(joint, part, fine, found)
        scores[:, :, swath.own] = own
        parts.append((swath.own, grounds))
    filled = (quality == int(Quality.FILLED)) | (quality == int(Quality.NO_DATA))
    return scores, _Sure(joint, filled[:, 0], parts)


def _answered(
    joint: Joint, problem: Problem, dense: Fine | None, rich: Fine
) -> tuple[Tensor, list[_Grounds]]:
    """(time, p, h, W) scores of some rows, and what their deviations follow from."""
    kept, told = keep(joint, rich, dense), told_of(joint, problem, dense)
    scores, grounds = [], []
    for date, day in enumerate(problem.target.days.tolist()):
        seen = place_of(told.dense_days, day) is not None
        verdict = judge(joint, kept, dense, day, seen)
        own, mask = held_to_sharp(joint, problem, date, verdict)
        scores.append(floored(joint, own))
        bare = replace(verdict, scores=verdict.scores[:0].clone())
        grounds.append(_Grounds(bare, told.glance(joint, day), mask))
    return torch.stack(scores), grounds


def held_to_sharp(
    joint: Joint, problem: Problem, date: int, verdict: Verdict
) -> tuple[Tensor, Tensor | None]:
    """(p, H, W) scores held to the sharp image of a date, and the (H, W) mask of where; None without one."""
    sharp = problem.sharp
    if sharp is None or joint.by_sharp is None or date not in sharp.dates:
        return verdict.scores, None
    place = sharp.dates.index(date)
    mask = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:])[place].all(0)
    image = torch.where(mask, sharp.data[place], 0.0)
    held, _ = joint.by_sharp(verdict.scores, image, verdict.unsure)
    return torch.where(mask, held, verdict.scores), mask
