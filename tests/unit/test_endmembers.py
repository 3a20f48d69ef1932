"""Noise, endmembers, abundances and smoothing, each against what was planted or an independent solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from stsfusion.forward.endmembers import abundances, denoise, extract, noise_level, smoothing


@pytest.fixture
def random():
    return np.random.default_rng(5)


def _scene(random, noise=0.0):
    """Four spectra of 50 bands mixed on 40×40 pixels, with pure corners."""
    nm = np.linspace(0, 1, 50)
    pure = np.stack([0.2 + 0.3 * nm, 0.5 - 0.4 * nm, 0.3 + 0.2 * np.sin(6 * nm), 0.1 + 0.5 * nm**3])
    amount = random.dirichlet(np.ones(4), 1600)
    for place in range(4):
        amount[place * 10 : place * 10 + 10] = np.eye(4)[place]
    cube = (amount @ pure).T.reshape(50, 40, 40) + noise * random.standard_normal((50, 40, 40))
    return cube.astype(np.float32), pure.astype(np.float32), amount


def test_noise_is_measured_past_edges_and_slopes(random):
    cube = np.zeros((2, 80, 80), np.float32) + np.linspace(0, 1, 80, dtype=np.float32)
    cube[:, :, 40:] += 0.5
    noisy = cube + np.array([0.01, 0.03])[:, None, None] * random.standard_normal(cube.shape)
    np.testing.assert_allclose(noise_level(noisy.astype(np.float32)), [0.01, 0.03], rtol=0.1)


def test_noise_goes_and_the_scene_stays(random):
    clean, *_ = _scene(random)
    noisy, *_ = _scene(np.random.default_rng(5), noise=0.01)
    left = denoise(noisy) - clean
    assert left.std() < 0.4 * 0.01
    assert abs(left.mean()) < 1e-3


def test_pure_spectra_are_found_among_mixtures(random):
    cube, pure, _ = _scene(random)
    found = extract(cube.reshape(50, -1).T, 4, random)
    apart = np.abs(found[:, None] - pure[None]).max(axis=2)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2, 3]
    assert apart.min(axis=1).max() < 1e-4


def test_abundances_agree_with_an_active_set_solver(random):
    _, pure, _ = _scene(random)
    spectra = (random.random((30, 50)) * 0.5).astype(np.float32)
    expected = np.stack([nnls(pure.T.astype(float), s.astype(float))[0] for s in spectra])
    found = abundances(spectra, pure, steps=5000)
    assert (found >= 0).all()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_smoothing_keeps_straight_spectra_and_damps_spikes():
    nm = np.concatenate([np.arange(400.0, 700.0, 9.5), np.arange(690.0, 1200.0, 9.7)])
    weights = smoothing(nm)
    np.testing.assert_allclose(weights @ np.ones(len(nm)), 1.0, atol=1e-4)
    np.testing.assert_allclose(weights @ (nm / 1000), nm / 1000, atol=1e-4)
    spike = np.zeros(len(nm))
    spike[60] = 1.0
    assert (weights @ spike).max() < 0.5
