"""A tiny problem: small enough for any test, hard enough to tell a method from plain upsampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stsfusion.fusion.method import Card
from stsfusion.fusion.problem import ROLES, Observation, Problem, Role, Target
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.resample import upsample

__all__ = ["tiny_problem", "tiny_problem_for"]


def tiny_problem(
    *,
    size: int = 48,
    bands: int = 20,
    dates: int = 5,
    ratios: tuple[int, int] = (3, 2),
    roles: tuple[Role, ...] = ROLES,
    gaps: bool = False,
    multispectral: bool = False,
    seed: int = 0,
) -> Problem:
    """A small problem with truth: four materials, smooth fields with sharp borders, and seasons.

    Parameters
    ----------
    size
        Rows and columns of the target; a multiple of 24 and of both ratios.
    bands, dates
        Of the target. The hyperspectral and the sharp sensor see every second date, the dense one all.
    ratios
        Of the hyperspectral and of the dense sensor.
    roles
        Which observations are present.
    gaps
        Whether each observation has an invalid block on one date.
    multispectral
        Spatio-temporal fusion alone: the target has the sharp sensor's four bands, which the dense one sees
        too, and there is no hyperspectral sensor.
    seed
        Of everything random.
    """
    generator = torch.Generator().manual_seed(seed)
    nm = torch.linspace(420.0, 980.0, bands, dtype=torch.float64)
    days = torch.arange(dates, dtype=torch.float64) * 16.0
    truth = _materials(generator, nm, days, size)
    sharp, dense = _broad(nm, 4), _broad(nm, 5)
    if multispectral:
        truth, nm = torch.einsum("sb,tbyx->tsyx", sharp.float(), truth), sharp @ nm
        sharp = dense = torch.eye(4, dtype=torch.float64)
        roles = tuple(role for role in roles if role != "rich")
    target = Target((dates, len(nm), size, size), nm, days)
    seen = list(range(0, dates, 2))
    rich_ratio, dense_ratio = ratios
    views = {
        "rich": Degradation.of(
            target.shape, dates=seen, kernel=gaussian_kernel(rich_ratio, rich_ratio), ratio=rich_ratio
        ),
        "sharp": Degradation.of(target.shape, dates=seen, spectral=sharp),
        "dense": Degradation.of(
            target.shape,
            spectral=dense,
            kernel=gaussian_kernel(dense_ratio, dense_ratio),
            ratio=dense_ratio,
        ),
    }
    observations = {role: _observe(views[role], truth, generator, gaps) for role in roles}
    return Problem(target, truth=truth).with_observations(observations)


def tiny_problem_for(card: Card, **options: Any) -> Problem:
    """A tiny problem of the kind that a method answers: of sharp bands where it has no hyperspectral role."""
    return tiny_problem(multispectral="rich" not in (*card.needs, *card.uses), **options)


def _observe(view: Degradation, truth: Tensor, generator: torch.Generator, gaps: bool) -> Observation:
    clean = view(truth)
    data = clean + 0.001 * torch.randn(clean.shape, generator=generator)
    valid = torch.ones(data.shape[0], 1, *data.shape[2:], dtype=torch.bool)
    if gaps:
        block = slice(data.shape[2] // 3, data.shape[2] // 2)
        valid[min(1, data.shape[0] - 1), :, block, block] = False
        data = torch.where(valid, data, 0.0)
    return Observation(data, valid, view, torch.full((data.shape[1],), 0.001))


def _materials(generator: torch.Generator, nm: Tensor, days: Tensor, size: int) -> Tensor:
    """(time, band, y, x) of soil, crop, water and roofs."""
    x = (nm - 420.0) / 560.0
    edge = torch.sigmoid((nm - 715.0) / 12.0)
    spectra = torch.stack(
        [0.12 + 0.22 * x, 0.05 + 0.45 * edge, 0.06 * (1 - x) + 0.01, 0.25 + 0.05 * torch.sin(6 * x)]
    )
    coarse = torch.rand(1, 4, size // 8, size // 8, generator=generator, dtype=torch.float64)
    fields = upsample(
        torch.rand(1, 4, size // 6, size // 6, generator=generator, dtype=torch.float64), 6, "nearest"
    )
    shares = (upsample(coarse, 8) + 2.0 * fields) ** 3 + 1e-3
    phase = upsample(
        torch.rand(1, 1, size // 6, size // 6, generator=generator, dtype=torch.float64), 6, "nearest"
    )
    season = 0.5 + 0.45 * torch.sin((days / 40.0)[:, None, None, None] + 1.5 * phase)
    grown = torch.cat(
        [shares[:, :1] * (1 - season), shares[:, 1:2] * season, shares[:, 2:].expand(len(days), -1, -1, -1)],
        1,
    )
    grown = grown / grown.sum(1, keepdim=True)
    return torch.einsum("tmyx,mb->tbyx", grown, spectra).float()


def _broad(nm: Tensor, count: int) -> Tensor:
    """(count, band) overlapping broad responses, rows of unit sum."""
    centres = torch.linspace(float(nm.min()) + 30, float(nm.max()) - 30, count, dtype=nm.dtype)
    rows = torch.exp(-0.5 * ((nm[None] - centres[:, None]) / 35.0) ** 2)
    return rows / rows.sum(1, keepdim=True)
