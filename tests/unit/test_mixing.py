"""The stochastic mixing model: its lattice, its densities, and a likelihood that never falls."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
import torch

from stsfusion.learning.mixing import MixingModel, lattice, learn_mixing


def cloud(n: int = 300, seed: int = 0) -> torch.Tensor:
    """(n, 3) pixels that mix three materials."""
    dice = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0, 0.3], [1.0, 0.1, 0.0], [0.2, 0.8, 0.5]])
    pure = means + 0.05 * dice.standard_normal((n, 3, 3))
    shares = dice.dirichlet([0.6, 0.6, 0.6], n)
    return torch.from_numpy(np.einsum("nk,nkd->nd", shares, pure))


@pytest.mark.parametrize(("materials", "levels"), [(1, 1), (2, 5), (4, 3)])
def test_the_lattice_holds_every_mixture_once(materials, levels):
    shares = lattice(materials, levels)
    assert shares.shape == (comb(levels + materials - 1, levels), materials)
    torch.testing.assert_close(shares.sum(1), torch.ones(len(shares), dtype=torch.float64))
    assert len(shares.unique(dim=0)) == len(shares)
    assert bool((shares >= 0).all())
    torch.testing.assert_close(shares * levels, (shares * levels).round())


def test_densities_are_the_normal_ones():
    x = cloud(40)
    model = learn_mixing(x, 2, 2, 3)
    means, spreads = model.classes()
    joint = model.log_joint(x)
    for q in range(3):
        for n in range(0, 40, 7):
            apart = (x[n] - means[q]).numpy()
            expected = float(
                np.log(float(model.prior[q]))
                - 0.5 * apart @ np.linalg.solve(spreads[q].numpy(), apart)
                - 0.5 * np.linalg.slogdet(2 * np.pi * spreads[q].numpy())[1]
            )
            assert float(joint[q, n]) == pytest.approx(expected, rel=1e-9)


def penalised(model: MixingModel, x: torch.Tensor, base: torch.Tensor, weight: float) -> float:
    """ln p(x) and the logarithm of the inverse-Wishart density of all spreads, without constants."""
    likelihood = float(torch.logsumexp(model.log_joint(x), 0).sum())
    held = sum(float(torch.logdet(c) + torch.trace(torch.linalg.solve(c, base))) for c in model.spreads)
    return likelihood - 0.5 * weight * held


@pytest.mark.parametrize(("materials", "levels"), [(2, 4), (3, 2), (3, 4)])
def test_a_round_never_lowers_the_likelihood(materials, levels):
    x = cloud()
    base = 0.3 * torch.cov(x.T)
    model = MixingModel.start(x, materials, levels, base)
    path = [penalised(model, x, base, 5.0)]
    for _ in range(25):
        model, _ = model.step(x, base, 5.0)
        path.append(penalised(model, x, base, 5.0))
    rises = np.diff(path)
    assert rises.min() > -1e-7 * abs(path[0])
    assert path[-1] > path[0] + 10


def test_pure_materials_come_near_the_true_ones():
    """Three in every four pixels are pure; the lattice knows mixtures of halves."""
    dice = np.random.default_rng(1)
    means = np.array([[0.0, 0.0], [1.0, 0.2], [0.3, 0.9]])
    shares = lattice(3, 2).numpy()[dice.choice(6, 900, p=[0.25, 0.08, 0.25, 0.09, 0.08, 0.25])]
    pixels = np.einsum("nk,nkd->nd", shares, means + 0.04 * dice.standard_normal((900, 3, 2)))
    found = learn_mixing(torch.from_numpy(pixels), 3, 2, 60)
    for mean in means:
        assert np.abs(found.means.numpy() - mean).sum(1).min() < 0.05
    assert float(found.spreads.diagonal(dim1=1, dim2=2).max()) < 4 * 0.04**2


def test_one_material_is_one_normal_distribution():
    x = cloud(200)
    found = learn_mixing(x, 1, 1, 2)
    torch.testing.assert_close(found.means[0], x.mean(0))
    torch.testing.assert_close(found.spreads[0], torch.cov(x.T, correction=0), rtol=1e-5, atol=1e-8)


def test_pixels_that_are_all_the_same_are_no_trouble():
    found = learn_mixing(torch.zeros(30, 4, dtype=torch.float64), 3, 3, 5)
    assert all(bool(torch.isfinite(part).all()) for part in (found.prior, found.means, found.spreads))
