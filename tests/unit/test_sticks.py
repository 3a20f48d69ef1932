"""Stick-breaking shares and dense encoders, against loops in numpy."""

import math

import numpy as np
import pytest
import torch

from stsfusion.learning.sticks import DenseLinear, StickEncoder, angle, entropy, stick_breaking, volume


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_dense(layer, x):
    weights = [(w.detach().double().numpy(), b.detach().double().numpy()) for w, b in pairs(layer)]
    for weight, bias in weights[:-1]:
        x = np.concatenate([x, x @ weight + bias])
    return x @ weights[-1][0] + weights[-1][1]


def pairs(layer):
    return zip(layer.weights, layer.biases, strict=True)


def plain_sticks(fractions):
    left, shares = 1.0, []
    for v in fractions:
        shares.append(v * left)
        left *= 1.0 - v
    return shares


def test_the_encoder_is_that_of_plain_loops():
    generator = torch.Generator().manual_seed(1)
    encoder = StickEncoder(5, 2, [3, 3, 3], 6, generator).double()
    with torch.no_grad():
        for bias in (*encoder.fractions.biases, *encoder.shape.biases):
            bias.copy_(torch.randn(bias.shape, generator=generator))
    x, narrow = random(4, 5, seed=2), random(4, 2, seed=3)
    wanted = []
    for row, own in zip(x.numpy(), narrow.numpy(), strict=True):
        u = 1 / (1 + np.exp(-plain_dense(encoder.fractions, row)))
        beta = np.log1p(np.exp(plain_dense(encoder.shape, own)))
        wanted.append(plain_sticks(u ** (1 / beta)))
    found = encoder(x, narrow).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_each_layer_sees_all_before_it():
    layer = DenseLinear(4, [3, 3], 2, torch.Generator().manual_seed(0))
    assert [tuple(weight.shape) for weight in layer.weights] == [(4, 3), (7, 3), (10, 2)]


@pytest.mark.parametrize("spread", [1.0, 30.0, 1e4])
def test_shares_are_shares_of_one(spread):
    logs = (-(random(50, 12).abs() * spread)).requires_grad_()
    shares = stick_breaking(logs)
    assert float(shares.detach().min()) >= 0.0
    assert float(shares.detach().sum(1).max()) <= 1.0 + 1e-9
    (slope,) = torch.autograd.grad(shares.square().sum(), logs)
    assert torch.isfinite(slope).all()


def test_a_fraction_of_one_leaves_nothing():
    shares = stick_breaking(torch.tensor([[0.0, -0.5, -0.5]]))
    torch.testing.assert_close(shares, torch.tensor([[1.0, 0.0, 0.0]]), atol=1e-6, rtol=0)


def test_entropy_is_least_for_one_thing_and_most_for_all():
    one, all_ = torch.eye(4)[:1], torch.full((1, 4), 0.1)
    assert float(entropy(one)) == pytest.approx(0.0, abs=1e-6)
    assert float(entropy(all_)) == pytest.approx(math.log(4) / 4, rel=1e-5)


def test_the_angle_is_a_share_of_pi():
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    second = torch.tensor([[0.0, 2.0], [-3.0, 0.0], [1.0, 0.0]])
    assert float(angle(first, second)) == pytest.approx((0.5 + 1.0 + 0.25) / 3, abs=1e-3)
    same = first.clone().requires_grad_()
    angle(same, first).backward()
    assert torch.isfinite(same.grad).all()


def test_the_volume_is_the_mean_of_all_products():
    spectra = random(3, 7)
    assert float(volume(spectra)) == pytest.approx(float((spectra.T @ spectra).mean()))
