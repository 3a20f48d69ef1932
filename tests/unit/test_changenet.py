"""The 3-D network from coarse to fine changes, and the stacks it is taught with."""

import numpy as np
import pytest
import torch

from stsfusion.learning.changenet import (
    ChangeNet,
    ChangeTask,
    Moments,
    layer_sizes,
    lost,
    reach_of,
    scale_of,
)
from stsfusion.learning.holding import held_cells
from stsfusion.learning.layers import initialise

HALF = torch.tensor([0.5, 0.5])


def made(bands=2, width=3, blocks=1, seed=0):
    net = ChangeNet(bands, width, blocks)
    initialise(net, torch.Generator().manual_seed(seed))
    return net.requires_grad_(False)


def moments(dates=3, size=20, bands=2, seed=1):
    dice = torch.Generator().manual_seed(seed)
    coarse, fine = torch.randn(2, dates, bands, size, size, generator=dice)
    return Moments(coarse, fine, torch.rand(dates, size, size, generator=dice) > 0.1)


def task(*tiles, patch=64, batch=1, holding=False, scale=(1.0, 1.0)):
    return ChangeTask(tiles or (moments(),), torch.tensor(scale), patch, batch, holding)


def plain(net, x):
    """All layers as sums over 3 × 3 × 3 windows, voxel by voxel."""

    def conv(layer, x):
        weight, bias = layer.weight.double().numpy(), layer.bias.double().numpy()
        wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge")
        out = np.empty((len(bias), *x.shape[1:]))
        for step, row, col in np.ndindex(x.shape[1:]):
            seen = wide[:, step : step + 3, row : row + 3, col : col + 3]
            out[:, step, row, col] = (weight * seen).sum((1, 2, 3, 4)) + bias
        return out

    y = np.maximum(conv(net.first, x), 0)
    for block in net.blocks:
        y = y + conv(block[2], np.maximum(conv(block[0], y), 0))
    return x + conv(net.last, y)


@pytest.mark.parametrize("blocks, steps", [(0, 1), (1, 2), (2, 3)])
def test_it_is_plain_convolutions_with_shortcuts(blocks, steps):
    net = made(blocks=blocks)
    x = torch.randn(2, steps, 5, 4, generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(net(x[None])[0].numpy(), plain(net, x.double().numpy()), atol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_pixel_is_felt_as_far_as_it_says(blocks):
    net = made(width=6, blocks=blocks)
    x = torch.randn(1, 2, 2, 21, 21, generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[..., 10, 10] += 1.0
    moved = ((net(other) - net(x)).abs().sum((0, 1, 2)) > 1e-7).nonzero() - 10
    assert moved.amin(0).tolist() == [-reach_of(blocks)] * 2
    assert moved.amax(0).tolist() == [reach_of(blocks)] * 2


def test_its_sizes_are_read_off_its_weights():
    assert layer_sizes(made(5, 7, 3).state_dict()) == (5, 7, 3)


def test_with_its_last_layer_silent_it_says_the_coarse_change():
    net = ChangeNet(2, 3, 1)
    initialise(net, torch.Generator().manual_seed(0), [net.last])
    x = torch.randn(1, 2, 2, 5, 5)
    assert torch.equal(net(x), x)


# ---------------------------------------------------------------- stacks


def test_stacks_are_rising_dates_not_too_far_apart():
    assert moments(2).stacks == [(0, -1, 1)]
    assert moments(3).stacks == [(0, 1, 2)]
    assert moments(5).stacks == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3), (1, 2, 4), (1, 3, 4), (2, 3, 4)]


def test_an_example_holds_both_changes_and_what_is_known_of_them():
    tile = moments(3)
    window = (slice(2, 9), slice(3, 12))
    allowed = torch.rand(7, 9, generator=torch.Generator().manual_seed(4)) > 0.2
    x, y, weight = task(tile, scale=(2.0, 4.0))._example(tile, (0, 1, 2), window, allowed, HALF)
    for said, series in ((x, tile.coarse), (y, tile.fine)):
        for step in range(2):
            change = (series[step + 1] - series[step])[:, 2:9, 3:12]
            torch.testing.assert_close(said[0, :, step], change / torch.tensor([2.0, 4.0])[:, None, None])
    for step in range(2):
        both = tile.known[step, 2:9, 3:12] & tile.known[step + 1, 2:9, 3:12] & allowed
        assert torch.equal(weight[0, 0, step], both.float())


def test_two_dates_are_parted_by_a_mixture():
    tile = moments(2)
    whole = (slice(None), slice(None))
    x, y, weight = task(tile)._example(
        tile, (0, -1, 1), whole, torch.ones(20, 20) > 0, torch.tensor([0.3, 1.2])
    )
    first, second = torch.tensor([0.3, 1.2])[:, None, None], torch.tensor([0.7, -0.2])[:, None, None]
    torch.testing.assert_close(x[0, :, 0], first * (tile.coarse[1] - tile.coarse[0]))
    torch.testing.assert_close(y[0, :, 1], second * (tile.fine[1] - tile.fine[0]))
    assert torch.equal(weight[0, 0], tile.known.all(0).float().expand(2, -1, -1))


def test_turned_in_time_a_stack_is_the_way_back():
    """The same dates the other way round: steps in the other order, with the other sign."""
    tile = moments(3)
    there = task(tile)._example(tile, (0, 1, 2), (slice(None),) * 2, torch.ones(20, 20) > 0, HALF)
    back = Moments(tile.coarse.flip(0), tile.fine.flip(0), tile.known.flip(0))
    turned = task(back)._example(back, (0, 1, 2), (slice(None),) * 2, torch.ones(20, 20) > 0, HALF)
    torch.testing.assert_close(turned[0], -there[0].flip(2))
    torch.testing.assert_close(turned[1], -there[1].flip(2))
    assert torch.equal(turned[2], there[2].flip(2))


def test_what_is_drawn_is_the_tile_turned_in_space_and_time():
    """Sorted absolute changes do not change when a whole tile is turned, mirrored or walked backwards."""
    tile = moments(3)
    made_task = task(tile)
    whole = made_task._example(tile, (0, 1, 2), (slice(None),) * 2, torch.ones(20, 20) > 0, HALF)
    wanted = whole[0].abs().flatten().sort().values
    generator, signs = torch.Generator().manual_seed(0), set()
    for _ in range(8):
        x, _, _ = made_task._draw(20, generator)
        assert torch.equal(x.abs().flatten().sort().values, wanted)
        signs.add(bool((x.sum() - whole[0].sum()).abs() < 1e-2))
    assert signs == {True, False}


# ---------------------------------------------------------------- losses


def test_the_loss_is_the_mean_square_where_something_is_known():
    x, y, weight = torch.randn(3, 2, 4, 2, 5, 5).unbind(0)
    weight = (weight[:, :1] > 0).float()
    square = ((x - y).double().numpy() ** 2).mean(1)[weight[:, 0].numpy() > 0]
    assert float(lost(x, y, weight)) == pytest.approx(square.mean(), rel=1e-5)
    assert float(lost(x, y, torch.zeros_like(weight))) == 0.0


def test_the_gradient_of_the_last_bias_is_that_of_the_formula():
    net = made()
    net.last.bias.requires_grad_()
    x, y = torch.randn(2, 1, 2, 2, 6, 6, generator=torch.Generator().manual_seed(5)).unbind(0)
    weight = (torch.rand(1, 1, 2, 6, 6, generator=torch.Generator().manual_seed(6)) > 0.3).float()
    off = (net(x) - y).detach()
    expected = (off * weight).sum((0, 2, 3, 4)) / weight.sum()
    lost(net(x), y, weight).backward()
    torch.testing.assert_close(net.last.bias.grad, expected)


def test_what_is_held_back_is_never_learned_from_but_examined():
    tile = moments(3, size=64)
    held = held_cells(64, 64, 16)
    wild = Moments(tile.coarse, torch.where(held, 100.0 * tile.fine, tile.fine), tile.known)
    net = made()
    draws = [
        float(task(t, patch=32, batch=20, holding=True).losses(net, torch.Generator().manual_seed(0)))
        for t in (tile, wild)
    ]
    assert draws[0] == draws[1]
    exams = [task(t, patch=32, holding=True).exam(net) for t in (tile, wild)]
    assert exams[1] > 1e3 * exams[0]


def test_without_holding_there_is_no_exam():
    assert not task(moments(3, size=64)).exams
    assert not task(moments(3, size=16), holding=True).exams


def test_an_exam_has_no_more_windows_than_it_may():
    assert 0 < len(task(moments(5, size=160), patch=32, holding=True).exams) <= 24


def test_the_scale_is_the_usual_change_of_what_is_known():
    tile = moments(3)
    wild = Moments(tile.coarse, torch.where(tile.known[:, None], tile.fine, 1e6), tile.known)
    changes = [
        (tile.fine[a + 1] - tile.fine[a])[:, tile.known[a] & tile.known[a + 1]].double() for a in (0, 1)
    ]
    wanted = torch.cat(changes, 1).square().mean(1).sqrt().float()
    torch.testing.assert_close(scale_of([wild]), wanted)
    still = Moments(tile.coarse, tile.fine[:1].expand_as(tile.fine), tile.known)
    assert scale_of([still]).tolist() == [1.0, 1.0]
