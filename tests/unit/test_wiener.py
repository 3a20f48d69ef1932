"""The filter against the linear estimate of least mean square error, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pairscenes import textured
from scipy.ndimage import uniform_filter

from stsfusion.learning.wiener import SIGHT, Wiener

SD = np.array([0.03, 0.01, 0.02, 0.015])
"""Standard deviation of the noise, reflectance."""


def scene(rows=120, cols=110):
    """Clean and noisy (l, H, W), float64."""
    clean = textured(rows, cols, 4)[0].numpy()
    return clean, clean + SD[:, None, None] * np.random.default_rng(1).normal(size=clean.shape)


def seen(image):
    """(3 l, n): every pixel, and its means over 3×3 and 5×5."""
    means = [np.stack([uniform_filter(band, size, mode="nearest") for band in image]) for size in (3, 5)]
    return np.concatenate([image, *means]).reshape(3 * len(image), -1)


def double(wiener):
    return Wiener(wiener.weights.double(), wiener.mean.double())


def test_without_noise_the_image_comes_back():
    clean, _ = scene()
    image = torch.from_numpy(clean)
    wiener = Wiener.learn([image], torch.zeros(4))
    torch.testing.assert_close(double(wiener)(image), image, atol=1e-9, rtol=0)
    doubled = torch.cat([image, image, torch.full_like(image[:1], 0.3)])
    torch.testing.assert_close(
        double(Wiener.learn([doubled], torch.zeros(9)))(doubled), doubled, atol=1e-9, rtol=0
    )


def test_it_is_the_estimate_of_least_mean_square_error():
    """ŷ = μ + cov(y, o) cov(o, o)⁻¹ (o − μ) with the covariances of image and noise drawn apart."""
    clean, noisy = scene()
    o, y = seen(noisy), clean.reshape(4, -1)
    covariance = np.cov(o, bias=True)
    own = np.diag(SD**2)
    cross = covariance[:4] - np.hstack([own, own / 9, own / 25])
    wanted = np.linalg.solve(covariance, cross.T).T
    wiener = Wiener.learn([torch.from_numpy(noisy)], torch.from_numpy(SD**2))
    np.testing.assert_allclose(wiener.weights.numpy(), wanted, atol=1e-3)
    middle = o.mean(1, keepdims=True)
    image = (wanted @ (o - middle) + middle[:4]).reshape(noisy.shape)
    got = double(wiener)(torch.from_numpy(noisy)).numpy()
    np.testing.assert_allclose(got, image, atol=1e-4)
    # As good as a regression on the truth itself, that no one has.
    design = np.vstack([o, np.ones(o.shape[1])])
    oracle = y - np.linalg.lstsq(design.T, y.T, rcond=None)[0].T @ design
    assert np.mean((got - clean) ** 2) < 1.02 * np.mean(oracle**2)


def test_it_is_nearer_to_the_truth_than_the_noisy_image_in_every_band():
    clean, noisy = scene()
    image = torch.from_numpy(noisy)
    filtered = double(Wiener.learn([image], torch.from_numpy(SD**2)))(image).numpy()
    before, after = (((each - clean) ** 2).mean((1, 2)) for each in (noisy, filtered))
    assert (after < 0.9 * before).all()
    np.testing.assert_allclose(before, SD**2, rtol=0.05)


def test_tiles_are_learned_from_together():
    _, noisy = scene()
    image = torch.from_numpy(noisy)
    noise = torch.from_numpy(SD**2)
    halves = Wiener.learn([image[:, :60], image[:, 60:]], noise)
    torch.testing.assert_close(halves.weights, Wiener.learn([image], noise).weights, atol=0.03, rtol=0)
    torch.testing.assert_close(halves.mean, image.mean((1, 2)).float())


def test_a_pixel_is_seen_no_further_than_it_says():
    _, noisy = scene(40, 40)
    wiener = double(Wiener.learn([torch.from_numpy(noisy)], torch.from_numpy(SD**2)))
    changed = torch.from_numpy(noisy)
    changed[:, 20, 20] += 1.0
    moved = (wiener(changed) - wiener(torch.from_numpy(scene(40, 40)[1]))).abs().amax(0) > 1e-9
    rows, cols = moved.nonzero().T
    assert int(rows.min()) == int(cols.min()) == 20 - SIGHT
    assert int(rows.max()) == int(cols.max()) == 20 + SIGHT


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_an_even_image_stays_as_it_is(level):
    even = torch.full((3, 12, 12), level)
    wiener = Wiener.learn([even], torch.full((3,), 1e-4))
    assert bool(torch.isfinite(wiener.weights).all())
    torch.testing.assert_close(wiener(even), even, atol=1e-6, rtol=0)
