"""Joint optics: point spread functions, noise and offsets of a region's sensors, told by its images alone.

::

    tiles ─► dates that the sharp sensor saw too ─► displacement of each ─► one kernel of all ─► views
          ─► what neighbours cannot tell of bands whose noise nobody states ─► noise

What was found takes the place of what the problem states; everything behind it works with that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.changes import Seen
from stsfusion.learning.jointnoise import FEW, clear_of, texture, unstated_noise
from stsfusion.learning.kept import joined, under
from stsfusion.learning.live import live_bands
from stsfusion.learning.pointing import pointing
from stsfusion.learning.sharedkernel import Look, Sums, shared_kernel, sums_of
from stsfusion.learning.sharpradiometry import SharpRadiometry
from stsfusion.learning.sighting import place_of
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.pairmodel import support
from stsfusion.operators.translate import translate

__all__ = ["JointOptics", "JointPsf"]

JointPsf = Literal["estimated", "given"]

_ROLES: tuple[Role, ...] = ("dense", "rich")
"""Sensors whose point spread function matters."""

_SHARP = "sharp"
"""Prefix of its radiometry."""

_FINE = 4
"""Components of the sharp images that predict."""

_COARSE = 6
"""Components of the coarse images that are predicted."""

_TELLING = 5.0
"""Variance of a component of the sharp images, in that of its noise, from which it predicts."""

_MOST = 6000
"""Coarse pixels of a date that are looked at."""

_LOAD = 1e-3
"""On the slopes of the regression by which displacements are found, in variances of the fine components."""


@dataclass(frozen=True, eq=False)
class JointOptics:
    """What is known of the sensors beyond what problems state."""

    kernels: dict[str, Tensor]
    """(K, K) point spread function by role."""

    noise: dict[str, Tensor]
    """(b,) standard deviation by role, reflectance."""

    added: Tensor | None = None
    """(t, b) what the dense sensor's values have added to them, reflectance; None: nothing."""

    days: Tensor | None = None
    """(t,) of what was added."""

    sharp: SharpRadiometry | None = None
    """What the sharp sensor's values are off by; None: nothing."""

    @classmethod
    def learn(cls, problems: Sequence[Problem], psf: JointPsf) -> Self:
        """From a region's tiles; roles that share no date with the sharp sensor keep what is stated."""
        noise: dict[str, Tensor] = {}
        for role in problems[0].observations:
            if (sd := unstated_noise(problems, role)) is not None:
                noise[role] = sd
        known = [cls({}, noise)(problem) for problem in problems]
        kernels: dict[str, Tensor] = {}
        for role in _ROLES if psf == "estimated" else ():
            if (kernel := _kernel(known, role)) is not None:
                kernels[role] = kernel
        return cls(kernels, noise)

    def __call__(self, problem: Problem) -> Problem:
        """The same problem with what was found in the place of what it states."""
        told: dict[Role, Observation | None] = {}
        for role, seen in problem.observations.items():
            view, noise = seen.view, seen.noise
            if role in self.kernels:
                spatial = replace(view.spatial, kernel=self.kernels[role].double(), phase=(0, 0))
                view = replace(view, spatial=spatial)
            if role in self.noise:
                noise = self.noise[role].to(seen.data)
            data = self._without(problem, seen) if role == "dense" else seen.data
            if role == "sharp" and self.sharp is not None:
                data = self.sharp(problem, seen)
            told[role] = replace(seen, data=data, view=view, noise=noise)
        return problem.with_observations(told)

    def _without(self, problem: Problem, dense: Observation) -> Tensor:
        """(t, b, y, x) dense values less what is added to them; a date that was not learned has the usual."""
        if self.added is None or self.days is None:
            return dense.data
        own = [place_of(self.days, float(problem.target.days[date])) for date in dense.dates]
        usual = self.added.median(0).values
        added = torch.stack([usual if place is None else self.added[place] for place in own])
        return dense.data - added.to(dense.data)[:, :, None, None]

    def reach(self, role: str, ratio: int) -> int | None:
        """Fine pixels beyond its own block that a coarse pixel sees; None: what the problem states."""
        own = self.kernels.get(role)
        return None if own is None else max((len(own) - ratio) // 2, 0)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        kernels = {f"kernel_{role}": kernel for role, kernel in self.kernels.items()}
        noise = {f"noise_{role}": noise for role, noise in self.noise.items()}
        added = {"added": self.added, "days": self.days}
        sharp = {} if self.sharp is None else joined({_SHARP: self.sharp})
        return kernels | noise | sharp | {name: own for name, own in added.items() if own is not None}

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Self:
        """The one that `tensors` came from."""
        parts: dict[str, dict[str, Tensor]] = {"kernel": {}, "noise": {}}
        for name, tensor in tensors.items():
            part, _, role = name.partition("_")
            if role:
                parts[part][role] = tensor
        sharp = under(tensors, _SHARP)
        mended = SharpRadiometry.of(sharp) if sharp else None
        return cls(parts["kernel"], parts["noise"], tensors.get("added"), tensors.get("days"), mended)


@dataclass(frozen=True, eq=False)
class _Bases:
    """Components in which images are compared."""

    fine: Tensor
    """(l, q) of the sharp bands, of unit variance."""

    coarse: Tensor
    """(b, p) of the coarse bands."""

    noise: Tensor
    """(q, q) covariance of a fine pixel's noise in them."""


def _kernel(problems: Sequence[Problem], role: Role) -> Tensor | None:
    """(K, K) of a role; None: nothing tells of another than the problem states."""
    first = problems[0].observations
    if role not in first or "sharp" not in first or first[role].ratio == 1 or first["sharp"].ratio != 1:
        return None
    ratio, common = first[role].ratio, [date for date in first[role].dates if date in first["sharp"].dates]
    bases = _bases(problems, role)
    if bases is None:
        return None
    sums = [own for date in common if (own := _sums(problems, role, date, bases)) is not None]
    if sum(half.count for halves in sums for half in halves) < FEW:
        return None
    return shared_kernel(sums, ratio).float()


def _bases(problems: Sequence[Problem], role: Role) -> _Bases | None:
    """Principal components of all dates together, each date's mean taken away."""
    (sharp,) = problems[0].require("sharp")
    fine, coarse = ([p.observations[name] for p in problems] for name in ("sharp", role))
    noise = _surely(fine, sharp.noise)
    axes = _axes(fine, noise, _FINE), _axes(coarse, torch.zeros(coarse[0].data.shape[1]), _COARSE)
    if axes[0] is None or axes[1] is None:
        return None
    own = axes[0].T * noise.to(axes[0])
    return _Bases(axes[0], axes[1], own @ own.T)


def _surely(seen: Sequence[Observation], stated: Tensor | None) -> Tensor:
    """(b,) noise that sharp images have for sure: what is stated, as far as their texture lets it be."""
    told = texture(seen, live_bands(seen)) if seen[0].data.shape[1] > 2 else None
    if stated is None or told is None:
        return torch.zeros(seen[0].data.shape[1]) if told is None else told.float()
    return torch.minimum(stated.cpu().float(), told.float())


def _axes(seen: Sequence[Observation], noise: Tensor, most: int) -> Tensor | None:
    """(b, n) bands to leading components of unit variance that stand above the noise; dead bands are none."""
    live = live_bands(seen)
    total, count = None, 0
    for each in seen:
        for image, mask in zip(each.data, clear_of(each, live), strict=True):
            pixels = image[live][:, mask].double()
            if pixels.shape[1] < 2:
                continue
            pixels = pixels - pixels.mean(1, keepdim=True)
            square = pixels @ pixels.T
            total, count = square if total is None else total + square, count + pixels.shape[1]
    if total is None:
        return None
    values, vectors = torch.linalg.eigh(total / count)
    chance = vectors.square().T @ noise[live].to(total).square()
    telling = (values > _TELLING * chance) & (values > 1e-9 * values[-1])
    if not bool(telling.any()):
        return None
    values, vectors = values[telling].flip(0)[:most], vectors[:, telling].flip(1)[:, :most]
    axes = torch.zeros(len(live), len(values), dtype=torch.float64, device=total.device)
    axes[live] = vectors / values.sqrt()
    return axes


def _sums(problems: Sequence[Problem], role: Role, date: int, bases: _Bases) -> tuple[Sums, Sums] | None:
    """One date of all tiles, the fine images laid to where the coarse ones lie."""
    ratio = problems[0].observations[role].ratio
    both = [p for p in problems if all(date in p.observations[name].dates for name in ("sharp", role))]
    tiles = [_tile(problem, role, date, bases) for problem in both]
    start = gaussian_kernel(float(ratio), ratio).float()
    pairs = [
        (fine.float(), Seen(low[None].float(), clear[None], [start], ratio)) for fine, low, clear in tiles
    ]
    shift = pointing(pairs, _LOAD)[0].tolist()
    looks = [_look(translate(fine, (shift[0], shift[1])), low, clear, ratio) for fine, low, clear in tiles]
    count = sum(look.values.shape[1] for look in looks)
    if count < 8 * (_FINE + 1):
        return None
    step = -(-count // _MOST)
    thin = [Look(look.patches[:, ::step], look.values[:, ::step]) for look in looks]
    return sums_of(thin, bases.noise)


def _tile(problem: Problem, role: Role, date: int, bases: _Bases) -> tuple[Tensor, Tensor, Tensor]:
    """(q, H, W) fine and (p, h, w) coarse components, and the (h, w) pixels that may be learned from."""
    sharp, seen = problem.observations["sharp"], problem.observations[role]
    fine, whole = _components(sharp, date, bases.fine)
    low, clear = _components(seen, date, bases.coarse)
    margin, ratio = support(seen.ratio), seen.ratio
    gaps = pad((~whole)[None, None].float(), (margin,) * 4, value=1.0)
    near = max_pool2d(gaps, ratio + 2 * margin, ratio)[0, 0] == 0
    return fine, low, clear & near


def _components(seen: Observation, date: int, axes: Tensor) -> tuple[Tensor, Tensor]:
    place, live = seen.dates.index(date), axes.abs().sum(1) > 0
    mask = clear_of(seen, live)[place]
    image = torch.where(mask, seen.data[place].double(), 0.0)
    mean = image[:, mask].mean(1) if bool(mask.any()) else image.mean((1, 2))
    return torch.einsum("bn,byx->nyx", axes, torch.where(mask, image - mean[:, None, None], 0.0)), mask


def _look(fine: Tensor, low: Tensor, clear: Tensor, ratio: int) -> Look:
    margin = support(ratio)
    wide = pad(fine[None], (margin,) * 4, mode="replicate")[0]
    windows = wide.unfold(1, ratio + 2 * margin, ratio).unfold(2, ratio + 2 * margin, ratio)
    return Look(windows[:, clear].flatten(2), low[:, clear])
