"""Sharp only: the series of a region without any hyperspectral sensor: sharp bands at every date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.bandmatch import BandMatch, Sample
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.live import same_bands
from stsfusion.learning.origin import origin
from stsfusion.learning.resolved import Resolved, suits
from stsfusion.learning.smoothspectra import expansion
from stsfusion.learning.steady import Steady, expanded
from stsfusion.learning.swaths import swaths
from stsfusion.learning.timeline import on_dates

__all__ = ["matched", "series_of", "sharp_bands"]


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
        values, sigma = _between(joint, problem, sharp)
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


def _between(joint: Joint, problem: Problem, sharp: Observation) -> tuple[Tensor, Tensor]:
    """What stands where no sharp image does, a few rows at a time; what nobody saw is the mean of all."""
    days = problem.target.days
    own = expansion(sharp.view.spectral.matrix, problem.target.wavelengths).to(sharp.data)
    line = on_dates(sharp.data, sharp.valid, days[sharp.dates], days, 2)
    images = line.values
    if joint.steady is not None:
        images = torch.where(line.known, images, joint.steady.mean[:, None, None].to(images))
    tells = joint.guide is not None and (joint.match is not None or same_bands(problem))
    dense = joint.coming_dense(problem, joint.components(problem)) if tells else None
    if dense is not None:
        for swath in swaths(problem):
            fine = dense.rows(swath.own)
            for date, day in enumerate(days.tolist()):
                images[date, :, swath.own] = sharp_bands(joint, fine, day)
    values = torch.einsum("bs,tsyx->tbyx", own, images)
    return values, torch.full_like(values, float(sharp.data.std().clamp_min(1e-6)))


def sharp_bands(joint: Joint, dense: Fine, day: float) -> Tensor:
    """(s, H, W) the sharp sensor's bands of a day, as dense ones tell them."""
    image = joint.at(dense, day)[0]
    return image if joint.match is None else joint.match(image[None])[0]


def matched(joint: Joint, problems: Sequence[Problem]) -> Joint:
    """With what dense bands say of sharp ones, where both saw a date; those of the same bands say the same.

    Sensors that never met are matched by what each saw of the days of the sharp one.
    """
    if joint.dense is None or same_bands(problems[0]):
        return joint
    (first,) = problems[0].require("sharp")
    found: list[list[Sample]] = [[] for _ in first.dates]
    for problem in problems:
        (sharp,) = problem.require("sharp")
        dense = joint.fine_dense(problem, joint.components(problem))
        assert dense is not None
        clear = sharp.valid.expand(sharp.data.shape).all(1)
        for samples, date, image, mask in zip(found, sharp.dates, sharp.data, clear, strict=True):
            bands = joint.at(dense, float(problem.target.days[date]))[0]
            samples.append((bands, image, mask.to(image)))
    seen = [samples for samples in found if any(bool(weight.any()) for _, _, weight in samples)]
    return replace(joint, match=BandMatch.learn(seen, curved=False)) if seen else joint
