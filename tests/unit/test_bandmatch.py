"""Regression of bands on bands: what it finds, what decides how it is held back, and what it may not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning.bandmatch import BandMatch


def samples(dates=3, tiles=2, noise=0.0, curve=0.0, seed=0, scale=1.0):
    """y = 0.2 + x·W + curve · x0 x1, of three inputs and two outputs."""
    dice = torch.Generator().manual_seed(seed)
    weights = torch.tensor([[0.5, -0.2], [0.3, 0.9], [0.1, 0.4]])
    found = []
    for _ in range(dates):
        own = []
        for _ in range(tiles):
            x = torch.rand(3, 9, 8, generator=dice)
            y = 0.2 + torch.einsum("io,iyx->oyx", weights, x) + curve * x[:1] * x[1:2]
            y = y + noise * torch.randn(y.shape, generator=dice)
            own.append((scale * x, scale * y, torch.ones(9, 8)))
        found.append(own)
    return found


def test_a_linear_relation_is_found():
    match = BandMatch.learn(samples(), curved=False)
    for x, y, _ in samples(seed=5)[0]:
        torch.testing.assert_close(match(x[None])[0], y, atol=1e-5, rtol=0)
    assert float(match.misfit.max()) < 1e-5


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_products_are_used_where_they_explain_more(scale):
    dates = samples(curve=0.5, scale=scale)
    straight, bent = (BandMatch.learn(dates, curved=curved) for curved in (False, True))
    assert straight.slope.shape == (3, 2)
    assert bent.slope.shape == (9, 2)
    x, y, _ = samples(curve=0.5, seed=3, scale=scale)[0][0]
    assert float((bent(x[None])[0] - y).abs().max()) < 0.02 * scale
    assert float((straight(x[None])[0] - y).abs().max()) > 0.05 * scale


def test_products_are_left_where_they_explain_nothing():
    assert BandMatch.learn(samples(noise=0.05), curved=True).slope.shape == (3, 2)


def test_misfit_is_the_error_on_dates_that_were_left_out():
    match = BandMatch.learn(samples(noise=0.05, tiles=6), curved=False)
    np.testing.assert_allclose(match.misfit.numpy(), 0.05, rtol=0.15)


def test_what_has_no_weight_is_not_learned_from():
    dates = samples()
    spoilt = [[(x.clone(), y.clone(), w.clone()) for x, y, w in date] for date in dates]
    for date in spoilt:
        for x, y, w in date:
            x[:, 2:4], y[:, 2:4], w[2:4] = 50.0, -70.0, 0.0
    x = dates[0][0][0][None]
    torch.testing.assert_close(
        BandMatch.learn(spoilt, curved=True)(x), BandMatch.learn(dates, curved=True)(x), atol=1e-4, rtol=0
    )


def test_one_date_and_a_band_that_does_not_vary_will_do():
    (date,) = samples(dates=1)
    still = [(torch.cat([x, torch.full_like(x[:1], 0.7)]), y, w) for x, y, w in date]
    match = BandMatch.learn([still], curved=True)
    for x, y, _ in still:
        torch.testing.assert_close(match(x[None])[0], y, atol=5e-3, rtol=0)


def test_products_stay_within_what_was_seen():
    dates = [[(x, y, w) for x, y, w in date] for date in samples(curve=0.5)]
    match = BandMatch.learn(dates, curved=True)
    far = torch.tensor([1.0, 2.0, 100.0, 200.0])[None, None, None] * torch.ones(1, 3, 1, 4)
    out = match(far)[0, 0, 0]
    slope = out.diff() / torch.tensor([1.0, 98.0, 100.0])
    assert float(slope[1]) == pytest.approx(float(slope[2]), rel=1e-3)


def test_noise_goes_through_the_linear_part():
    match = BandMatch.learn(samples(), curved=False)
    weights = torch.tensor([[0.5, -0.2], [0.3, 0.9], [0.1, 0.4]])
    expected = (weights.square() * torch.tensor([0.01, 0.02, 0.03])[:, None].square()).sum(0).sqrt()
    torch.testing.assert_close(match.noise(torch.tensor([0.01, 0.02, 0.03])), expected, rtol=1e-3, atol=0)


def test_it_is_its_tensors():
    match = BandMatch.learn(samples(curve=0.5), curved=True)
    again, x = BandMatch.of(match.tensors()), samples()[0][0][0][None]
    assert torch.equal(again(x), match(x))
