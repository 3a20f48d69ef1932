"""Layers against their plain formulas."""

import pytest
import torch
from torch.nn.functional import conv2d, conv3d, pad

from stsfusion.errors import MethodError
from stsfusion.learning.layers import Branch, MultiKernelBlock, TimeMix, initialise


def drawn(module, seed=0):
    initialise(module, torch.Generator().manual_seed(seed))
    return module


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernels", [(1,), (1, 3), (1, 3, 5)])
def test_the_block_is_x_plus_the_sum_over_kernels(kernels):
    block = drawn(MultiKernelBlock(6, kernels))
    x = noise(4, 6, 9, 8)
    wanted = x.clone()
    for k, (space, _, time) in zip(kernels, block.groups, strict=True):
        edge = k // 2
        inner = conv2d(pad(x, (edge,) * 4, mode="replicate"), space.weight, space.bias).clamp_min(0)
        wanted += plain_time(inner, time.mix, min(k, 3))
    torch.testing.assert_close(block(x), wanted, atol=1e-5, rtol=1e-5)


def plain_time(x, mix, taps):
    """A convolution along dates as a three-dimensional one."""
    out, channels = mix.weight.shape[0], x.shape[1]
    kernel = mix.weight.reshape(out, taps, channels).permute(0, 2, 1)[..., None, None]
    volume = x.permute(1, 0, 2, 3)[None]
    if taps == 3:
        volume = pad(volume, (0, 0, 0, 0, 1, 1), mode="replicate")
    return conv3d(volume, kernel, mix.bias)[0].permute(1, 0, 2, 3)


def test_kernel_one_never_mixes_dates_or_pixels():
    block = drawn(MultiKernelBlock(6, (1,)))
    x = noise(4, 6, 5, 5)
    other = x.clone()
    other[2, :, 3, 3] += 1.0
    moved = (block(other) - block(x)).abs().sum(1) > 0
    assert moved.nonzero().tolist() == [[2, 3, 3]]


def test_kernel_three_reaches_one_date_and_one_pixel():
    block = drawn(MultiKernelBlock(6, (1, 3)))
    x = noise(5, 6, 7, 7)
    other = x.clone()
    other[2, :, 3, 3] += 1.0
    moved = ((block(other) - block(x)).abs().sum(1) > 1e-7).nonzero()
    assert moved.amin(0).tolist() == [1, 2, 2]
    assert moved.amax(0).tolist() == [3, 4, 4]


def test_a_branch_gives_features_and_its_own_output():
    features, own = drawn(Branch(7, 8, 3, 2, (1, 3)))(noise(2, 7, 6, 6))
    assert features.shape == (2, 8, 6, 6)
    assert own.shape == (2, 3, 6, 6)


def test_weights_are_drawn_without_touching_the_global_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.device("meta"):
        net = Branch(3, 4, 2, 1, (1, 3))
    net.to_empty(device="cpu")
    drawn(net)
    assert torch.equal(before, torch.get_rng_state())
    with torch.device("meta"):
        twin = Branch(3, 4, 2, 1, (1, 3))
    twin.to_empty(device="cpu")
    drawn(twin)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def test_silent_layers_start_at_zero():
    branch = Branch(3, 4, 2, 1, (1,))
    initialise(branch, torch.Generator().manual_seed(0), [branch.exit])
    assert float(branch(noise(1, 3, 4, 4))[1].detach().abs().max()) == 0.0


def test_two_taps_are_refused():
    with pytest.raises(MethodError, match="1 or 3 taps"):
        TimeMix(2, 2, 2)
