"""Sharp only: the series of a region without any hyperspectral sensor: sharp bands at every date."""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.origin import origin
from stsfusion.learning.resolved import Resolved, suits
from stsfusion.learning.smoothspectra import expansion
from stsfusion.learning.steady import Steady, expanded
from stsfusion.learning.timeline import on_dates

__all__ = ["series_of"]


def series_of(joint: Joint, problem: Problem) -> tuple[Tensor, Tensor]:
    """(time, band, y, x) reflectance and its standard deviation.

    The sharp image where it was seen; else the dense one at fine pixels; without a dense sensor, the sharp
    images between their dates. Bands that are not the target's are expanded smoothly.
    """
    (sharp,) = problem.require("sharp")
    nm = problem.target.wavelengths
    own = expansion(sharp.view.spectral.matrix, nm)
    mask = sharp.valid.expand(sharp.data.shape[0], -1, *sharp.data.shape[2:]).all(1)
    if joint.resolved is not None and suits(problem):
        values = _resolved(joint.resolved, problem, sharp)
        sigma = torch.zeros_like(values)
    else:
        dense = None if joint.guide is None else joint.fine_dense(problem, joint.components(problem))
        values, sigma = _between(joint, problem, dense, sharp)
    noise = torch.full((len(own),), 0.0) if sharp.noise is None else own.abs() @ sharp.noise.to(own)
    if joint.steady is not None:
        sigma = _sure(joint.steady, problem, values, own)
        noise = (noise.square() + joint.steady.spread.to(noise)).sqrt()
    for place, date in enumerate(sharp.dates):
        image = torch.einsum("bs,syx->byx", own.to(sharp.data), sharp.data[place])
        values[date] = torch.where(mask[place], image, values[date])
        sigma[date] = torch.where(mask[place], noise.to(sigma)[:, None, None], sigma[date])
    return values, sigma


def _sure(steady: Steady, problem: Problem, values: Tensor, own: Tensor) -> Tensor:
    """(time, band, y, x) standard deviation of what stands where no sharp image does."""
    (sharp,) = problem.require("sharp")
    response = sharp.view.spectral.matrix.to(values)
    made = torch.einsum("sb,tbyx->tsyx", response, values)
    found = [expanded(steady, steady(problem, date, image), own) for date, image in enumerate(made)]
    scene = expanded(steady, steady.scene.sqrt()[:, None, None], own).to(values)
    quality = origin(problem)
    filled = (quality == int(Quality.FILLED)) | (quality == int(Quality.NO_DATA))
    sigma = torch.stack(found)
    return torch.where(filled, torch.maximum(sigma, scene), sigma)


def _resolved(resolved: Resolved, problem: Problem, sharp: Observation) -> Tensor:
    """Every date from the dense image of it, or from the line between the sharp ones; else see `_coarse`."""
    days = problem.target.days
    line = on_dates(sharp.data, sharp.valid, days[sharp.dates], days, 2)
    made = [resolved(problem, day) for day in days.tolist()]
    images = [own if own is not None else line.values[date] for date, own in enumerate(made)]
    ever = sharp.valid.expand(len(sharp.dates), -1, *sharp.data.shape[2:]).all(1).any(0)
    values = torch.where(ever, torch.stack(images), _coarse(resolved, problem))
    own = expansion(sharp.view.spectral.matrix, problem.target.wavelengths).to(values)
    return torch.einsum("bs,tsyx->tbyx", own, values)


def _coarse(resolved: Resolved, problem: Problem) -> Tensor:
    """(time, s, y, x) the dense series between its dates, for pixels that no sharp image shows.

    What no dense image shows either is the mean of all sharp ones.
    """
    (dense,) = problem.require("dense")
    days = problem.target.days
    line = on_dates(dense.data, dense.valid, days[dense.dates], days, 2)
    return torch.where(line.known, line.values, resolved.mean[:, None, None].to(line.values))


def _between(joint: Joint, problem: Problem, dense: Fine | None, sharp: Observation) -> tuple[Tensor, Tensor]:
    """What stands where no sharp image does."""
    days, nm = problem.target.days, problem.target.wavelengths
    if dense is None:
        line = on_dates(sharp.data, sharp.valid, days[sharp.dates], days, 2)
        own = expansion(sharp.view.spectral.matrix, nm).to(sharp.data)
        values = torch.einsum("bs,tsyx->tbyx", own, line.values)
        spread = sharp.data.std().clamp_min(1e-6)
        return values, torch.full_like(values, float(spread))
    assert problem.dense is not None
    back = expansion(problem.dense.view.spectral.matrix, nm).to(dense.values)
    images, deviations = [], []
    for day in days.tolist():
        image, deviation = joint.at(dense, day)
        images.append(torch.einsum("bd,dyx->byx", back, image))
        deviations.append(torch.einsum("bd,dyx->byx", back.square(), deviation.square()).sqrt())
    return torch.stack(images), torch.stack(deviations)
