"""Attempts: which are tried, and that what they tell of an image is what is merged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.learning import attempts as attempts_module
from stsfusion.learning.attempts import Attempts, Ground, evened
from stsfusion.learning.leaveout import blocks_of
from stsfusion.learning.likeness import Likeness
from stsfusion.learning.members import kinds_for, placed
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.pairmodel import PairModel

KINDS = kinds_for(32, 4, 1000)
PENALTIES = (3e-3, 3e-2, 3e-1)
RATIO, SIDE = 3, 45


def _model():
    kernel = gaussian_kernel(1.2 * RATIO, RATIO)
    return PairModel(kernel, torch.ones(4, 12) / 12, torch.zeros(4), torch.zeros(2), RATIO).to(torch.zeros(1))


def _scene(seed=0):
    """(4, H, W) bands that two fields make, and (1, H, W) what no line tells of them."""
    dice = torch.Generator().manual_seed(seed)
    fields = torch.rand(2, SIDE, SIDE, generator=dice)
    bands = torch.einsum("lf,fyx->lyx", torch.rand(4, 2, generator=dice), fields)
    bands = bands + 0.1 * torch.rand(bands.shape, generator=dice)
    return bands, (bands[:1] - 0.5).square() + 0.3 * bands[1:2]


def _learned(scenes, kinds=KINDS, places=None, **other):
    """Asked about every pixel unless `places` says of which."""
    model, images = _model(), [fine for fine, _ in scenes]
    clear = [torch.ones(SIDE // RATIO, SIDE // RATIO, dtype=torch.bool) for _ in scenes]
    places = [torch.arange(SIDE * SIDE) for _ in scenes] if places is None else places
    ground = Ground(images, clear, model, blocks_of(clear, 3), places)
    outputs = torch.cat([model.lowpass(truth).flatten(1) for _, truth in scenes], 1).T.double()
    weight = torch.ones_like(outputs[:, 0])
    dice = torch.Generator().manual_seed(0)
    members = placed(images, kinds, dice)
    return Attempts.learn(ground, outputs, weight, dice, members, **other), outputs


@pytest.fixture(scope="module")
def learned():
    return _learned([_scene(), _scene(1)])


def test_there_is_a_line_and_every_member_under_every_shrinkage(learned):
    attempts, _ = learned
    assert len(attempts.fits) == 1 + len(KINDS) * len(PENALTIES)
    assert [len(experts.centres) for experts in attempts.experts] == [count for *_, count in KINDS]
    assert len(attempts.fits[0].slope) == 0


def test_what_is_told_is_what_the_fits_say_pixel_by_pixel(learned):
    attempts, outputs = learned
    low = []
    for tile, (fine, _) in enumerate([_scene(), _scene(1)]):
        told = attempts.told[:, 0].reshape(40, 2, SIDE, SIDE)[:, tile]
        looks = attempts.looks(fine)
        white = torch.cat([torch.ones(1, SIDE, SIDE), looks[:4]]).double()
        for place, fit in enumerate(attempts.fits):
            wanted = torch.einsum("k,kyx->yx", fit.plain[:, 0], white)
            if place:
                features = attempts.experts[(place - 1) // len(PENALTIES)].image(looks).double()
                wanted = wanted + torch.einsum("d,dyx->yx", fit.slope[:, 0], features)
            torch.testing.assert_close(told[place].double(), wanted, atol=1e-5, rtol=0)
        low.append(_model().lowpass(told).flatten(1))
    # What is left over is seen by the coarse sensor.
    wanted = outputs[:, 0] - torch.cat(low, 1).double()
    torch.testing.assert_close(attempts.over[:, 0], wanted, atol=1e-5, rtol=0)


def test_only_what_is_asked_about_is_told(learned):
    attempts, _ = learned
    places = [torch.tensor([7, 70, 701]), torch.tensor([5])]
    some, _ = _learned([_scene(), _scene(1)], places=places)
    every = attempts.told[:, 0].reshape(40, 2, -1)
    wanted = torch.cat([every[:, 0, places[0]], every[:, 1, places[1]]], 1)
    torch.testing.assert_close(some.told[:, 0], wanted)


def test_the_last_outputs_are_asked_about_whatever_comes_before_them():
    """Three outputs of which two are asked about; fits of the others are there all the same."""
    fine, truth = _scene()
    ground = Ground(
        [fine],
        [torch.ones(15, 15, dtype=torch.bool)],
        _model(),
        blocks_of([torch.ones(15, 15, dtype=torch.bool)], 3),
        [torch.arange(90)],
    )
    one = _model().lowpass(truth).flatten().double()
    outputs = torch.stack([one, -one, 2.0 * one], 1)
    dice = torch.Generator().manual_seed(0)
    members = placed([fine], KINDS, dice)
    found = Attempts.learn(ground, outputs, torch.ones_like(one), dice, members, last=2)
    assert found.told.shape == (40, 2, 90)
    assert found.over.shape == (40, 2, 225)
    torch.testing.assert_close(found.told[:, 1], -2.0 * found.told[:, 0], atol=1e-4, rtol=0)
    assert found.first(1).fits[0].plain.shape == (5, 1)


def _first(told):
    """(m, H, W) of the first of two tiles."""
    return told[:, 0].reshape(len(told), 2, SIDE, SIDE)[:, 0]


def test_more_shrinkage_leaves_smaller_slopes_and_more_error(monkeypatch):
    # Of errors as they are: with a share taken off, it is what is left of them that grows.
    monkeypatch.setattr(Likeness, "shares", lambda self, errors, weight: torch.zeros_like(errors[0]))
    attempts, _ = _learned([_scene(), _scene(1)])
    over = attempts.over[:, 0]
    for m in range(len(KINDS)):
        sizes = []
        for q in range(len(PENALTIES)):
            fit = attempts.fits[1 + m * len(PENALTIES) + q]
            sizes.append(float(fit.slope.norm()))
        assert np.all(np.diff(sizes) < 0), "more shrinkage, smaller slopes"
        heavy = over[1 + m * len(PENALTIES) + len(PENALTIES) - 1]
        light = over[1 + m * len(PENALTIES)]
        assert float(light.square().mean()) < float(heavy.square().mean())


@pytest.mark.parametrize(("many", "more"), [(1, 1.0), (225, 1.0), (900, 4.0)])
def test_shrinkage_falls_with_what_coarse_pixels_average_and_with_their_number(monkeypatch, many, more):
    """As the variance of white errors and features does, with the sum of the squared kernel; 225 pixels."""
    asked = []
    tried = attempts_module.path
    monkeypatch.setattr(attempts_module, "path", lambda *parts: asked.append(parts[5]) or tried(*parts))
    monkeypatch.setattr(attempts_module, "_MANY", many)
    _learned([_scene()], kinds=KINDS[:1])
    energy = float(_model().kernel.double().square().sum())
    np.testing.assert_allclose(asked, [np.array(PENALTIES) * energy * more], rtol=1e-6)
    assert 0.01 < energy < 0.2


def test_a_merged_fit_tells_the_weighted_mean(learned):
    attempts, _ = learned
    weights = torch.rand(40, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    plain, slopes = attempts.slopes(weights / weights.sum())
    fine = _scene()[0]
    looks = attempts.looks(fine)
    found = torch.einsum("k,kyx->yx", plain[1:, 0].float(), looks[:4]) + plain[0, 0].float()
    for experts, slope in zip(attempts.experts, slopes, strict=True):
        found = found + experts.apply(looks, slope.float())[0]
    wanted = torch.einsum("m,myx->yx", (weights / weights.sum())[:, 0].float(), _first(attempts.told))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_no_expert_leaves_the_line():
    line, _ = _learned([_scene()], kinds=[])
    assert len(line.fits) == 1
    assert line.experts == ()
    assert line.told.shape == (1, 1, SIDE * SIDE)
    some, _ = _learned([_scene()], kinds=kinds_for(8, 4, 1000))
    assert [len(experts.centres) for experts in some.experts] == [2, 4, 8, 4, 2, 4, 2, 4, 8, 4]


def test_a_scene_that_is_next_to_empty_is_learned_from_what_there_is():
    fine, truth = _scene()
    mask = torch.zeros(SIDE, SIDE)
    mask[9:15, 9:15] = 1.0
    attempts, _ = _learned([(fine * mask, truth * mask)], sample=20)
    assert bool(torch.isfinite(attempts.told).all())
    torch.testing.assert_close(attempts.looks.mean, fine[:, 9:15, 9:15].mean((1, 2)), atol=0.1, rtol=0)


def test_fewer_pixels_are_sampled_where_fewer_are_asked_for():
    few, many = (_learned([_scene()], sample=count)[0] for count in (100, SIDE * SIDE))
    assert not torch.equal(few.looks.mean, many.looks.mean)
    torch.testing.assert_close(many.looks.mean, _scene()[0].mean((1, 2)), atol=1e-5, rtol=0)


def test_dark_pixels_weigh_more_down_to_a_twentieth_of_the_mean():
    pixels = torch.tensor([[4.0, 2.0, 1.0, 1e-9, 0.0], [3.0, 1.5, 0.75, 0.0, 0.0]])
    weight = evened(pixels)
    assert float(weight.mean()) == pytest.approx(1.0)
    np.testing.assert_allclose((weight[1:3] / weight[0]).numpy(), [2.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose((weight[3:] / weight[0]).numpy(), 5.0 / (0.05 * 1.75), rtol=1e-6)
    assert bool(torch.isfinite(evened(torch.zeros(2, 3))).all())
