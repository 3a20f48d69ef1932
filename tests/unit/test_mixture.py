"""The stacked regression: linear truths are found again, broken ones told better than a line can."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pairscenes import textured
from scipy.ndimage import gaussian_filter

from stsfusion.learning import mixture as mixture_
from stsfusion.learning.exam import Exam
from stsfusion.learning.likeness import Likeness
from stsfusion.learning.mixture import Lesson, Mixture
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.pairmodel import PairModel

RATIO = 3


def model(ratio=RATIO):
    kernel = gaussian_kernel(1.2 * ratio, ratio)
    return PairModel(kernel, torch.ones(4, 12) / 12, torch.zeros(4), torch.zeros(2), ratio).to(torch.zeros(1))


def scene(rows=72, cols=66, seed=0):
    """(l, H, W) float32: texture on two kinds of ground that no band confuses."""
    return (0.4 * textured(rows, cols, 4, seed)[0] + LIFT * ground(rows, cols, seed)).float()


def ground(rows, cols, seed=0):
    """(H, W) float64, one inside patches of some 15 pixels, zero outside."""
    white = np.random.default_rng(seed).normal(size=(rows, cols))
    return torch.from_numpy((gaussian_filter(white, 5) > 0).astype(float))


LIFT = torch.tensor([0.4, 0.2, -0.2, 0.35], dtype=torch.float64)[:, None, None]
"""What a patch adds to every band."""


def broken(fine, seed=0):
    """(3, H, W) scores that are linear on either ground, and differ between them."""
    dice = torch.Generator().manual_seed(seed)
    slopes = torch.randn(2, 3, 4, generator=dice, dtype=torch.float64)
    side = ((fine.double() * LIFT).sum(0) > (fine.double() * LIFT).sum(0).mean()).double()
    level = fine.double() - fine.double().mean((1, 2), keepdim=True)
    ends = [torch.einsum("pl,lyx->pyx", slope, level) for slope in slopes]
    return ends[0] * side + (ends[1] + 0.05) * (1 - side)


def lesson(fine, scores, clear=None):
    coarse = model().lowpass(scores.double())
    clear = torch.ones(coarse.shape[1:], dtype=torch.bool) if clear is None else clear
    weight = torch.ones(int(clear.sum()))
    return Lesson(fine, coarse[:, clear].float(), weight, clear)


def learned(lessons, most, seed=0):
    """The mixture, and the errors at coarse pixels whose block was left out."""
    mixture, left, *_ = Mixture.learn(
        lessons, torch.zeros(len(lessons[0].scores)), model(), torch.Generator().manual_seed(seed), most
    )
    return mixture, left


def off(mixture, fine, scores):
    return float((mixture(fine).double() - scores).square().mean().sqrt())


@pytest.mark.parametrize("most", [0, 8])
def test_a_linear_truth_is_found_again(most):
    fine = scene()
    slope = torch.tensor([[0.5, -0.2, 0.1, 0.3], [-0.1, 0.4, 0.2, 0.0]], dtype=torch.float64)
    truth = torch.einsum("pl,lyx->pyx", slope, fine.double()) + torch.tensor([0.1, -0.05]).reshape(2, 1, 1)
    mixture, left = learned([lesson(fine, truth)], most)
    assert float((mixture(fine).double() - truth).abs().max()) < 1e-6
    assert float(left.abs().max()) < 1e-6
    other = scene(seed=5)
    wanted = torch.einsum("pl,lyx->pyx", slope, other.double()) + torch.tensor([0.1, -0.05]).reshape(2, 1, 1)
    assert off(mixture, other, wanted) < 1e-6


def test_a_broken_line_is_told_better_than_by_one_line():
    fine = scene()
    truth = broken(fine)
    each = {most: learned([lesson(fine, truth)], most) for most in (0, 16)}
    straight, bent = (off(mixture, fine, truth) for mixture, _ in each.values())
    assert bent < 0.85 * straight
    low = {most: float(left.square().mean().sqrt()) for most, (_, left) in each.items()}
    assert low[16] < 0.7 * low[0]


def test_left_out_errors_are_larger_than_those_of_the_fit_and_near_those_elsewhere():
    dice = torch.Generator().manual_seed(4)
    fine, beyond = scene(), scene(seed=9)
    noise = 0.01
    own = lesson(fine, broken(fine))
    own = Lesson(fine, own.scores + noise * torch.randn(own.scores.shape, generator=dice), *_rest(own))
    mixture, left = learned([own], 8)
    fitted = own.scores - model().lowpass(mixture(fine)).flatten(1)
    assert float(left.square().mean()) > 1.05 * float(fitted.square().mean())
    elsewhere = lesson(beyond, broken(beyond))
    fresh = elsewhere.scores + noise * torch.randn(elsewhere.scores.shape, generator=dice)
    gap = float((fresh - model().lowpass(mixture(beyond)).flatten(1)).square().mean().sqrt())
    assert 0.6 < float(left.square().mean().sqrt()) / gap < 1.25


def _rest(own):
    return own.weight, own.clear


def test_the_linear_map_alone_is_a_weighted_ridge_regression_on_coarse_pixels(monkeypatch):
    monkeypatch.setattr(Likeness, "shares", lambda self, errors, weight: torch.zeros_like(errors[0]))
    fine = scene()
    own = lesson(fine, broken(fine))
    weight = torch.rand(len(own.weight), generator=torch.Generator().manual_seed(1)) + 0.2
    weight = weight / weight.mean()
    mixture, _ = learned([Lesson(fine, own.scores, weight, own.clear)], 0)
    white = np.einsum("lk,lyx->kyx", mixture.looks.white.double(), fine.double())
    white -= white.mean((1, 2), keepdims=True)
    low = model().to(torch.zeros(1).double()).lowpass(torch.from_numpy(white)).flatten(1).numpy().T
    scale, n = np.sqrt((low**2).mean(0)), len(low)
    design, w = np.c_[low / scale, np.ones(n)], weight.double().numpy()
    found = mixture(fine).double().numpy()
    gaps = []
    for penalty in 10.0 ** np.arange(-9.0, 0.5, 0.5):
        price = penalty * n * np.diag([1.0] * len(white) + [0.0])
        slope = np.linalg.solve(design.T * w @ design + price, design.T * w @ own.scores.double().numpy().T)
        image = np.einsum("kyx,kp->pyx", white, slope[:-1] / scale[:, None]) + slope[-1][:, None, None]
        gaps.append(np.sqrt(((image - found) ** 2).mean((1, 2))))
    assert (np.min(gaps, 0) < 1e-3 * found.std()).all()
    assert np.min(gaps, 0).max() < 0.2 * np.max(gaps, 0).min()


def test_what_neighbours_have_in_common_does_not_bend_the_slope():
    """A wide swell that no band shows, far stronger than what the bands tell, and like one by chance."""
    fine = scene()[:1]
    steps = torch.linspace(0, 4.0, fine.shape[2], dtype=torch.float64)
    swell = 3.0 * (steps[None, :] + torch.linspace(0, 2.0, fine.shape[1], dtype=torch.float64)[:, None]).sin()
    own = lesson(fine, fine.double() + swell)
    mixture, left = learned([own], 32)
    assert not mixture.experts
    slope = float((mixture.looks.white @ mixture.linear)[0, 0])
    plain = np.polyfit(model().lowpass(fine).flatten().numpy(), own.scores[0].numpy(), 1)[0]
    assert abs(slope - 1.0) < 0.5 * abs(plain - 1.0)
    assert float(left.square().mean()) > 1.0


def test_tiles_are_learned_from_together_and_masked_pixels_not():
    one, two = scene(48, 48), scene(48, 48, seed=1)
    clear = torch.ones(16, 16, dtype=torch.bool)
    clear[2:7, 3:9] = False
    lessons = [lesson(one, broken(one), clear), lesson(two, broken(two))]
    mixture, left = learned(lessons, 4)
    assert left.shape == (int(clear.sum()) + 256, 3)
    spoilt = broken(one)
    spoilt[:, 11:16, 14:22] = 99.0
    again = [lesson(one, spoilt, clear), lessons[1]]
    keep = (again[0].scores - lessons[0].scores).abs().amax(0) < 1e-6
    assert bool(keep.all())
    same, _ = learned(again, 4)
    torch.testing.assert_close(same(two), mixture(two), atol=1e-4, rtol=0)


def test_tensors_bring_it_back():
    fine = scene(48, 48)
    mixture, _ = learned([lesson(fine, broken(fine))], 8)
    assert [len(experts.centres) for experts in mixture.experts] == [2, 4, 8, 4, 2, 4, 2, 4, 8, 4]
    back = Mixture.of(mixture.tensors())
    assert torch.equal(back(fine), mixture(fine))
    assert back.tensors().keys() == mixture.tensors().keys()
    alone, _ = learned([lesson(fine, broken(fine))], 0)
    assert not alone.experts
    assert torch.equal(Mixture.of(alone.tensors())(fine), alone(fine))


@pytest.mark.parametrize("favoured", [0, 3])
def test_the_exam_has_its_say_beside_the_coarse_pixels(favoured, monkeypatch):
    """One that calls every attempt but one useless."""
    gram = torch.diag(torch.where(torch.arange(40) == favoured, 1.0, 1e6).double())
    fine = scene()
    straight, _ = learned([lesson(fine, broken(fine))], 0)
    said = Exam(gram, 1.0, torch.ones(3), torch.ones(1, 3), [torch.zeros(1, dtype=torch.int64)])
    monkeypatch.setattr(mixture_, "examine", lambda *rest: said)
    mixture, _ = learned([lesson(fine, broken(fine))], 32)
    sizes = [float(slope.square().sum()) for slope in mixture.slopes]
    assert len(sizes) == 13
    if favoured:
        assert sizes[0] > 1e3 * max(sizes[1:])
    else:
        torch.testing.assert_close(mixture(fine), straight(fine), atol=1e-2, rtol=0)


def test_noise_that_is_told_of_is_followed_less():
    fine = scene()
    truth = broken(fine)
    own = lesson(fine, truth)
    sd = 0.3 * float(own.scores.std())
    dice = torch.Generator().manual_seed(3)
    own = Lesson(fine, own.scores + sd * torch.randn(own.scores.shape, generator=dice), *_rest(own))
    told, untold = (
        Mixture.learn([own], torch.full((3,), amount), model(), torch.Generator().manual_seed(0))[0]
        for amount in (sd**2, 0.0)
    )
    assert off(told, fine, truth) < 0.9 * off(untold, fine, truth)


def test_what_follows_noise_is_weighed_by_all_images_of_it_and_pixel_by_pixel():
    dice = torch.Generator().manual_seed(1)
    told, pixels = torch.randn(3, 4, 50, generator=dice), torch.rand(2, 50, generator=dice) + 0.01
    weight = (1.0 / (pixels.norm(dim=0) / pixels.norm(dim=0).mean()).clamp_min(0.05)).numpy()
    weight /= weight.mean()
    wanted = np.einsum("aqn,bqn,n->ab", told.numpy(), told.numpy(), weight) / 200
    np.testing.assert_allclose(mixture_._followed(told, pixels).numpy(), wanted, atol=1e-6)


def test_four_images_of_noise_go_through_the_fits(monkeypatch):
    seen, followed = [], mixture_._followed
    monkeypatch.setattr(
        mixture_, "_followed", lambda told, pixels: seen.append(told) or followed(told, pixels)
    )
    fine = scene(48, 48)
    learned([lesson(fine, broken(fine))], 4)
    told = seen[0]
    assert told.shape[1] == 4
    assert len({round(float(each.square().mean()), 9) for each in told[0]}) == 4


def test_the_same_seed_gives_the_same_mixture():
    fine = scene(48, 48)
    own = [lesson(fine, broken(fine))]
    once, again, other = (learned(own, 4, seed)[0](fine) for seed in (7, 7, 8))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_bands_that_repeat_each_other_do_no_harm():
    fine = scene()
    doubled = torch.cat([fine, fine[:2], fine.mean(0, keepdim=True), torch.full_like(fine[:1], 0.3)])
    truth = broken(fine)
    straight, bent = (learned([lesson(image, truth)], 0)[0] for image in (fine, doubled))
    torch.testing.assert_close(bent(doubled), straight(fine), atol=1e-4, rtol=0)
    assert bent.looks.white.shape == (8, 4)
