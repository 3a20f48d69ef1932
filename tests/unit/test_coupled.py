"""Coupled autoencoders and footprints, against loops in numpy."""

import numpy as np
import pytest
import torch

from stsfusion.learning.clamp import clamp_inward
from stsfusion.learning.coupled import Coupled, Fuser, LossWeights, joint_loss, sparsity
from stsfusion.learning.footprints import Footprints, aggregate, kernel_parts
from stsfusion.learning.pair import Pair
from stsfusion.operators.blur import Blur

WEIGHTS = LossWeights(own=2.0, alpha=3.0, beta=5.0, gamma=7.0, mu=0.11, nu=0.13, target=0.01)


def random(*shape, seed=0, low=0.0):
    return low + (1 - low) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def pair(ratio=2, high=4, wide=5, coarse=6, fine=2, clear=None):
    coverage = torch.zeros(fine, coarse, dtype=torch.bool)
    coverage[0, :3] = coverage[1, 2:5] = True
    return Pair(
        coarse=random(coarse, high, wide, seed=1),
        fine=random(fine, high * ratio, wide * ratio, seed=2),
        clear=torch.ones(high, wide, dtype=torch.bool) if clear is None else clear,
        known=torch.ones(high * ratio, wide * ratio, dtype=torch.bool),
        coverage=coverage,
        nm=torch.linspace(400.0, 900.0, coarse),
        ratio=ratio,
        day=0.0,
        coarse_noise=None,
        fine_noise=None,
    )


def network(pair, **settings):
    generator = torch.Generator().manual_seed(3)
    sizes = {"endmembers": 5, "width": 4, "ratio": pair.ratio, "generator": generator}
    return Coupled(pair.coverage, **{**sizes, **settings})


# ------------------------------------------------------------ a plain reference


def encoded(encoder, spectrum):
    layers = [
        (w.detach().numpy(), b.detach().numpy()) for w, b in zip(encoder.weights, encoder.biases, strict=True)
    ]
    for place, (weight, bias) in enumerate(layers):
        spectrum = spectrum @ weight + bias
        if place < len(layers) - 1:
            spectrum = np.where(spectrum > 0, spectrum, 0.2 * spectrum)
    return np.clip(spectrum, 0, 1)


def divergence(abundance, target):
    a = np.clip(abundance, 1e-6, 1 - 1e-6)
    return target * np.log(target / a) + (1 - target) * np.log((1 - target) / (1 - a))


def plain_loss(net, pair, kernel, w):
    """The joint loss, coarse pixel by coarse pixel and fine pixel by fine pixel."""
    coarse, fine = pair.coarse.double().numpy(), pair.fine.double().numpy()
    spectra, r = net.spectra.detach().double().numpy(), pair.ratio
    shares = net.shares.detach().double().numpy() * pair.coverage.numpy()
    srf = shares / shares.sum(1, keepdims=True)
    total = 0.0
    for i, j in pair.clear.nonzero().tolist():
        z = coarse[:, i, j]
        own = encoded(net.of_coarse, z)
        mixed, seen = np.zeros(spectra.shape[0]), np.zeros(fine.shape[0])
        for down in range(r):
            for right in range(r):
                y = fine[:, i * r + down, j * r + right]
                a = encoded(net.of_fine, y)
                total += w.beta * np.abs(y - np.clip(srf @ np.clip(a @ spectra, 0, 1), 0, 1)).sum()
                total += w.mu * abs(1 - a.sum()) + w.nu * divergence(a, w.target).sum()
                mixed, seen = mixed + kernel[down, right] * a, seen + kernel[down, right] * y
        total += w.own * np.abs(z - np.clip(own @ spectra, 0, 1)).sum()
        total += w.alpha * np.abs(z - np.clip(mixed @ spectra, 0, 1)).sum()
        total += w.gamma * np.abs(seen - np.clip(srf @ z, 0, 1)).sum()
        total += w.mu * (abs(1 - own.sum()) + abs(1 - mixed.sum())) + w.nu * divergence(own, w.target).sum()
    return total


@pytest.mark.parametrize("clamp", ["inward", "hard"])
def test_the_loss_is_that_of_plain_loops(clamp):
    clear = random(4, 5, seed=5) > 0.3
    one = pair(clear=clear)
    net = network(one, clamp=clamp)
    with torch.no_grad():
        net.parts.copy_(random(1, 4, seed=6) / 2)
        net.shares.copy_(random(2, 6, seed=7, low=0.1))
    kernel = net.parts.detach().double().numpy().reshape(2, 2)
    found = float(joint_loss(net, Footprints.of([one], 0), WEIGHTS).detach())
    assert found == pytest.approx(plain_loss(net, one, kernel, WEIGHTS), rel=1e-5)


@pytest.mark.parametrize("term", ["own", "alpha", "beta", "gamma", "mu", "nu"])
def test_every_term_counts(term):
    one = pair()
    net, seen = network(one), Footprints.of([one], 0)
    off = LossWeights(**{**vars(WEIGHTS), term: 0.0})
    assert float(joint_loss(net, seen, off).detach()) < float(joint_loss(net, seen, WEIGHTS).detach())


def test_pieces_add_up_to_the_whole():
    one = pair()
    net, seen = network(one), Footprints.of([one, one], 0)
    whole = joint_loss(net, seen, WEIGHTS)
    parts = sum(joint_loss(net, piece, WEIGHTS) for piece in seen.pieces(7))
    torch.testing.assert_close(parts, whole)
    some = seen.pick(torch.tensor([3, 11, 19]))
    singles = sum(joint_loss(net, seen.pick(torch.tensor([i])), WEIGHTS) for i in (3, 11, 19))
    torch.testing.assert_close(joint_loss(net, some, WEIGHTS), singles)


@pytest.mark.parametrize("ratio, size", [(2, 2), (2, 6), (3, 3), (3, 5), (4, 12), (3, 1)])
def test_footprints_see_what_the_blur_makes(ratio, size):
    one = pair(ratio=ratio, high=7, wide=6)
    kernel = random(size, size, seed=8)
    kernel = kernel / kernel.sum()
    blur = Blur(kernel, ratio, (1, *one.fine.shape))
    wanted = blur(one.fine[None])[0]
    inner = torch.zeros_like(one.clear)
    margin = -(-max(size - ratio, 0) // (2 * ratio))
    inner[margin : 7 - margin, margin : 6 - margin] = True
    seen = Footprints.of([Pair(**{**vars(one), "clear": inner})] * 2, (size - ratio) // 2)
    found = aggregate(seen.fine, seen.near, kernel_parts(kernel, ratio))
    torch.testing.assert_close(found, wanted[:, inner].T.repeat(2, 1))
    if margin:
        some = seen.pick(torch.tensor([1, len(seen) - 1]))
        again = aggregate(some.fine, some.near, kernel_parts(kernel, ratio))
        torch.testing.assert_close(again, found[[1, len(seen) - 1]])


def test_responses_look_only_inside_the_coverage():
    one = pair()
    net = network(one)
    assert torch.equal(net.response() > 0, one.coverage)
    torch.testing.assert_close(net.response().sum(1), torch.ones(2))
    with torch.no_grad():
        net.shares.fill_(1.0)
    assert torch.equal(net.response() > 0, one.coverage)


def test_known_responses_are_not_learnt():
    one = pair()
    net = network(one, kernel=torch.full((6, 6), 1 / 36), response=one.coverage / 3)
    joint_loss(net, Footprints.of([one], 2), WEIGHTS).backward()
    assert net.parts.grad is None
    assert net.shares.grad is None
    assert net.parts.shape == (9, 4)


def test_what_is_left_of_the_network_fuses_as_it_did():
    one = pair()
    for abundances in ("clamp", "softmax"):
        net = network(one, abundances=abundances)
        fine = random(9, 2, seed=9)
        wanted = net.decode(net.of_fine(fine))
        torch.testing.assert_close(Fuser(net.tensors(), abundances)(fine), wanted)


def test_a_clamp_lets_back_in_and_never_further_out():
    x = torch.tensor([-1.0, -1.0, 0.5, 0.5, 2.0, 2.0], requires_grad=True)
    y = clamp_inward(x)
    assert y.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    slopes = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    (found,) = torch.autograd.grad(y, x, slopes)
    assert found.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]


def test_sparsity_is_least_at_its_target():
    level = torch.tensor([0.005, 0.01, 0.02])
    found = [float(sparsity(a[None, None], 0.01)) for a in level]
    assert found[1] == pytest.approx(0.0, abs=1e-6)
    assert min(found[0], found[2]) > 1e-4
    assert torch.isfinite(sparsity(torch.tensor([[0.0, 1.0]]), 1e-4))
