"""Lent: dense bands that only the hyperspectral sensor saw, of whole dates or under clouds.

::

    m(s, t) = R (μ + Bᵀ a(s, t))      R: what the dense sensor makes of spectra, a: fine scores

Regressions on the bands of a date are learned from that date's own bands. Those of another date, however
near, belong to other spectra wherever something has changed in between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.live import half_clear
from stsfusion.learning.sighting import place_of
from stsfusion.operators.resample import blocks

__all__ = ["lent", "seen_by_dense", "seen_by_either"]


def lent(joint: Joint, problem: Problem, dense: Fine, rich: Fine) -> Fine:
    """The dense series of a tile, or of rows of it, and what only the hyperspectral one has."""
    assert joint.subspace is not None
    assert problem.dense is not None
    alone = seen_by_either(problem, rich.days) & ~seen_by_dense(problem, rich.days)
    places = [place_of(dense.days, day) for day in rich.days.tolist()]
    some = [k for k, place in enumerate(places) if place is None or bool(alone[k].any())]
    if not some:
        return dense
    response = problem.dense.view.spectral.matrix.to(joint.subspace.basis)
    seen, mean = response @ joint.subspace.basis.T, (response @ joint.subspace.mean)[:, None, None]
    images = dict(enumerate(zip(dense.days, dense.values, dense.deviation, strict=True)))
    for k in some:
        values = torch.einsum("bp,pyx->byx", seen, rich.values[k]) + mean
        deviation = torch.einsum("bp,pyx->byx", seen.square(), rich.deviation[k].square()).sqrt()
        place = places[k]
        if place is not None:
            _, there, unsure = images[place]
            values, deviation = torch.where(alone[k], values, there), torch.where(alone[k], deviation, unsure)
        images[len(images) if place is None else place] = rich.days[k], values, deviation
    every = sorted(images.values(), key=lambda image: float(image[0]))
    days, series, deviations = (torch.stack(part) for part in zip(*every, strict=True))
    return Fine(days, series, deviations, dense.looks)


def seen_by_dense(problem: Problem, days: Tensor) -> Tensor:
    """(t, H, W) bool: the dense sensor saw all bands of the fine pixels on (t,) days."""
    assert problem.dense is not None
    dense = problem.dense
    return _fine(problem, dense, dense.valid.expand(len(dense.data), -1, *dense.data.shape[2:]).all(1), days)


def seen_by_either(problem: Problem, days: Tensor) -> Tensor:
    """(t, H, W) bool: so it did, or the hyperspectral one saw most bands."""
    assert problem.rich is not None
    return seen_by_dense(problem, days) | _fine(problem, problem.rich, half_clear(problem.rich), days)


def _fine(problem: Problem, observation: Observation, clear: Tensor, days: Tensor) -> Tensor:
    """(t, H, W) of a sensor's (n, h, w), days that it did not look at being unseen."""
    own = problem.target.days[observation.dates].float()
    places = [place_of(own, day) for day in days.tolist()]
    none = torch.zeros_like(clear[0])
    images = torch.stack([none if place is None else clear[place] for place in places])
    return blocks(images[:, None], observation.ratio)[:, 0]
