"""The operator contract, and what is particular to each operator."""

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError
from stsfusion.operators.blur import (
    Blur,
    bilinear_kernel,
    box_kernel,
    gaussian_kernel,
    identity_kernel,
    mtf_kernel,
)
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.fill import fill
from stsfusion.operators.linear import Composed, gap
from stsfusion.operators.mix import Mix, pick
from stsfusion.operators.resample import Upsample, blocks, upsample
from stsfusion.testing import check_operator
from stsfusion.window import Window

KERNELS = {
    "gaussian-3": (gaussian_kernel(3.0, 3), 3),
    "gaussian-2": (gaussian_kernel(2.0, 2), 2),
    "gaussian-shifted": (gaussian_kernel(3.0, 3, (0.4, -0.7)), 3),
    "wide-1": (gaussian_kernel(1.6, 1), 1),
    "mtf-4": (mtf_kernel(0.25, 4), 4),
    "box-4": (box_kernel(4), 4),
    "bilinear-2": (bilinear_kernel(2), 2),
    "bilinear-3": (bilinear_kernel(3), 3),
    "identity": (identity_kernel(), 3),
    "lopsided": (torch.rand(5, 3, dtype=torch.float64), 3),
}
SHAPE = (2, 3, 12, 24)


def operators():
    yield from ((f"blur {name}", Blur(kernel, ratio, SHAPE)) for name, (kernel, ratio) in KERNELS.items())
    yield "blur with phase", Blur(gaussian_kernel(3, 3), 3, SHAPE, phase=(1, -2))
    for kind in ("nearest", "bilinear", "bicubic"):
        yield f"upsample {kind}", Upsample(3, (2, 3, 5, 4), kind)
    weights = torch.rand(4, 3, dtype=torch.float64)
    yield "mix bands", Mix(weights, "band", SHAPE)
    yield "pick dates", pick([1], SHAPE)
    view = Degradation.of(
        (5, 3, 12, 12), dates=[0, 3], spectral=weights, kernel=gaussian_kernel(3, 3), ratio=3
    )
    yield "degradation", view
    yield "composed", Composed(Upsample(2, view.out_shape), view)


@pytest.mark.parametrize(("name", "op"), list(operators()), ids=lambda v: v if isinstance(v, str) else "")
def test_contract(name, op):
    check_operator(op)


def dense(op):
    """The operator's matrix, one unit vector at a time."""
    size = int(np.prod(op.in_shape))
    eye = torch.eye(size, dtype=torch.float64).reshape(size, *op.in_shape)
    return torch.stack([op(unit).flatten() for unit in eye], 1)


def test_blur_of_no_band_is_no_band():
    assert Blur(gaussian_kernel(3.0, 3), 3, (2, 0, 6, 9))(torch.zeros(2, 0, 6, 9)).shape == (2, 0, 2, 3)


def test_blur_equals_a_plain_loop():
    kernel = torch.rand(5, 5, dtype=torch.float64)
    op = Blur(kernel, 3, (1, 1, 6, 6))
    image = np.random.default_rng(0).random((6, 6))
    expected = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            for a in range(5):
                for b in range(5):
                    y, x = np.clip(3 * i - 1 + a, 0, 5), np.clip(3 * j - 1 + b, 0, 5)
                    expected[i, j] += kernel[a, b].item() * image[y, x]
    got = op(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("op", [Blur(gaussian_kernel(2, 2), 2, (1, 1, 6, 6)), Upsample(2, (1, 1, 3, 3))])
def test_adjoint_is_the_transposed_matrix(op):
    matrix = dense(op)
    y = torch.randn(op.out_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(op.adjoint(y).flatten(), matrix.T @ y.flatten(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "lopsided"])
def test_constants_are_kept_to_the_edge(name):
    kernel, ratio = KERNELS[name]
    out = Blur(kernel, ratio, (1, 1, 12, 12))(torch.full((1, 1, 12, 12), 0.37, dtype=torch.float64))
    torch.testing.assert_close(out, torch.full_like(out, 0.37), rtol=1e-12, atol=0)


def coordinates(rows, cols):
    """An image whose pixels are their own rotated position, so that no symmetry hides a swap."""
    y, x = torch.meshgrid(torch.arange(rows).double(), torch.arange(cols).double(), indexing="ij")
    return (0.8 * y - 0.6 * x)[None, None]


@pytest.mark.parametrize("name", ["gaussian-3", "gaussian-2", "mtf-4", "box-4", "bilinear-2", "bilinear-3"])
def test_a_coarse_pixel_lies_in_the_middle_of_its_block(name):
    kernel, ratio = KERNELS[name]
    size = 24 * ratio
    out = Blur(kernel, ratio, (1, 1, size, size))(coordinates(size, size))[0, 0]
    inner = slice(6, 18)
    centres = torch.arange(24).double() * ratio + (ratio - 1) / 2
    expected = 0.8 * centres[inner, None] - 0.6 * centres[None, inner]
    torch.testing.assert_close(out[inner, inner], expected, rtol=0, atol=1e-9)


def test_a_shift_moves_the_footprint_down_and_right():
    size, (down, right) = 72, (0.4, -0.7)
    still, moved = (
        Blur(gaussian_kernel(3.0, 3, shift, reach=6), 3, (1, 1, size, size))(coordinates(size, size))[
            0, 0, 8:16, 8:16
        ]
        for shift in ((0.0, 0.0), (down, right))
    )
    torch.testing.assert_close(
        moved - still, torch.full_like(still, 0.8 * down - 0.6 * right), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_upsampling_puts_centres_where_they_belong(kind, ratio):
    coarse = coordinates(12, 12) * ratio + (0.8 - 0.6) * (ratio - 1) / 2
    fine = upsample(coarse, ratio, kind)[0, 0]
    inner = slice(3 * ratio, 9 * ratio)
    torch.testing.assert_close(
        fine[inner, inner], coordinates(12 * ratio, 12 * ratio)[0, 0, inner, inner], rtol=0, atol=1e-9
    )


def test_bilinear_agrees_with_torch():
    x = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    expected = torch.nn.functional.interpolate(x, scale_factor=3, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(x, 3, "bilinear"), expected)


def test_a_crop_upsamples_to_the_very_same_numbers():
    x = torch.rand(1, 2, 40, 40)
    whole, part = upsample(x, 3), upsample(x[:, :, 10:30, 10:30], 3)
    assert torch.equal(whole[:, :, 36:84, 36:84], part[:, :, 6:54, 6:54])


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 4.5])
def test_gaussian_has_its_width(fwhm):
    kernel = gaussian_kernel(fwhm, 3, reach=6)
    position = torch.arange(kernel.shape[0]).double() - (kernel.shape[0] - 1) / 2
    variance = (kernel.sum(1) * position**2).sum()
    assert float(variance.sqrt()) == pytest.approx(fwhm / 2.354820045, rel=1e-3)


@pytest.mark.parametrize("mtf", [0.1, 0.25, 0.4])
def test_mtf_kernel_has_its_modulation_at_nyquist(mtf):
    kernel = mtf_kernel(mtf, 4)
    position = torch.arange(kernel.shape[0]).double() - (kernel.shape[0] - 1) / 2
    assert float((kernel.sum(1) * torch.cos(2 * torch.pi * position / 8)).sum()) == pytest.approx(
        mtf, abs=5e-3
    )


def test_degradation_crops_like_the_whole():
    view = Degradation.of((3, 4, 24, 24), dates=[0, 2], kernel=box_kernel(3), ratio=3)
    cube = torch.rand(3, 4, 24, 24)
    window = Window((0, 3), (6, 18), (3, 24))
    part = view.crop(window)(cube[window.slices])
    torch.testing.assert_close(part, view(cube)[:, :, 2:6, 1:8])
    assert view.dates == [0, 2]


def test_fill_enters_a_gap_only_as_far_as_asked():
    valid = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    valid[..., 2:7, 2:7] = False
    data = torch.where(valid, 0.3, 99.0)
    filled, known = fill(data, valid, 1)
    torch.testing.assert_close(filled[known], torch.full_like(filled[known], 0.3))
    assert known.sum() == 81 - 9
    assert (filled[~known] == 0).all()


def test_blocks_repeat_in_any_dtype():
    x = torch.tensor([[[[1, 2]]]], dtype=torch.uint8)
    assert blocks(x, 2).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_errors_say_what_to_do():
    with pytest.raises(ProblemError, match="an odd size"):
        Blur(box_kernel(2), 3, (1, 1, 6, 6))
    with pytest.raises(ProblemError, match="ratio 3 divides"):
        Blur(box_kernel(3), 3, (1, 1, 7, 6))
    with pytest.raises(ProblemError, match="3 columns"):
        Mix(torch.ones(2, 2), "band", SHAPE)
    with pytest.raises(ProblemError, match="matching shapes"):
        Upsample(2, (1, 1, 4, 4)) @ Upsample(3, (1, 1, 4, 4))
    with pytest.raises(ProblemError, match="takes"):
        Upsample(2, (1, 1, 4, 4))(torch.ones(1, 1, 5, 4))
    with pytest.raises(ProblemError, match="rows that choose"):
        _ = Degradation.of((2, 1, 3, 3), dates=Mix(torch.full((1, 2), 0.5), "time", (2, 1, 3, 3))).dates


def test_gap_sees_a_wrong_adjoint_of_any_size():
    class Flipped(Blur):
        def _transpose(self, y):
            return super()._transpose(y).flip(-1)

    assert (
        gap(Flipped(gaussian_kernel(3, 3, (0.5, 0.5)), 3, (1, 1, 12, 12)), torch.Generator().manual_seed(0))
        > 1e-3
    )
