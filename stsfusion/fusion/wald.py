"""Wald's protocol: the same question one scale coarser, where the rich observation itself is the reference.

::

    fine    sharp (1)      dense (2)      rich (3)             target: pixel 1
              │ blur, s=3    │ blur, s=3    │ blur, s=3  ╲
    coarse  sharp (3)      dense (6)      rich (9)       labels (3): what rich saw, on the new target

Every image is degraded on its own grid, so all ratios between them stay what they were.
Source: Wald, Ranchin & Mangolini (1997), the synthesis property checked at a coarser scale.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation, Problem, Role, Target
from stsfusion.operators.blur import Blur, gaussian_kernel, identity_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.window import Window

__all__ = ["Wald", "coarsen", "hide"]

_SUPPORT = 0.5
"""Share of a coarse pixel's kernel weight that must be valid for the pixel to be valid."""

_TINY = 1e-6
"""Kernel weight under which a coarse pixel has nothing to be normalised by."""


@dataclass(frozen=True, eq=False)
class Wald:
    """A coarsened question, and what is known of its answer."""

    problem: Problem
    """The question, without truth: dates as before, pixels `ratio` times as large."""

    labels: Observation
    """What the rich sensor saw on its own dates, as sharp as the new target; its view only chooses dates."""


def coarsen(problem: Problem, ratio: int | None = None, kernel: Tensor | None = None) -> Wald:
    """Degrade every image on its own grid; what the rich sensor saw becomes the labels.

    The rich sensor's own point spread function does it; for another ratio a Gaussian of that full width at
    half maximum. Views keep their kernels and ratios, now in pixels of the new target. Rows and columns at
    the far edges that the ratios do not divide are cut off.

    Parameters
    ----------
    problem
        With a rich observation; its truth, if any, is not looked at.
    ratio
        Pixels of each image under one of its degraded pixels; a multiple of the rich ratio, which it is
        by default.
    kernel
        (k, k) point spread function of the rich sensor, pixels of the target, where its own is not what it
        really sees through: labels would be told from images that another sensor had made. For another
        ratio it is of no use.

    Raises
    ------
    ProblemError
        When there is no rich observation, the ratio does not fit it, or the area is too small.
    """
    (rich,) = problem.require("rich", by="coarsen")
    scale = _scale(rich.ratio, ratio)
    area = _divisible(problem.question(), scale)
    (rich,) = area.require("rich", by="coarsen")
    optics = _optics(rich, scale, kernel)
    time, band, rows, cols = area.target.shape
    shape = (time, band, rows // scale, cols // scale)
    target = Target(shape, area.target.wavelengths, area.target.days)
    seen = {role: _degrade(each, optics, _fit(each.view, shape)) for role, each in area.observations.items()}
    return Wald(Problem(target, truth=None, **seen), _labels(rich, scale, shape))


def hide(problem: Problem, role: Role, dates: Collection[int]) -> Problem:
    """The problem as if this role had not seen these dates of the target.

    A role of which no date is left is absent. Dates that it did not see anyway change nothing.
    """
    observation = problem.observations.get(role)
    if observation is None:
        return problem
    keep = [place for place, date in enumerate(observation.dates) if date not in dates]
    left = observation.select(keep) if keep else None
    return replace(problem, **{role: left})  # type: ignore[arg-type]


def _scale(own: int, asked: int | None) -> int:
    scale = own if asked is None else asked
    if scale < 2 or scale % own:
        raise ProblemError(
            "coarsen",
            expected=f"a ratio of at least 2 that is a multiple of the rich ratio {own}",
            got=f"{scale}",
            mend="Without such a ratio the rich data cannot serve as the reference.",
        )
    return scale


def _divisible(problem: Problem, scale: int) -> Problem:
    """Cut off what the ratios, taken after degradation, do not divide."""
    multiple = scale * math.lcm(*(each.ratio for each in problem.observations.values()))
    time, _, rows, cols = problem.target.shape
    if min(rows, cols) < multiple:
        raise ProblemError(
            "coarsen",
            expected=f"at least {multiple}×{multiple} target pixels",
            got=f"{rows}×{cols}",
            mend="Give a larger area: the ratios must divide it one scale coarser as well.",
        )
    return problem.crop(Window.whole(time, rows // multiple * multiple, cols // multiple * multiple))


def _optics(rich: Observation, scale: int, kernel: Tensor | None) -> Blur:
    if scale != rich.ratio:
        return _gaussian(scale, rich.view.in_shape)
    own = rich.view.spatial
    return own if kernel is None else Blur(kernel.to(own.kernel), scale, rich.view.in_shape)


def _gaussian(scale: int, shape: Shape) -> Blur:
    return Blur(gaussian_kernel(float(scale), scale), scale, shape)


def _fit(view: Degradation, shape: Shape) -> Degradation:
    return view.crop(Window.whole(shape[0], shape[2], shape[3]))


def _degrade(observation: Observation, optics: Blur, view: Degradation) -> Observation:
    """Blur and decimate the data where they are valid; white noise shrinks by the kernel's norm."""
    data, weight = _weighted(observation.data, observation.valid, optics)
    spread = float(torch.linalg.vector_norm(optics.kernel))
    noise = None if observation.noise is None else observation.noise * spread
    return Observation(data, weight >= _SUPPORT, view, noise)


def _weighted(data: Tensor, valid: Tensor, optics: Blur) -> tuple[Tensor, Tensor]:
    """Σ k·v·x / Σ k·v over each coarse pixel, and Σ k·v; zero where nothing is valid."""
    mask = valid.expand(*valid.shape[:2], *data.shape[2:])
    weight = optics.with_shape(_shape(mask))(mask.to(data))
    total = optics.with_shape(_shape(data))(data * mask)
    return torch.where(weight > _TINY, total / weight.clamp_min(_TINY), 0.0), weight


def _shape(tensor: Tensor) -> Shape:
    time, band, rows, cols = tensor.shape
    return time, band, rows, cols


def _labels(rich: Observation, scale: int, shape: Shape) -> Observation:
    fitted = _fit(rich.view, shape)
    view = replace(fitted, spatial=Blur(identity_kernel(), 1, fitted.spectral.out_shape))
    if scale == rich.ratio:
        return replace(rich, view=view)
    return _degrade(rich, _gaussian(scale // rich.ratio, shape), view)
