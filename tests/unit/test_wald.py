"""Wald's protocol: one scale coarser, with the rich observation as the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.fusion.wald import coarsen, hide
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.degradation import Degradation

RESPONSE = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]])


def _observe(cube: torch.Tensor, view: Degradation) -> Observation:
    data = view(cube)
    valid = torch.ones(data.shape[0], 1, *data.shape[2:], dtype=torch.bool)
    return Observation(data, valid, view, torch.full((data.shape[1],), 0.01))


def _problem(cube: torch.Tensor, kernel: torch.Tensor | None = None) -> Problem:
    shape = tuple(cube.shape)
    kernel = gaussian_kernel(3.0, 3) if kernel is None else kernel
    rich = Degradation.of(shape, dates=[0, 2], kernel=kernel, ratio=3)
    sharp = Degradation.of(shape, dates=[0, 2], spectral=RESPONSE)
    dense = Degradation.of(shape, spectral=RESPONSE, kernel=gaussian_kernel(2.0, 2), ratio=2)
    target = Target(shape, torch.arange(4.0), torch.tensor([0.0, 9.0, 30.0]))
    roles = {"rich": rich, "sharp": sharp, "dense": dense}
    return Problem(target, truth=cube, **{role: _observe(cube, view) for role, view in roles.items()})


@pytest.fixture
def cube() -> torch.Tensor:
    rows = torch.linspace(0.1, 0.5, 36)[:, None]
    cols = torch.linspace(0.0, 0.3, 36)[None]
    return (rows + cols) * torch.rand(3, 4, 1, 1, generator=torch.Generator().manual_seed(1))


def test_every_ratio_is_kept_and_the_labels_are_what_rich_saw(cube):
    problem = _problem(cube)
    wald = coarsen(problem)
    assert wald.problem.truth is None
    assert wald.problem.target.shape == (3, 4, 12, 12)
    assert {role: each.ratio for role, each in wald.problem.observations.items()} == {
        "rich": 3,
        "sharp": 1,
        "dense": 2,
    }
    assert torch.equal(wald.labels.data, problem.rich.data)
    assert wald.labels.dates == [0, 2]
    assert wald.labels.ratio == 1
    assert torch.equal(wald.problem.target.days, problem.target.days)


def test_the_truth_is_not_looked_at(cube):
    problem = _problem(cube)
    other = replace(problem, truth=torch.rand_like(cube))
    first, second = coarsen(problem), coarsen(other)
    for role, each in first.problem.observations.items():
        assert torch.equal(each.data, second.problem.observations[role].data)


def test_every_image_is_degraded_on_its_own_grid_by_the_rich_kernel(cube):
    problem = _problem(cube, kernel=box_kernel(3))
    wald = coarsen(problem)
    for role, each in problem.observations.items():
        time, band, rows, cols = each.data.shape
        plain = each.data.reshape(time, band, rows // 3, 3, cols // 3, 3).mean((3, 5))
        torch.testing.assert_close(wald.problem.observations[role].data, plain)


def test_the_labels_lie_on_the_new_target_without_a_shift(cube):
    """On a ramp a coarse pixel is its block's centre, so views of the labels equal the coarse images."""
    wald = coarsen(_problem(cube))
    whole = torch.zeros(wald.problem.target.shape)
    whole[wald.labels.dates] = wald.labels.data
    inner = (..., slice(4, -4), slice(4, -4))
    sharp = wald.problem.sharp
    torch.testing.assert_close(sharp.data[inner], sharp.view(whole)[inner], atol=2e-4, rtol=1e-3)
    shifted = sharp.view(whole.roll(1, -1))[inner]
    assert (sharp.data[inner] - shifted).abs().max() > 2e-3


def test_edges_that_the_ratios_do_not_divide_are_cut_off():
    problem = _problem(torch.rand(3, 4, 42, 54))
    wald = coarsen(problem)
    assert wald.problem.target.shape == (3, 4, 12, 18)
    assert torch.equal(wald.labels.data, problem.rich.data[:, :, :12, :18])


def test_a_coarse_pixel_is_valid_when_half_of_its_weight_is_and_gaps_do_not_leak():
    problem = _problem(torch.full((3, 4, 36, 36), 0.3), kernel=box_kernel(3))
    data, valid = problem.sharp.data.clone(), problem.sharp.valid.clone()
    for count, (row, col) in ((4, (0, 0)), (5, (0, 3)), (9, (0, 6))):
        block = valid[0, 0, row : row + 3, col : col + 3]
        block.view(3, 3)[torch.arange(count) // 3, torch.arange(count) % 3] = False
    data[~valid.expand_as(data)] = 1e6
    problem = replace(problem, sharp=replace(problem.sharp, data=data, valid=valid))
    sharp = coarsen(problem).problem.sharp
    assert sharp.valid[0, 0, 0, :4].tolist() == [True, False, False, True]
    torch.testing.assert_close(sharp.data[:, :, 0, :2], torch.full((2, 2, 2), 0.3))
    assert torch.equal(sharp.data[0, :, 0, 2], torch.zeros(2))


def test_white_noise_shrinks_by_the_norm_of_the_kernel():
    wald = coarsen(_problem(torch.full((3, 4, 36, 36), 0.3), kernel=box_kernel(3)))
    torch.testing.assert_close(wald.problem.dense.noise, torch.full((2,), 0.01 / 3))
    torch.testing.assert_close(wald.labels.noise, torch.full((4,), 0.01))


def test_another_ratio_blurs_the_labels_too():
    wald = coarsen(_problem(torch.full((3, 4, 72, 36), 0.3)), ratio=6)
    assert wald.problem.target.shape == (3, 4, 12, 6)
    assert tuple(wald.labels.data.shape) == (2, 4, 12, 6)
    torch.testing.assert_close(wald.labels.data, torch.full((2, 4, 12, 6), 0.3))
    assert wald.problem.rich.ratio == 3


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_a_ratio_that_does_not_fit_the_rich_one_is_refused(ratio):
    with pytest.raises(ProblemError, match="multiple of the rich ratio 3"):
        coarsen(_problem(torch.rand(3, 4, 36, 36)), ratio)


def test_a_small_area_and_a_missing_role_are_refused():
    with pytest.raises(ProblemError, match="at least 18×18 target pixels"):
        coarsen(_problem(torch.rand(3, 4, 12, 36)))
    with pytest.raises(ProblemError, match="'coarsen'"):
        coarsen(replace(_problem(torch.rand(3, 4, 36, 36)), rich=None))


def test_hidden_dates_are_gone_from_one_role_only():
    problem = _problem(torch.rand(3, 4, 36, 36))
    hidden = hide(problem, "rich", {2})
    assert hidden.rich.dates == [0]
    assert torch.equal(hidden.rich.data, problem.rich.data[:1])
    assert hidden.sharp is problem.sharp
    assert hide(problem, "rich", [0, 1, 2]).rich is None
    assert hide(problem, "rich", [1]).rich.dates == [0, 2]
    assert hide(replace(problem, rich=None), "rich", [0]).rich is None
