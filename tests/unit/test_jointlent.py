"""Dense bands of dates that only the hyperspectral sensor saw, and regressions far from what taught them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.fusion.examples import tiny_problem
from stsfusion.fusion.problem import Problem
from stsfusion.learning.casting import Casting
from stsfusion.learning.joint import Joint
from stsfusion.learning.jointtrial import tile_of
from stsfusion.learning.panel import Bent
from stsfusion.methods.jointlr import JointLR


def _without(problem: Problem, role: str, dates: list[int]) -> Problem:
    """The sensor did not look on these dates."""
    seen = problem.observations[role]
    return problem.with_observations(
        {role: seen.select([k for k, d in enumerate(seen.dates) if d not in dates])}
    )


def _clouded(problem: Problem, role: str, dates: list[int], cols: slice) -> Problem:
    """It looked, and saw clouds."""
    seen = problem.observations[role]
    valid = seen.valid.expand(len(seen.dates), -1, *seen.data.shape[2:]).clone()
    for date in dates:
        valid[seen.dates.index(date), :, :, cols] = False
    return problem.with_observations(
        {role: replace(seen, valid=valid, data=torch.where(valid, seen.data, 0.5))}
    )


def _bands(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, H, W) dense bands of the first date as they are taken, and as they were."""
    question = problem.question()
    joint = Joint.of(JointLR.example(psf="given").fit([question]).state)
    assert isinstance(joint.casting, Casting)
    tile = tile_of(joint, joint.casting(question, "x"))
    assert tile.dense is not None
    assert problem.truth is not None
    response = problem.observations["dense"].view.spectral.matrix.float()
    return joint.at(tile.dense, 0.0)[0], torch.einsum("bs,syx->byx", response, problem.truth[0])


@pytest.mark.parametrize("clouds", [False, True])
def test_bands_of_a_date_that_only_the_hyperspectral_sensor_saw_are_its_own(clouds):
    problem = tiny_problem(size=48, dates=6)
    less = _clouded(problem, "dense", [0], slice(0, 8)) if clouds else _without(problem, "dense", [0])
    found, true = _bands(less)
    assert problem.truth is not None
    response = problem.observations["dense"].view.spectral.matrix.float()
    another = torch.einsum("bs,syx->byx", response, problem.truth[1])
    own = slice(0, 8 * problem.observations["dense"].ratio) if clouds else slice(None)
    error, change = ((each - true)[..., own].square().mean().sqrt() for each in (found, another))
    assert float(error) < 0.25 * float(change)


def test_dates_under_cloud_everywhere_are_answered_as_if_nobody_had_looked():
    problem = tiny_problem(size=48, dates=6)
    less, clouded = _without(problem, "dense", [1, 3]), _clouded(problem, "dense", [1, 3], slice(None))
    answers = [JointLR.example().fit([p.question()]).fuse(p.question()) for p in (less, clouded)]
    assert torch.allclose(answers[0].full(), answers[1].full(), atol=2e-3)


def test_one_hyperspectral_date_before_those_of_the_other_sensor_teaches_what_bands_say_of_spectra():
    problem = tiny_problem(ratios=(3, 1), roles=("rich", "dense"))
    problem = _without(_without(problem, "rich", [2, 4]), "dense", [0, 2, 4])
    answer = JointLR.example().fit([problem.question()]).fuse(problem.question())
    assert problem.truth is not None
    errors = (answer.full() - problem.truth).square().mean((1, 2, 3)).sqrt()
    still = (problem.truth[:1] - problem.truth).square().mean((1, 2, 3)).sqrt()
    assert bool((errors[1:4] < 0.5 * still[1:4]).all()), (errors, still)


@pytest.mark.parametrize("dates", [1, 2])
def test_products_of_bands_go_on_straight_or_not_at_all_beyond_what_taught_them(dates):
    bands = torch.rand(3, 500, generator=torch.Generator().manual_seed(0))
    bent = Bent.learn(bands, torch.full((3,), 0.01), 4, 0.01, 0, dates=dates)
    lead = bent.components(bands[:, :5, None])
    i, j = torch.triu_indices(3, 3)
    assert torch.allclose(bent(bands[:, :5, None])[3:9], lead[i] * lead[j], atol=1e-4)
    out = torch.tensor([[1.0, -0.7, 0.4]]).T[..., None] * torch.tensor([20.0, 40.0, 60.0])[None, :, None]
    steps = bent(out)[3:9, :, 0].diff(dim=1)
    assert torch.allclose(steps[:, 1], steps[:, 0], rtol=1e-3, atol=1e-3)
    assert bool((steps == 0.0).all()) == (dates == 1)
