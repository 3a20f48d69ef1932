"""Small scenes for spatio-temporal methods: fields of a few kinds that grow at their own pace, with gaps."""

from dataclasses import replace

import numpy as np
import torch

from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.learning.looks import Looks
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.degradation import Degradation

DAYS = (0.0, 16.0, 40.0)


def stf_problem(
    size=(24, 20), days=DAYS, sharp_dates=(0, 2), bands=3, ratio=4, gaps=False, seed=0, scale=1.0
):
    """With truth; both sensors have gaps, with something wild in them."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 4, (size[0] // 4, size[1] // 4)).repeat(4, 0).repeat(4, 1)
    colour, pace = rng.uniform(0.05, 0.4, (4, bands)), rng.uniform(-0.004, 0.004, (4, bands))
    truth = np.stack([(colour + day * pace)[kinds] for day in days]).transpose(0, 3, 1, 2)
    truth = scale * (truth + 0.004 * rng.standard_normal(truth.shape))
    truth = torch.tensor(truth, dtype=torch.float32)
    target = Target(
        tuple(truth.shape), torch.linspace(500.0, 900.0, bands), torch.tensor(days, dtype=torch.float64)
    )
    views = {
        "sharp": Degradation.of(target.shape, dates=list(sharp_dates)),
        "dense": Degradation.of(target.shape, kernel=box_kernel(ratio), ratio=ratio),
    }
    seen = {}
    for role, view in views.items():
        data = view(truth) + 0.002 * scale * torch.tensor(rng.standard_normal(view.out_shape)).float()
        valid = torch.ones(data.shape[0], 1, *data.shape[2:], dtype=torch.bool)
        if gaps and role == "sharp":
            valid[0, :, 6:15, 5:12] = valid[-1, :, 12:20, 9:18] = False
        if gaps and role == "dense":
            valid[0, :, -1, -2:] = valid[1, :, 0, 0] = False
        seen[role] = Observation(torch.where(valid, data, 7.0 * scale), valid, view)
    return Problem(target, truth=truth).with_observations(seen)


def laid_out(problem, method, date):
    """Images of the bases and the asked date, as the references take them: float64 numpy."""
    tile = Looks.of(problem.question(), method.fitted()["live"], method.passes)
    bases, asked = [tile.base(base) for base in method.chosen(tile, date)], tile.look(date)
    fine, coarse = (
        torch.stack([getattr(base, name) for base in bases]).double().numpy() for name in ("fine", "coarse")
    )
    known = torch.stack([base.known & asked.known for base in bases]).numpy()
    rows = [method.state["own.days"].tolist().index(base.day) for base in bases]
    return (fine, coarse, asked.coarse.double().numpy(), known), asked.known.numpy(), rows


def replaced(problem, **data):
    """The problem with other numbers in these roles, gaps as they were."""
    seen = {role: replace(problem.observations[role], data=numbers) for role, numbers in data.items()}
    return problem.with_observations(seen)
