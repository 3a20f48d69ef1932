"""Standard deviations from left-out errors: planted ones are found, and cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import avg_pool2d

from stsfusion.learning.doubt import Doubt, deviation, signs

NINETY = 1.6449
"""Half-width of a Gaussian's central 90 per cent."""

LEVEL = np.array([0.01, 0.03, 0.002])
"""Planted standard deviation of every band where the spread is one, reflectance."""


def looks(size=120, seed=0):
    """(8, H, W) float32: texture whose strength differs from place to place, and its neighbourhood's mean."""
    rng = np.random.default_rng(seed)
    strength = np.exp(1.2 * gaussian_filter(rng.normal(size=(size, size)), 9) * 20)
    own = strength * np.stack([gaussian_filter(rng.normal(size=(size, size)), 1.0) * 3 for _ in range(4)])
    around = np.stack([gaussian_filter(band, 2.0) for band in own])
    return torch.from_numpy(np.concatenate([own, around])).float()


def planted(each, scale, shares):
    """(n,) variance over its level, of (4, n) signs."""
    return shares @ (each / scale[:, None])


def draw(spread, seed):
    """(n, 3) errors, normal, of these variances."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(LEVEL * np.sqrt(spread)[:, None] * rng.normal(size=(len(spread), 3)))


def taught(shares, blow=1.0, seed=0):
    """Doubt of planted shares learned on coarse pixels, and the signs' scale."""
    image = looks(seed=seed)
    fine = signs(image).flatten(1)
    seen = avg_pool2d(signs(image)[None], 3)[0].flatten(1)
    scale = fine.double().mean(1).numpy()
    errors = draw(planted(seen.numpy(), scale, shares), seed)
    return Doubt.learn(errors, seen, fine, torch.full((3,), blow)), scale


def covered(errors, sigma):
    """Share of errors inside the 90 % interval: of all, and of every decile of sigma."""
    inside, order = (np.abs(errors) < NINETY * sigma).ravel(), sigma.ravel().argsort()
    return inside.mean(), np.array([inside[part].mean() for part in np.array_split(order, 10)])


@pytest.mark.parametrize("shares", [(1.0, 0, 0, 0), (0.4, 0.6, 0, 0), (0.5, 0, 0.5, 0), (0.4, 0.3, 0.2, 0.1)])
def test_fresh_errors_are_covered_as_promised(shares):
    shares = np.array(shares)
    doubt, scale = taught(shares)
    fresh = looks(seed=7)
    each = signs(fresh).flatten(1).double().numpy()
    # Within the signs that were met: no law is promised where nothing was seen.
    kept = (each / scale[:, None]).max(0) < 15
    errors = draw(planted(each, scale, shares), 8).numpy()[kept]
    sigma = doubt(fresh).flatten(1).T.double().numpy()[kept]
    overall, deciles = covered(errors, sigma)
    assert kept.mean() > 0.9
    assert abs(overall - 0.9) < 0.03
    assert np.abs(deciles - 0.9).max() < 0.06


def test_one_standard_deviation_for_all_would_not_do():
    """The planted errors do differ: the test above can fail."""
    shares = np.array([0.3, 0.7, 0.0, 0.0])
    image = looks()
    each = signs(image).flatten(1).double().numpy()
    spread = planted(each, each.mean(1), shares)
    errors = draw(spread, 3).numpy()
    even = np.quantile(np.abs(errors), 0.9, axis=0) / NINETY
    sigma = np.sqrt(spread)[:, None] * LEVEL
    inside = np.abs(errors) < NINETY * even
    deciles = np.array([inside[part].mean() for part in np.array_split(sigma[:, 0].argsort(), 10)])
    assert np.abs(deciles - 0.9).max() > 0.08


def test_levels_are_the_planted_ones_and_grow_as_told():
    doubt, _ = taught(np.array([1.0, 0, 0, 0]))
    sigma = doubt(looks(seed=7)).flatten(1).mean(1).double().numpy()
    np.testing.assert_allclose(sigma, LEVEL, rtol=0.08)
    double, _ = taught(np.array([1.0, 0, 0, 0]), blow=2.0)
    torch.testing.assert_close(double.level, 2.0 * doubt.level)
    torch.testing.assert_close(double.shares, doubt.shares)


def test_signs_are_mean_squares_about_a_pixel():
    image = looks(20)
    own, around = image.double().numpy()[:4], image.double().numpy()[4:]
    detail, size = ((own - around) ** 2).mean(0), (own**2).mean(0)
    wanted = np.stack([np.ones_like(size), detail, size, size**2])
    np.testing.assert_allclose(signs(image).numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_errors_that_shrink_with_texture_give_no_negative_share():
    image = looks()
    fine = signs(image).flatten(1)
    errors = draw(1.0 / (0.1 + fine[1].numpy()), 2)
    doubt = Doubt.learn(errors, fine, fine, torch.ones(3))
    assert float(doubt.shares.min()) >= 0
    assert float(doubt.shares[0]) >= 0.3 * float(doubt.shares.sum()) - 1e-6
    assert float(doubt(looks(seed=5)).min()) > 0


def test_heavy_tails_are_covered_too():
    image = looks()
    fine = signs(image).flatten(1)
    rng = np.random.default_rng(0)
    errors = torch.from_numpy(LEVEL * rng.standard_t(3, size=(fine.shape[1], 3)))
    doubt = Doubt.learn(errors, fine, fine, torch.ones(3))
    fresh = LEVEL * rng.standard_t(3, size=(fine.shape[1], 3))
    overall, _ = covered(fresh, doubt(image).flatten(1).T.double().numpy())
    assert abs(overall - 0.9) < 0.03


@pytest.mark.parametrize("kind", ["flat", "wild", "few", "exact"])
def test_it_is_never_nan_and_zero_only_where_no_error_was_ever_seen(kind):
    image = torch.zeros(8, 30, 30) if kind == "flat" else looks(30)
    fine = signs(image).flatten(1)
    seen = fine[:, :4] if kind == "few" else fine
    errors = draw(np.ones(seen.shape[1]), 0) * (kind != "exact")
    doubt = Doubt.learn(errors, seen, fine, torch.ones(3))
    fresh = 1e6 * looks(30, seed=3) if kind == "wild" else looks(30, seed=3)
    for each in (image, fresh, torch.zeros_like(fresh)):
        sigma = doubt(each)
        assert bool(torch.isfinite(sigma).all())
        assert bool((sigma > 0).all()) == (kind != "exact")
        assert float(sigma.max()) < 100 * LEVEL.max()


def test_tensors_bring_it_back():
    doubt, _ = taught(np.array([0.5, 0.5, 0, 0]))
    assert torch.equal(Doubt.of(doubt.tensors())(looks(seed=5)), doubt(looks(seed=5)))


@pytest.mark.parametrize("times", [1.0, 0.3])
def test_the_deviation_is_that_of_normal_errors(times):
    errors = times * torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    np.testing.assert_allclose(deviation(errors).numpy(), times, rtol=0.01)
    errors[:1000] = 1e6
    np.testing.assert_allclose(deviation(errors).numpy(), times, rtol=0.05)


def test_witnesses_at_fine_pixels_have_half_of_the_say_in_the_shares():
    """Errors at coarse pixels that grow with nothing, and others at fine ones that grow with detail."""
    image = looks()
    fine = signs(image).flatten(1)
    seen = avg_pool2d(signs(image)[None], 3)[0].flatten(1)
    scale = fine.double().mean(1).numpy()
    even, rough = np.array([1.0, 0, 0, 0]), np.array([0.3, 0.7, 0, 0])
    errors = draw(planted(seen.numpy(), scale, even), 0)
    witness = draw(planted(fine.numpy(), scale, rough), 1)
    grown = torch.ones(3)
    alone, both = (Doubt.learn(errors, seen, fine, grown, other) for other in (None, (witness, fine)))
    np.testing.assert_allclose(alone.shares.numpy(), even, atol=0.15)
    np.testing.assert_allclose(both.shares.numpy(), (even + rough) / 2, atol=0.1)
    # How large they are in all is no business of other bands.
    larger = Doubt.learn(errors, seen, fine, grown, (100 * witness, fine))
    torch.testing.assert_close(larger.level, both.level)
    torch.testing.assert_close(larger.shares, both.shares)


def test_errors_of_nothing_at_all_are_shared_by_all_pixels_alike():
    image = looks(size=30)
    fine = signs(image).flatten(1)
    seen = avg_pool2d(signs(image)[None], 3)[0].flatten(1)
    none = torch.zeros(seen.shape[1], 3)
    doubt = Doubt.learn(none, seen, fine, torch.ones(3), (torch.zeros(fine.shape[1], 2), fine))
    np.testing.assert_allclose(doubt.shares.numpy(), [1.0, 0, 0, 0], atol=1e-6)
    assert float(doubt(image).abs().max()) == 0.0
