"""The sensor model of a pair: its low-pass and the adjoint, the kernel's centre, and its tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import blurred, enlarged

from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.pairmodel import PairModel, support


def model(ratio: int = 3, shift: tuple[float, float] = (0.0, 0.0)) -> PairModel:
    """A Gaussian twice as wide as the ratio."""
    dice = torch.Generator().manual_seed(0)
    response = torch.rand(2, 5, generator=dice, dtype=torch.float64)
    return PairModel(
        gaussian_kernel(2.0 * ratio, ratio, shift),
        response,
        torch.tensor([0.01, 0.02], dtype=torch.float64),
        torch.tensor([0.6, -0.4], dtype=torch.float64),
        ratio,
    )


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_lowpass_is_the_plain_blur(ratio):
    image = noise(3, 6 * ratio, 5 * ratio)
    expected = blurred(image.numpy(), model(ratio).kernel.numpy(), ratio)
    np.testing.assert_allclose(model(ratio).lowpass(image).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_spread_is_its_adjoint(ratio):
    x, y = noise(2, 6 * ratio, 4 * ratio), noise(2, 6, 4, seed=2)
    ours = model(ratio, (0.5, -0.3))
    left, right = float((ours.lowpass(x) * y).sum()), float((x * ours.spread(y)).sum())
    assert abs(left - right) < 1e-10
    other = float((x * model(ratio, (-0.5, 0.3)).spread(y)).sum())
    assert abs(left - other) > 1e-4


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (-1.2, 0.3)])
@pytest.mark.parametrize("ratio", [2, 3])
def test_the_centre_is_where_the_weight_is(ratio, shift):
    assert model(ratio, shift).centre == pytest.approx(shift, abs=2e-3)


def test_the_centre_of_one_pixel_is_that_pixel():
    kernel = torch.zeros(5, 5, dtype=torch.float64)
    kernel[3, 0] = 1.0
    one = PairModel(kernel, torch.zeros(1, 1), torch.zeros(1), torch.zeros(2), 3)
    assert one.centre == (1.0, -2.0)
    assert one.reach == 1


def test_upsample_undoes_the_displacement():
    image = noise(2, 6, 7)
    np.testing.assert_allclose(
        model(4).upsample(image).numpy(), enlarged(image.numpy(), 4), atol=1e-3, rtol=1e-3
    )
    ratio, shift = 4, (0.7, -0.9)
    fine = torch.arange(20.0 * ratio, dtype=torch.float64)
    ramp = (fine[:, None] - 2.0 * fine[None, :])[None]
    ours = model(ratio, shift)
    back, inner = ours.upsample(ours.lowpass(ramp)), (0, slice(28, -28), slice(28, -28))
    np.testing.assert_allclose(back[inner].numpy(), ramp[inner].numpy(), atol=1e-9)


def test_tensors_are_all_of_it():
    ours = model()
    again = PairModel.of(ours.tensors())
    assert again.tensors().keys() == {"kernel", "response", "misfit", "moved", "ratio"}
    assert all(torch.equal(t, again.tensors()[name]) for name, t in ours.tensors().items())
    assert again.ratio == 3
    assert isinstance(again.ratio, int)


def test_it_follows_a_tensor_into_its_dtype():
    moved = model().to(torch.zeros(1, dtype=torch.float32))
    assert {t.dtype for name, t in moved.tensors().items() if name != "ratio"} == {torch.float32}
    assert moved.ratio == 3
    assert moved.lowpass(noise(1, 9, 9).float()).dtype == torch.float32


@pytest.mark.parametrize(("ratio", "far"), [(2, 4), (3, 4), (5, 4), (6, 5), (8, 6), (12, 9)])
def test_the_support_grows_with_the_ratio(ratio, far):
    assert support(ratio) == far
