"""Live: which bands of each sensor ever tell anything of a region.

A band that is dead is valid nowhere in the whole region; a tile that a sensor saw only as cloud lacks all its
bands and none of them is dead. Only all tiles together tell the one from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import ROLES, Observation, Problem, Role
from stsfusion.learning.kept import Kept
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.mix import Mix

__all__ = [
    "Live",
    "bridged",
    "half_clear",
    "live_bands",
    "on_dead",
    "refuse_blind",
    "same_bands",
    "with_seen_dates",
]

_FEW = 12
"""Clear pixels, in all tiles, below which a date counts as unseen."""

_LOST = 0.02
"""Share of a band's response on dead hyperspectral bands from which these no longer tell its level."""


@dataclass(frozen=True, eq=False)
class Live(Kept):
    """Bands that are valid somewhere; a sensor without any has seen nothing."""

    rich: Tensor
    """(b,) bool; none without that sensor."""

    sharp: Tensor
    """(b,) bool."""

    dense: Tensor
    """(b,) bool."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], needs: Sequence[Role], by: str) -> Self:
        """From all tiles; of series of the same bands, those that both sensors have.

        Raises
        ------
        ProblemError
            When a sensor that is needed saw nothing at all.
        """
        tiles = {role: [p.observations[role] for p in problems if role in p.observations] for role in ROLES}
        found = {role: live_bands(own) for role, own in tiles.items()}
        for role in needs:
            refuse_blind(role, found[role], by)
        if same_bands(problems[0]) and bool(found["dense"].any()):
            found["sharp"] = found["dense"] = found["sharp"] & found["dense"]
            refuse_blind("sharp", found["sharp"], by)
        return cls(**found)

    def __call__(self, problem: Problem) -> Problem:
        """The same question to the live bands of sharp and dense, without sensors that have none."""
        live = self.tensors()
        blind: dict[Role, Observation | None] = {
            role: None for role in problem.observations if not bool(live[role].any())
        }
        seen = problem.with_observations(blind)
        broad: list[Role] = [role for role in ("sharp", "dense") if role in seen.observations]
        lame = {role: _with(seen.observations[role], live[role]) for role in broad if not live[role].all()}
        if seen.rich is None:
            return seen.with_observations(lame)
        return seen.with_observations(
            {**lame, "rich": bridged(seen.rich, self.rich, seen.target.wavelengths)}
        )


def live_bands(tiles: Sequence[Observation]) -> Tensor:
    """(b,) bool: bands that are valid somewhere in some tile; none of no tiles."""
    if not tiles:
        return torch.zeros(0, dtype=torch.bool)
    return torch.stack([~tile.dead_bands.cpu() for tile in tiles]).any(0)


def with_seen_dates(problems: Sequence[Problem]) -> list[Problem]:
    """The same tiles without dates of a sensor that lay under cloud in all of them: they teach nothing.

    A sensor all of whose dates did so keeps them.
    """
    seen: dict[Role, list[int]] = {}
    for role in ROLES:
        own = [p.observations[role] for p in problems if role in p.observations]
        if own:
            clear = torch.stack([half_clear(each).sum((1, 2)).cpu() for each in own]).sum(0)
            seen[role] = (clear >= _FEW).nonzero()[:, 0].tolist()
    made = []
    for problem in problems:
        less = {r: s for r, s in seen.items() if r in problem.observations and s}
        kept = {role: problem.observations[role].select(dates) for role, dates in less.items()}
        made.append(problem.with_observations(kept))
    return made


def half_clear(observation: Observation) -> Tensor:
    """(t, y, x) bool, on the sensor's own grid: pixels at which half of the bands are valid, at least."""
    mask = observation.valid.expand(len(observation.data), -1, *observation.data.shape[2:])
    return mask.float().mean(1) >= 0.5


def refuse_blind(role: Role, live: Tensor, by: str) -> None:
    """Go no further with a sensor that saw nothing at all.

    Raises
    ------
    ProblemError
        When none of its bands is live.
    """
    if not bool(live.any()):
        raise ProblemError(
            f"method '{by}', role '{role}'",
            expected="a valid pixel on some date",
            got="gaps everywhere, on all dates and in all tiles",
            mend="Look at its mask; or sample more tiles, or dates on which the sky was clear.",
        )


def same_bands(problem: Problem) -> bool:
    """Whether sharp and dense are both there and have the same bands."""
    sharp, dense = problem.sharp, problem.dense
    return sharp is not None and dense is not None and _same(sharp.view.spectral, dense.view.spectral)


def _same(first: Mix, second: Mix) -> bool:
    return torch.equal(first.matrix, second.matrix)


def bridged(rich: Observation, live: Tensor, wavelengths: Tensor) -> Observation:
    """Dead bands of a hyperspectral sensor as lines between those about them, in wavelength.

    What broader bands see of a spectrum is then told as if none were missing.
    """
    if bool(live.all()) or not bool(live.any()):
        return rich
    nm, live = wavelengths.double().cpu(), live.cpu()
    order = nm[live].argsort()
    places = live.nonzero()[:, 0][order]
    dead = (~live).nonzero()[:, 0]
    right = torch.searchsorted(nm[places], nm[dead]).clamp(1, max(len(places) - 1, 1))
    first, second = places[right - 1], places[right.clamp_max(len(places) - 1)]
    share = ((nm[dead] - nm[first]) / (nm[second] - nm[first]).clamp_min(1e-9)).clamp(0.0, 1.0)
    share = share.to(rich.data)[:, None, None]
    data, valid = rich.data.clone(), rich.valid.expand(rich.data.shape).clone()
    data[:, dead] = data[:, first] * (1.0 - share) + data[:, second] * share
    valid[:, dead] = valid[:, first] & valid[:, second]
    noise = rich.noise
    if noise is not None:
        noise = noise.clone()
        noise[dead] = torch.maximum(noise[first], noise[second])
    return replace(rich, data=data, valid=valid, noise=noise)


def on_dead(response: Tensor, dead: Tensor) -> Tensor:
    """(b,) bool: which rows of the (b, band) response look where (band,) hyperspectral bands are dead."""
    weight = response.abs()
    return weight[:, dead.to(weight.device)].sum(1) > _LOST * weight.sum(1)


def _with(observation: Observation, live: Tensor) -> Observation:
    """These bands alone."""
    view = observation.view
    spectral = replace(view.spectral, matrix=view.spectral.matrix[live.to(view.spectral.matrix.device)])
    own = live.to(observation.data.device)
    valid = observation.valid if observation.valid.shape[1] == 1 else observation.valid[:, own]
    return replace(
        observation,
        data=observation.data[:, own],
        valid=valid,
        view=Degradation(view.temporal, spectral, view.spatial.with_shape(spectral.out_shape)),
        noise=None if observation.noise is None else observation.noise[own],
    )
