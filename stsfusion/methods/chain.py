"""chain: any spatio-temporal method, and then any spectral one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.method import Card, FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import ROLES, Problem, Role, Target
from stsfusion.learning.kept import under
from stsfusion.learning.samebands import SameBands, in_bands
from stsfusion.methods import create
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.mix import pick

__all__ = ["Chain"]

_NO_GUIDE = (int(Quality.NO_DATA), int(Quality.FILLED))
"""Flags of sharp pixels that the second method must not look at."""

_OTHER_DATES = (int(Quality.INTERPOLATED), int(Quality.EXTRAPOLATED))
"""Flags of sharp pixels that no sensor saw on their date."""


@dataclass
class Chain(FusionMethod):
    """First the sharp series is completed with the dense one, then every date of it guides the rich one.

    ::

        dense ─ its bands as sharp's ─┐
        sharp ────────────────────────┴─► first ─► sharp series, all dates ─┐
        rich ───────────────────────────────────────────────────────────────┴─► then ─► target

    Source: the two-stage chains of Peng et al. (2024), tables 4 and 5.
    """

    first: FusionMethod = "estarfm"  # type: ignore[assignment]
    """The spatio-temporal method, in the sharp sensor's bands; a name, or name and settings."""

    then: FusionMethod = "cnmf"  # type: ignore[assignment]
    """The spectral method, for the rich sensor and the completed sharp series; as `first`."""

    def __post_init__(self) -> None:
        for place, roles in (("first", ("sharp", "dense")), ("then", ("rich", "sharp"))):
            held = getattr(self, place)
            method = held if isinstance(held, FusionMethod) else create(held)
            setattr(self, place, method)
            if not set(method.card.needs) <= set(roles):
                raise MethodError(
                    f"method 'chain', setting '{place}'",
                    expected=f"a method that needs no more than {' and '.join(roles)}",
                    got=f"'{method.card.name}', which needs {' and '.join(method.card.needs)}",
                    mend="See `stsfusion methods` for what each method needs.",
                )

    @classmethod
    def example(cls, **settings: object) -> Chain:
        """Two methods that cost little."""
        return cls(**{"first": "coarsedelta", "then": {"name": "gsa", "psf": "box"}} | settings)  # type: ignore[arg-type]

    @property
    def card(self) -> Card:
        """What the two methods say, together."""
        first, then = self.first.card, self.then.card
        return Card(
            name="chain",
            title=f"Two stages: {first.name}, then {then.name}",
            source="Peng, Li, Zhou and Li (2024)",
            needs=ROLES,
            fits="training" if "training" in (first.fits, then.fits) else "scene",
            blind=first.blind and then.blind,
            sigma=then.sigma,
            seam=first.seam + then.seam,
            memory=max(first.memory, then.memory + 1.0),
        )

    def halo(self, geometry: Geometry) -> int:
        """What the second method looks at must itself be complete."""
        first, then = self._halves()
        return first.halo(_only(geometry, "sharp", "dense")) + then.halo(_only(geometry, "rich", "sharp"))

    def span(self) -> int | None:
        """The dates of both."""
        first, then = self.first.span(), self.then.span()
        return None if first is None or then is None else first + then

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Match bands, fit the first method, complete the sampled tiles, and fit the second on them.

        Raises
        ------
        ProblemError
            When a role is missing, or there is no date of which both sharp and dense have valid pixels.
        """
        tick(0.0, "bands of dense and sharp")
        for problem in problems:
            problem.require(*ROLES, by=self.card.name)
        bands = SameBands.learn(problems, self.card.name)
        posed = [_multispectral(problem, bands) for problem in problems]
        first = self.first.fit(posed, lambda done, what: tick(0.45 * done, what))
        whole = []
        for i, (problem, asked) in enumerate(zip(problems, posed, strict=True)):
            tick(0.45 + 0.1 * i / len(problems), "completing the sharp series")
            whole.append(_completed(problem, first.fuse(asked)))
        then = self.then.fit(whole, lambda done, what: tick(0.55 + 0.45 * done, what))
        parts = {"bands": bands.tensors(), "first": first.state, "then": then.state}
        return self.with_state(
            {f"{part}.{name}": t for part, own in parts.items() for name, t in own.items()}
        )

    def fuse(self, problem: Problem) -> Answer:
        """Complete the sharp series, then fuse it with the rich one."""
        first, then = self._halves()
        bands = SameBands.of(under(self.fitted(), "bands"))
        problem.require(*ROLES, by=self.card.name)
        series = first.fuse(_multispectral(problem, bands))
        answer = then.fuse(_completed(problem, series))
        return replace(answer, quality=_as_guided(answer.quality, series.quality))

    def _halves(self) -> tuple[FusionMethod, FusionMethod]:
        """Both methods with what they learned."""
        first, then = (under(self.state, part) for part in ("first", "then"))
        return self.first.with_state(first), self.then.with_state(then)


def _only(geometry: Geometry, *roles: Role) -> Geometry:
    """What a method knows that is given these roles alone."""
    ratios = {role: ratio for role, ratio in geometry.ratios.items() if role in roles}
    return Geometry(ratios, {role: reach for role, reach in geometry.reaches.items() if role in roles})


def _multispectral(problem: Problem, bands: SameBands) -> Problem:
    """The question whose answer is the sharp series on all dates."""
    sharp, dense = problem.require("sharp", "dense", by="chain")
    time, _, rows, cols = problem.target.shape
    matrix = sharp.view.spectral.matrix.double().cpu()
    shape = (time, len(matrix), rows, cols)
    centres = matrix @ problem.target.wavelengths.double().cpu() / matrix.sum(1).clamp_min(1e-12)
    seen = replace(sharp, view=in_bands(sharp.view, shape))
    return Problem(Target(shape, centres, problem.target.days), sharp=seen, dense=bands.series(dense, shape))


def _completed(problem: Problem, series: Answer) -> Problem:
    """The question for the second method: what sharp saw, and elsewhere the first one's answer."""
    (sharp,) = problem.require("sharp", by="chain")
    data, valid = series.full().clone(), torch.ones_like(series.quality, dtype=torch.bool)
    for flag in _NO_GUIDE:
        valid &= series.quality != flag
    masks = sharp.valid.expand(len(sharp.data), *sharp.valid.shape[1:])
    for date, seen, mask in zip(sharp.dates, sharp.data, masks, strict=True):
        data[date] = torch.where(mask, seen, data[date])
        valid[date] |= mask.all(0)
    dead = sharp.dead_bands
    if bool(dead.any()):
        valid = valid & ~dead[:, None, None]
    completed = replace(sharp, data=data, valid=valid, view=_on_all_dates(sharp.view))
    return replace(problem.question(), sharp=completed, dense=None)


def _as_guided(quality: Tensor, guide: Tensor) -> Tensor:
    """(time, 1, y, x) flags: what an image guided that was itself made from other dates, these told."""
    elsewhere = torch.stack([guide == flag for flag in _OTHER_DATES]).any(0)
    return torch.where(elsewhere & (quality == int(Quality.FUSED)), guide, quality)


def _on_all_dates(view: Degradation) -> Degradation:
    """A view that sees every date of the target."""
    temporal = pick(range(view.in_shape[0]), view.in_shape)
    spectral = view.spectral.with_shape(temporal.out_shape)
    return Degradation(temporal, spectral, view.spatial.with_shape(spectral.out_shape))
