"""No estimate is negative: against the conditions of its optimum; sensors that show negative values."""

from __future__ import annotations

import pytest
import torch

from stsfusion.learning.floor import Floor
from stsfusion.learning.subspace import Subspace

_NOISE = 0.004


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
    subspace, pixels, covariance = scene
    shifted = pixels.clone()
    shifted[5, :100] -= 0.05
    floor = Floor.learn([shifted], covariance, subspace)
    assert float(floor.least[5]) < -0.03
    assert float(floor.least[6].abs()) < 0.3 * _NOISE


def test_the_unit_of_the_data_does_not_matter(scene):
    subspace, pixels, covariance = scene
    scaled = Subspace(
        1e4 * subspace.mean, 1e4 * subspace.basis, subspace.analysis / 1e4, 1e4 * subspace.noise
    )
    dark = _dark(subspace)
    one = Floor.learn([pixels], covariance, subspace)(dark, subspace)
    other = Floor.learn([1e4 * pixels], covariance, scaled)(dark, scaled)
    assert torch.allclose(one, other, atol=1e-3)
