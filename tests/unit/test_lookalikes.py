"""Lookalikes against kriging written out by hand, and against kriging that does not look."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lookalikes_by_hand import by_likeness

from stsfusion.learning.kriging import Field
from stsfusion.learning.lookalikes import Lookalikes
from stsfusion.learning.pairing import block_gaussian
from stsfusion.learning.returned import Returned
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.pairmodel import PairModel


def _model(kernel, ratio):
    return PairModel(kernel.float(), torch.ones(1, 1), torch.zeros(1), torch.zeros(2), ratio)


def _case(kernel, ratio, side=5, bands=2):
    dice = torch.Generator().manual_seed(0)
    looks = torch.randn(bands, side * ratio, side * ratio, generator=dice)
    residual = torch.randn(3, side, side, generator=dice)
    return residual, looks, _model(kernel, ratio)


def _surfaces(soft=0.0):
    """(1, 96, 96) in blocks of 6: nearly no coarse pixel of 4 × 4 is of one surface."""
    dice = torch.Generator().manual_seed(1)
    blocks = (torch.rand(1, 16, 16, generator=dice) > 0.5).float()
    image = blocks.repeat_interleave(6, 1).repeat_interleave(6, 2)
    return image + soft * torch.randn(image.shape, generator=dice)


@pytest.mark.parametrize("gaps", [0, 4])
@pytest.mark.parametrize(
    ("kernel", "ratio"), [(box_kernel(2), 2), (gaussian_kernel(3.0, 3), 3), (block_gaussian(4, 0.5), 4)]
)
def test_it_is_kriging_written_out(kernel, ratio, gaps):
    residual, looks, model = _case(kernel, ratio)
    clear = torch.ones(5, 5, dtype=torch.bool)
    clear.flatten()[torch.randperm(25, generator=torch.Generator().manual_seed(2))[:gaps]] = False
    noise = torch.tensor([0.03, 0.5, 20.0])
    found = Lookalikes(noise)(residual.masked_fill(~clear, 1e3), clear, looks, model)
    parts = (each.double().numpy() for each in (residual, clear, looks, model.kernel, noise))
    wanted = by_likeness(*parts, ratio)
    # The outer rings of a kernel that hold next to nothing are left out.
    np.testing.assert_allclose(found.numpy(), wanted, atol=0.01)


@pytest.mark.parametrize("ratio", [5, 7, 8, 12])
@pytest.mark.parametrize("wide", [False, True])
def test_cells_tell_nearly_what_fine_pixels_do(ratio, wide):
    kernel = gaussian_kernel(float(ratio), ratio) if wide else block_gaussian(ratio, ratio / 4)
    residual, _, model = _case(kernel, ratio)
    # A cell is up to three fine pixels wide: what a sensor of finite width saw hardly differs in it.
    rough = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(4))
    looks = 2.0 * torch.nn.functional.interpolate(rough[None], scale_factor=ratio, mode="bicubic")[0]
    clear, noise = torch.ones(5, 5, dtype=torch.bool), torch.tensor([0.03, 0.5, 20.0])
    found = Lookalikes(noise)(residual, clear, looks, model).double().numpy()
    parts = (each.double().numpy() for each in (residual, clear, looks, model.kernel, noise))
    wanted = by_likeness(*parts, ratio)
    assert np.square(found - wanted).mean() < 0.01 * np.square(wanted).mean()


@pytest.mark.parametrize("offset", [300.0, 1e4])
def test_only_differences_of_looks_count(offset):
    residual, looks, model = _case(gaussian_kernel(3.0, 3), 3)
    clear, alike = torch.ones(5, 5, dtype=torch.bool), Lookalikes(torch.full((3,), 0.03))
    plain = alike(residual, clear, looks, model)
    # So far off, single precision itself has 1e-3 of a standard deviation.
    torch.testing.assert_close(alike(residual, clear, looks + offset, model), plain, atol=0.02, rtol=0.0)


def test_looks_beyond_all_others_are_like_nothing():
    residual, looks, model = _case(gaussian_kernel(3.0, 3), 3)
    looks[:, 6:9, 6:9] = 1e19
    found = Lookalikes(torch.full((3,), 0.03))(residual, torch.ones(5, 5, dtype=torch.bool), looks, model)
    assert bool(torch.isfinite(found).all())
    assert float(found.abs().max()) < 10.0 * float(residual.abs().max())


def test_double_precision_stays_double():
    residual, looks, model = _case(box_kernel(2), 2)
    parts = residual.double(), torch.ones(5, 5, dtype=torch.bool), looks.double()
    found = Lookalikes(torch.full((3,), 0.03))(*parts, model)
    assert found.dtype == torch.float64


def test_noise_is_not_brought_back():
    dice = torch.Generator().manual_seed(3)
    residual = torch.randn(3, 24, 24, generator=dice)
    residual /= residual.square().mean((1, 2), keepdim=True).sqrt()
    clear = torch.ones(24, 24, dtype=torch.bool)
    learned = Lookalikes.learn([residual], [clear], torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(learned.noise[:2], torch.tensor([0.03, 1.03]), atol=1e-4, rtol=0.0)
    found = learned(residual, clear, torch.zeros(1, 96, 96), _model(box_kernel(4), 4))
    power = found.square().mean((1, 2))
    assert float(power[1]) < 0.5 * float(power[0])
    assert float(power[2]) < 0.01 * float(power[0])


def test_masked_pixels_are_not_learned_from():
    residual = torch.ones(1, 6, 6)
    clear = torch.ones(6, 6, dtype=torch.bool)
    clear[0] = False
    one = Lookalikes.learn([residual], [clear], torch.tensor([0.5]))
    residual[:, 0] = 99.0
    assert torch.equal(one.noise, Lookalikes.learn([residual], [clear], torch.tensor([0.5])).noise)
    none = Lookalikes.learn([residual], [torch.zeros_like(clear)], torch.tensor([0.5]))
    assert bool(torch.isfinite(none.noise).all())


def test_errors_of_surfaces_come_back_on_their_surface():
    """Seen in the middle of coarse pixels alone; looks that tell nothing of it are its broken twin."""
    truth, clear = _surfaces(), torch.ones(24, 24, dtype=torch.bool)
    model = _model(block_gaussian(4, 0.5), 4)
    truth = truth - truth.mean()
    residual, alike = model.lowpass(truth), Lookalikes(torch.tensor([0.03]))

    def error(image):
        return float((image - truth).square().mean())

    told = error(alike(residual, clear, _surfaces(0.1) * 4, model))
    turned = error(alike(residual, clear, (_surfaces(0.1) * 4).flip(1), model))
    returned = Returned.learn([residual], [clear], torch.zeros(1), Field.tried(model))
    assert told < 0.4 * error(returned.kriging(residual, 4))
    assert turned > 2.0 * told


def test_both_ways_have_the_same_say_and_come_back_from_tensors():
    truth, clear = _surfaces(), torch.ones(24, 24, dtype=torch.bool)
    model = _model(block_gaussian(4, 1.0), 4)
    looks = torch.cat([_surfaces(0.1), torch.full_like(truth, 1e3)])
    residual = model.lowpass(truth)
    returned = Returned.learn([residual], [clear], torch.zeros(1), Field.tried(model))
    found = returned(residual, clear, looks, model)
    alike = returned.lookalikes(residual, clear, looks[:1], model)
    torch.testing.assert_close(found, 0.5 * (alike + returned.kriging(residual, 4)))
    again = Returned.of(returned.tensors())
    assert torch.equal(again(residual, clear, looks, model), found)


def test_where_no_pixel_near_may_be_believed_kriging_has_all_the_say():
    truth, clear = _surfaces(), torch.ones(24, 24, dtype=torch.bool)
    clear[:, 12:] = False
    model = _model(block_gaussian(4, 1.0), 4)
    looks = torch.cat([_surfaces(0.1), torch.zeros_like(truth)])
    residual = model.lowpass(truth)
    returned = Returned.learn([residual], [clear], torch.zeros(1), Field.tried(model))
    found, far = returned(residual, clear, looks, model), returned.kriging(residual, 4)
    torch.testing.assert_close(found[:, :, 52:], far[:, :, 52:])
    assert float((found - far)[:, :, :52].abs().min(1).values.max()) > 0.0
    alike = returned.lookalikes(residual, clear, looks[:1], model)
    torch.testing.assert_close(found[:, :, :52], 0.5 * (alike + far)[:, :, :52])
