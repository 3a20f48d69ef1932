"""Small hyperspectral–multispectral problems with texture at every scale, and what can befall them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.pair import Pair
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.degradation import Degradation

__all__ = ["NM", "changed", "pair_of", "pair_problem", "responses", "textured"]

NM = (420.0, 980.0)
"""First and last wavelength, nm."""


def textured(rows: int, cols: int, bands: int, seed: int = 0, days: Sequence[float] = (0.0,)) -> Tensor:
    """(time, L, rows, cols) float64 mixtures of four materials; their shares have texture of every size."""
    dice = torch.Generator().manual_seed(seed)
    nm = torch.linspace(*NM, bands, dtype=torch.float64)
    x, edge = (nm - NM[0]) / (NM[1] - NM[0]), torch.sigmoid((nm - 715.0) / 25.0)
    spectra = torch.stack(
        [0.12 + 0.22 * x, 0.05 + 0.4 * edge, 0.06 * (1 - x) + 0.02, 0.25 + 0.05 * torch.sin(6 * x)]
    )
    fields = torch.zeros(1, 4, rows, cols, dtype=torch.float64)
    for side in (1, 3, 7, 15):
        white = torch.randn(1, 4, rows, cols, generator=dice, dtype=torch.float64)
        half = side // 2
        smooth = avg_pool2d(pad(white, (half,) * 4, mode="reflect"), side, 1) if half else white
        fields += smooth * side**0.8
    grown = torch.tensor(days, dtype=torch.float64)[:, None, None, None] / 40.0
    season = torch.tensor([0.0, 1.0, -0.5, 0.3], dtype=torch.float64)[None, :, None, None]
    shares = torch.softmax(0.6 * fields + season * torch.sin(grown), 1)
    return torch.einsum("tmyx,mb->tbyx", shares, spectra)


def responses(nm: Tensor, count: int) -> Tensor:
    """(count, L) broad triangles, zero outside, rows of unit sum; one is panchromatic."""
    if count == 1:
        return torch.full((1, len(nm)), 1.0 / len(nm), dtype=torch.float64)
    centres = torch.linspace(float(nm[0]) + 40, float(nm[-1]) - 40, count, dtype=torch.float64)
    rows = (1.0 - (nm[None] - centres[:, None]).abs() / 110.0).clamp_min(0.0)
    return rows / rows.sum(1, keepdim=True)


def pair_problem(
    *,
    size: tuple[int, int] = (36, 36),
    ratio: int = 3,
    bands: int = 12,
    fine: int = 4,
    days: Sequence[float] = (0.0,),
    sharp_dates: Sequence[int] | None = None,
    rich_dates: Sequence[int] | None = None,
    kernel: Tensor | None = None,
    response: Tensor | None = None,
    noise: float = 0.001,
    registered: bool = True,
    known: bool = True,
    seed: int = 0,
) -> Problem:
    """A pair as both sensors see one scene, with truth.

    `registered` says whether the place of the sharp image is known; `known` whether kernel and response are.
    """
    dice = torch.Generator().manual_seed(seed + 1)
    truth = textured(*size, bands, seed, days).float()
    nm = torch.linspace(*NM, bands, dtype=torch.float64)
    kernel = gaussian_kernel(ratio, ratio) if kernel is None else kernel
    response = responses(nm, fine) if response is None else response
    every = list(range(len(days)))
    rich_dates = every if rich_dates is None else list(rich_dates)
    sharp_dates = every if sharp_dates is None else list(sharp_dates)
    views = {
        "rich": Degradation.of(truth.shape, dates=rich_dates, kernel=kernel, ratio=ratio, known=known),
        "sharp": Degradation.of(truth.shape, dates=sharp_dates, spectral=response, known=known),
    }
    place = replace(views["sharp"].spatial, known=registered)
    views["sharp"] = replace(views["sharp"], spatial=place)
    seen = {role: _observed(view, truth, noise, dice) for role, view in views.items()}
    target = Target(tuple(truth.shape), nm, torch.tensor(days, dtype=torch.float64))
    return Problem(target, truth=truth).with_observations(seen)


def _observed(view: Degradation, truth: Tensor, noise: float, dice: torch.Generator) -> Observation:
    clean = view(truth)
    data = clean + noise * torch.randn(clean.shape, generator=dice)
    return Observation(data, torch.ones(data.shape, dtype=torch.bool), view)


def changed(problem: Problem, **roles: object) -> Problem:
    """With data (and mask) of some roles made anew by a function of the observation."""
    return problem.with_observations({role: make(getattr(problem, role)) for role, make in roles.items()})


def believed(problem: Problem) -> Problem:
    """With the nominal point spread function taken for the one that is known."""
    spatial = replace(problem.rich.view.spatial, known=True)
    return changed(problem, rich=lambda seen: replace(seen, view=replace(seen.view, spatial=spatial)))


def pair_of(problem: Problem) -> Pair:
    """The first date of a problem without gaps."""
    rich, sharp = problem.rich, problem.sharp
    return Pair(
        coarse=rich.data[0],
        fine=sharp.data[0],
        clear=rich.valid[0].all(0),
        known=sharp.valid[0].all(0),
        coverage=sharp.view.spectral.matrix > 0,
        nm=problem.target.wavelengths,
        ratio=rich.ratio,
        day=0.0,
        coarse_noise=None,
        fine_noise=None,
    )
