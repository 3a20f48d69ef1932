"""The non-negative dictionary: each walk lowers the cost, and what is there to be found is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning.dictionary import learn_dictionary, renewed


def scene(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(L, n) pixels, most of them of one of four spectra each, of any brightness; and the spectra."""
    dice = np.random.default_rng(seed)
    spectra = dice.random((15, 4)) ** 3
    shares = np.eye(4)[dice.integers(0, 4, n)] * dice.uniform(0.2, 2.0, (n, 1))
    pixels = spectra @ shares.T + 0.002 * dice.standard_normal((15, n))
    return torch.from_numpy(pixels), torch.from_numpy(spectra / np.linalg.norm(spectra, axis=0))


def test_spectra_that_pixels_are_made_of_are_found():
    pixels, spectra = scene()
    found = learn_dictionary(pixels, 8, 30, 0.1, 0)
    assert found.shape == (15, 8)
    assert bool((found >= 0).all())
    torch.testing.assert_close(found.norm(dim=0), torch.ones(8, dtype=torch.float64))
    assert float((spectra.T @ found).amax(1).min()) > 0.998


@pytest.mark.parametrize("seed", [0, 1])
def test_a_walk_over_the_columns_never_raises_the_cost(seed):
    dice = torch.Generator().manual_seed(seed)
    codes = torch.rand(50, 6, generator=dice, dtype=torch.float64) ** 4
    x = torch.rand(50, 9, generator=dice, dtype=torch.float64) - 0.2
    d = torch.rand(9, 6, generator=dice, dtype=torch.float64)
    d = d / d.norm(dim=0)
    inner, outer = codes.T @ codes, x.T @ codes

    def cost(d):
        return 0.5 * float((x - codes @ d.T).square().sum())

    path = [cost(d)]
    for _ in range(20):
        d = renewed(d, inner, outer)
        path.append(cost(d))
        assert bool((d >= 0).all())
        assert float(d.norm(dim=0).max()) < 1 + 1e-12
    assert max(np.diff(path)) < 1e-10
    assert path[-1] < 0.9 * path[0]


def test_a_column_ends_at_its_optimum():
    """With one column the walk is exact: x aᵀ / aᵀa, what is negative cut, no longer than one."""
    codes = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    x = torch.tensor([[0.1, -0.4], [0.3, 0.1]], dtype=torch.float64)
    d = renewed(torch.ones(2, 1, dtype=torch.float64), codes.T @ codes, x.T @ codes)
    np.testing.assert_allclose(d[:, 0].numpy(), [0.7 / 5.0, 0.0])
    long = renewed(torch.ones(2, 1, dtype=torch.float64), codes.T @ codes, 100 * x.T @ codes)
    np.testing.assert_allclose(long[:, 0].numpy(), [1.0, 0.0])


def test_what_is_dark_or_negative_teaches_nothing():
    pixels, _ = scene()
    lowered = pixels.clone()
    lowered[3] = lowered[3].clamp(max=0.0)
    below = lowered.clone()
    below[3] -= 0.7
    torch.testing.assert_close(
        learn_dictionary(lowered, 6, 5, 0.1, 0), learn_dictionary(below, 6, 5, 0.1, 0), rtol=0, atol=0
    )
    dark = torch.cat([pixels, 1e-6 * torch.rand(15, 400, dtype=torch.float64)], 1)
    torch.testing.assert_close(
        learn_dictionary(dark, 6, 5, 0.1, 0), learn_dictionary(pixels, 6, 5, 0.1, 0), rtol=0, atol=0
    )


def test_fewer_pixels_than_atoms_and_none_that_shine():
    pixels, _ = scene(3)
    assert learn_dictionary(pixels, 10, 2, 0.1, 0).shape == (15, 3)
    assert bool(torch.isfinite(learn_dictionary(torch.zeros(15, 5), 4, 2, 0.1, 0)).all())


def test_the_seed_decides():
    pixels, _ = scene()
    one, same, other = (learn_dictionary(pixels, 6, 2, 0.1, seed) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
