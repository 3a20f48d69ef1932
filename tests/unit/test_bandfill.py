"""Bands that pixels lack are told by those that they have; and a date is not given up for one dead band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pairscenes import changed, pair_problem

from stsfusion.learning.bandfill import BandFill
from stsfusion.methods.gsa import GSA
from stsfusion.testing import fuse_tiled


def images(count=3, seed=0):
    """Bands that are mixtures of two fields, with a little noise of their own."""
    dice = torch.Generator().manual_seed(seed)
    mix = torch.tensor([[0.3, 0.1], [0.2, 0.2], [0.1, 0.4], [0.5, -0.1]])
    found = []
    for _ in range(count):
        fields = torch.rand(2, 12, 15, generator=dice)
        image = torch.einsum("bf,fyx->byx", mix, fields) + 0.1
        found.append(image + 1e-3 * torch.randn(image.shape, generator=dice))
    return found


def test_lost_bands_are_the_conditional_mean():
    whole = images()
    masks = [torch.ones_like(image, dtype=torch.bool) for image in whole]
    masks[1][2, :, :5], masks[2][0] = False, False
    fill = BandFill.learn(zip(whole, masks, strict=True))
    x = torch.cat([i[:, m.all(0)] for i, m in zip(whole, masks, strict=True)], 1).double().numpy()
    mean, cov = x.mean(1), np.cov(x, bias=True)
    spoilt = torch.where(masks[1], whole[1], -99.0)
    told, known = fill(spoilt, masks[1])
    assert bool(known.all())
    seen = [0, 1, 3]
    inner = cov[np.ix_(seen, seen)] + 1e-4 * np.diag(np.diag(cov)[seen])
    pixels = whole[1][seen][:, :, :5].reshape(3, -1).numpy() - mean[seen, None]
    expected = mean[2] + cov[2, seen] @ np.linalg.solve(inner, pixels)
    np.testing.assert_allclose(told[2, :, :5].reshape(-1), expected, atol=2e-5)
    assert float((told - whole[1]).abs().max()) < 0.02
    assert torch.equal(told[:, :, 5:], whole[1][:, :, 5:])
    assert torch.equal(told[seen], whole[1][seen])


def test_a_pixel_that_lacks_most_bands_is_left():
    whole = images()
    masks = [torch.ones_like(image, dtype=torch.bool) for image in whole]
    masks[0][:3, 4, 4] = False
    fill = BandFill.learn(zip(whole, masks, strict=True))
    told, known = fill(whole[0], masks[0])
    assert torch.equal(known, masks[0])
    assert torch.equal(told, whole[0])


def test_nothing_is_learned_where_bands_are_lost_together_or_all_pixels_lack_some():
    whole = images()
    cloudy = [torch.ones_like(image, dtype=torch.bool) for image in whole]
    cloudy[0][:, :6] = False
    assert BandFill.learn(zip(whole, cloudy, strict=True)) is None
    for mask in cloudy:
        mask[1] = False
    assert BandFill.learn(zip(whole, cloudy, strict=True)) is None


def dead_on_one_date(seen):
    valid = seen.valid.clone()
    valid[1, 2] = False
    return replace(seen, valid=valid, data=torch.where(valid, seen.data, -9.0))


@pytest.mark.parametrize("psf", ["estimated", "given"])
def test_a_date_with_one_dead_multispectral_band_is_still_sharpened(psf):
    problem = pair_problem(size=(48, 48), days=(0.0, 20.0, 40.0))
    spoilt = changed(problem, sharp=dead_on_one_date)
    whole, lame = (GSA(psf=psf).fit([p.question()]).fuse(p.question()).full() for p in (problem, spoilt))
    plain = GSA(psf=psf).fit([problem.question()])
    without = problem.with_observations({"sharp": problem.sharp.select([0, 2])}).question()

    def rmse(full):
        return float((full[1] - problem.truth[1]).square().mean().sqrt())

    assert rmse(lame) < 1.5 * rmse(whole)
    assert rmse(lame) < 0.4 * rmse(plain.fuse(without).full())
    for date in (0, 2):
        assert torch.equal(lame[date], whole[date])


def test_tiles_with_lost_bands_are_the_whole():
    problem = changed(pair_problem(size=(96, 96), days=(0.0, 20.0)), sharp=dead_on_one_date)
    method = GSA(psf="box").fit([problem.question()])
    whole = method.fuse(problem.question()).full()
    assert float((fuse_tiled(method, problem, 24) - whole).abs().max()) < 1e-5


def test_masks_of_whole_pixels_learn_nothing_more():
    problem = pair_problem(days=(0.0, 20.0)).question()
    assert not [name for name in GSA(psf="box").fit([problem]).state if name.startswith("bandfill")]
