"""No estimate is negative: against the conditions of its optimum; sensors that show negative values."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stsfusion.learning.floor import Floor, below_zero
from stsfusion.learning.subspace import Subspace
from stsfusion.methods.jointlr import JointLR
from stsfusion.testing import tiny_problem

_NOISE = 0.004

_DEEP = 0.2


@pytest.fixture(scope="module")
def scene() -> tuple[Subspace, torch.Tensor, torch.Tensor]:
    """Subspace, (band, n) pixels of land and dark water with noise, and a covariance of errors."""
    generator = torch.Generator().manual_seed(0)
    spectra = 0.3 * torch.rand(3, 20, generator=generator)
    weights = torch.rand(4000, 3, generator=generator)
    weights[:200] = 0.002
    pixels = weights @ spectra + _NOISE * torch.randn(4000, 20, generator=generator)
    subspace = Subspace.learn([pixels], rank=4, noise=torch.full((20,), _NOISE))
    root = torch.randn(4, 4, generator=generator).double()
    return subspace, pixels.T, root @ root.T / 4.0 + 0.1 * torch.eye(4).double()


def _dark(subspace: Subspace, count: int = 60) -> torch.Tensor:
    """(p, 1, count) scores of dark spectra that err."""
    generator = torch.Generator().manual_seed(1)
    spectra = 0.01 * torch.randn(count, 20, generator=generator)
    return (subspace.analysis.T @ (spectra - subspace.mean).T)[:, None]


def _spectra(subspace: Subspace, scores: torch.Tensor) -> torch.Tensor:
    return subspace.basis.T @ scores.flatten(1) + subspace.mean[:, None]


def test_bright_spectra_stay_and_dark_ones_are_not_negative(scene):
    subspace, pixels, covariance = scene
    floor = Floor.learn([pixels], covariance, subspace)
    assert float(floor.least.abs().max()) < 0.3 * _NOISE
    bright = (subspace.analysis.T @ (torch.full((20, 30), 0.2) - subspace.mean[:, None]))[:, None]
    assert torch.equal(floor(bright, subspace), bright)
    dark = _dark(subspace)
    assert float(_spectra(subspace, dark).min()) < -2.0 * _NOISE
    assert float(_spectra(subspace, floor(dark, subspace)).min()) > -0.3 * _NOISE


def test_it_is_where_moving_further_costs_as_much_as_it_brings(scene):
    subspace, pixels, covariance = scene
    floor = Floor.learn([pixels], covariance, subspace)
    dark = _dark(subspace)
    moved = floor(dark, subspace)
    firm = (0.1 * subspace.noise.double())[:, None]

    def slope(scores: torch.Tensor) -> torch.Tensor:
        """Of the cost that is said in the module's head."""
        own = scores.double().flatten(1).requires_grad_(True)
        apart = own - dark.double().flatten(1)
        low = (subspace.basis.double().T @ own + (subspace.mean - floor.least).double()[:, None]).clamp_max(0)
        cost = (apart * torch.linalg.solve(covariance, apart)).sum() + (low / firm).square().sum()
        return torch.autograd.grad(cost, own)[0]

    touched = (moved != dark).flatten(1).any(0)
    assert int(touched.sum()) > 20
    assert float(slope(moved)[:, touched].norm()) < 1e-2 * float(slope(dark)[:, touched].norm())


def test_a_sensor_that_shows_negative_values_is_believed(scene):
    subspace, pixels, _ = scene
    assert not below_zero([pixels[:, :2000], pixels[:, 2000:]], subspace.noise)
    assert not below_zero([pixels[:, :0]], subspace.noise)
    shifted = pixels.clone()
    shifted[5, :100] -= 0.05
    assert below_zero([shifted], subspace.noise)


def test_pixels_that_lack_one_band_or_another_are_looked_at_band_by_band(scene):
    subspace, pixels, covariance = scene
    torn = pixels.clone()
    torn[torch.arange(4000) % 20, torch.arange(4000)] = torch.nan
    torn[3] = torch.nan
    assert not below_zero([torn], subspace.noise)
    assert bool(torch.isfinite(Floor.learn([torn], covariance, subspace).least).all())
    torn[5, :100] -= 0.05
    assert below_zero([torn], subspace.noise)


@pytest.fixture
def lowered():
    """By how much a scene's answer differs when all that sensors saw lies deeper, and its least value."""
    problem = tiny_problem(size=48, bands=12, dates=3)
    seen = problem.observations
    lower = problem.with_observations({r: replace(o, data=o.data - _DEEP) for r, o in seen.items()})
    answers = [JointLR.example().fit([p.question()]).fuse(p.question()).full() for p in (problem, lower)]
    return float((answers[1] + _DEEP - answers[0]).square().mean().sqrt()), float(answers[1].min())


def test_what_lies_below_zero_in_truth_is_left_there(lowered):
    apart, least = lowered
    assert least < -0.5 * _DEEP
    assert apart < 1e-4


@pytest.fixture
def unbelieving(monkeypatch):
    """A broken twin: a floor whatever sensors show."""
    monkeypatch.setattr("stsfusion.learning.jointlessons.below_zero", lambda pixels, noise: False)


def test_a_floor_under_truly_negative_reflectance_is_found_out(unbelieving, lowered):
    assert lowered[0] > 1e-4


def test_the_unit_of_the_data_does_not_matter(scene):
    subspace, pixels, covariance = scene
    scaled = Subspace(
        1e4 * subspace.mean, 1e4 * subspace.basis, subspace.analysis / 1e4, 1e4 * subspace.noise
    )
    dark = _dark(subspace)
    one = Floor.learn([pixels], covariance, subspace)(dark, subspace)
    other = Floor.learn([1e4 * pixels], covariance, scaled)(dark, scaled)
    assert torch.allclose(one, other, atol=1e-3)
