"""The small network from bands to scores, its units, and how it is taught."""

import numpy as np
import pytest
import torch

from stsfusion.learning.bandnet import REACH, BandNet, BandTask, Pairing, Units, layer_sizes, scored
from stsfusion.learning.holding import held_cells
from stsfusion.learning.layers import initialise


def made(bands=3, first=5, second=4, scores=2, seed=0):
    net = BandNet(bands, first, second, scores)
    initialise(net, torch.Generator().manual_seed(seed))
    return net


def pairing(rows=20, cols=18, bands=3, scores=2, seed=1):
    dice = torch.Generator().manual_seed(seed)
    image = torch.randn(bands, rows, cols, generator=dice)
    clear = torch.rand(rows, cols, generator=dice) > 0.2
    return Pairing(image, torch.randn(scores, rows, cols, generator=dice), clear)


def task(*pairings, weight=(0.75, 0.25), patch=8, batch=3, holding=False):
    return BandTask(pairings or (pairing(),), torch.tensor(weight), patch, batch, holding)


def plain(net, image):
    """The three layers as sums over windows, pixel by pixel."""
    weights = {name: tensor.detach().double().numpy() for name, tensor in net.state_dict().items()}

    def window(x, layer):
        size = weights[f"{layer}.weight"].shape[-1]
        wide = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2), mode="edge")
        out = np.empty((len(weights[f"{layer}.bias"]), *x.shape[1:]))
        for row in range(x.shape[1]):
            for col in range(x.shape[2]):
                seen = wide[:, row : row + size, col : col + size]
                out[:, row, col] = (weights[f"{layer}.weight"] * seen).sum((1, 2, 3)) + weights[
                    f"{layer}.bias"
                ]
        return out

    return window(np.maximum(window(np.maximum(window(image, 0), 0), 2), 0), 4)


def test_it_is_three_plain_convolutions():
    net, image = made(), pairing(7, 9).image
    np.testing.assert_allclose(
        net(image[None])[0].detach().numpy(), plain(net, image.double().numpy()), atol=1e-5
    )


def test_a_pixel_is_felt_as_far_as_it_says():
    net, image = made(), pairing().image
    other = image.clone()
    other[:, 9, 9] += 1.0
    moved = ((net(other[None]) - net(image[None])).abs().sum((0, 1)) > 1e-6).nonzero()
    assert (moved.amin(0) - 9).tolist() == [-REACH, -REACH]
    assert (moved.amax(0) - 9).tolist() == [REACH, REACH]


def test_its_sizes_are_read_off_its_weights():
    assert layer_sizes(made(3, 5, 4, 2).state_dict()) == (3, 5, 4, 2)


def test_the_loss_is_the_weighted_mean_square_of_clear_pixels():
    """One window that is the whole: the turn changes both sides alike, and a 1 × 1 net feels none."""
    each = pairing(8, 8)
    net = made()
    with torch.no_grad():
        for layer in (0, 4):
            net[layer].weight[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0
    lost = task(each, batch=1).losses(net, torch.Generator().manual_seed(0))["scores"]
    square = (plain(net, each.image.double().numpy()) - each.wanted.double().numpy()) ** 2
    wanted = (0.75 * square[0] + 0.25 * square[1])[each.clear.numpy()].mean()
    assert float(lost.detach()) == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_of_the_last_bias_is_that_of_the_formula():
    each, net = pairing(8, 8), made()
    net.zero_grad()
    exam = task(each, batch=1)
    off = net(each.image[None])[0] - each.wanted
    expected = 2 * torch.tensor([0.75, 0.25]) * off[:, each.clear].mean(1)
    exam._lost(net(each.image[None]), each.wanted[None], each.clear[None]).backward()
    torch.testing.assert_close(net[4].bias.grad, expected.detach())


def test_what_is_held_back_is_never_learned_from_but_examined():
    each = pairing(30, 30)
    held = held_cells(30, 30, 6)
    wild = Pairing(each.image, torch.where(held, 1e3, each.wanted), each.clear)
    net = made().requires_grad_(False)
    draws = [
        float(task(t, holding=True, batch=30).losses(net, torch.Generator().manual_seed(0))["scores"])
        for t in (each, wild)
    ]
    assert draws[0] == draws[1]
    assert task(wild, holding=True).exam(net) > 1e4 * task(each, holding=True).exam(net)


def test_an_exam_is_the_mean_over_all_tiles():
    net = made()
    one, two = pairing(30, 30, seed=1), pairing(18, 40, seed=2)
    counts = [int((t.clear & held_cells(*t.clear.shape, 6)).sum()) for t in (one, two)]
    apart = [task(t, holding=True).exam(net) for t in (one, two)]
    both = task(one, two, holding=True).exam(net)
    assert both == pytest.approx(np.average(apart, weights=counts), rel=1e-6)


def test_nothing_to_hold_back_is_said():
    assert not task(pairing(6, 6), holding=True).examined
    assert task(pairing(30, 30), holding=True).examined
    assert not task(pairing(30, 30), holding=False).examined


def test_units_are_those_of_clear_pixels():
    each = pairing(12, 12)
    other = Pairing(each.image * 3 + 5, each.wanted, each.clear)
    units = Units.learn([each, other])
    pixels = torch.cat([each.image[:, each.clear], other.image[:, other.clear]], 1)
    torch.testing.assert_close(units.mean, pixels.mean(1))
    torch.testing.assert_close(units.spread, pixels.std(1, unbiased=False))
    scaled = torch.cat([units(t.image)[:, t.clear] for t in (each, other)], 1)
    torch.testing.assert_close(scaled.std(1, unbiased=False), torch.ones(3))


def test_a_band_without_contrast_is_divided_by_its_size():
    flat = Pairing(
        torch.tensor([0.0, 0.3]).reshape(2, 1, 1).expand(2, 4, 4), torch.zeros(1, 4, 4), torch.ones(4, 4) > 0
    )
    units = Units.learn([flat])
    torch.testing.assert_close(units.spread, torch.tensor([1.0, 0.3]))


def test_wanted_scores_are_the_analysis_of_reflectance():
    each = pairing(5, 5, scores=6)
    analysis, mean = torch.randn(6, 2, generator=torch.Generator().manual_seed(3)), torch.rand(6)
    (turned,) = scored([each], Units(torch.zeros(3), torch.ones(3)), analysis, mean)
    expected = np.einsum("bk,byx->kyx", analysis, each.wanted.numpy() - mean.numpy()[:, None, None])
    np.testing.assert_allclose(turned.wanted.numpy(), expected, atol=1e-5)
