"""The exam: what hidden multispectral bands say of attempts and of how far their errors go."""

import numpy as np
import pytest
import torch

from stsfusion.learning import exam
from stsfusion.learning.attempts import evened
from stsfusion.learning.exam import examine
from stsfusion.learning.kriging import Kriging
from stsfusion.learning.likeness import Likeness
from stsfusion.learning.members import kinds_for, placed
from stsfusion.operators.blur import box_kernel, gaussian_kernel
from stsfusion.operators.pairmodel import PairModel

KINDS = kinds_for(32, 3, 9999)


def _model(ratio, bands):
    return PairModel(box_kernel(ratio), torch.zeros(bands, 3), torch.zeros(bands), torch.zeros(2), ratio)


def _scene(bands, side=48, noise=0.0, seed=0):
    """Bands that are smooth functions of two fields."""
    dice = torch.Generator().manual_seed(seed)
    fields = torch.rand(2, side, side, generator=dice)
    mixed = torch.rand(bands, 2, generator=dice) @ fields.flatten(1)
    bent = mixed + 0.3 * mixed.square()
    bent = bent + noise * torch.randn(bent.shape, generator=dice)
    return bent.reshape(bands, side, side)


def _ask(image, ratio=4, most=32):
    clear = torch.ones(image.shape[1] // ratio, image.shape[2] // ratio, dtype=torch.bool)
    model = _model(ratio, len(image))
    dice = torch.Generator().manual_seed(0)
    members = placed([image], kinds_for(most, 3, 9999), dice)
    return examine([image], [clear], model, 3, dice, members)


def _nothing(kriging, residual, ratio):
    """Kriging that brings nothing back."""
    return residual.repeat_interleave(ratio, 1).repeat_interleave(ratio, 2) * 0.0


def test_too_few_bands_are_not_asked():
    assert _ask(_scene(2)) is None


def test_errors_that_are_as_foretold_have_not_strayed():
    # Noise of its own in every band.
    strayed = _ask(_scene(4, noise=0.2, side=64)).strayed
    assert strayed.shape == (3,)
    assert bool(((strayed > 0.4) & (strayed < 2.5)).all())


def test_errors_that_no_coarse_pixel_shows_have_strayed():
    # A checkerboard in one band: the mean over every coarse pixel is nothing.
    image = _scene(4, noise=0.02, side=64)
    plain = _ask(image).strayed
    image[0] += 0.5 * (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).mul(2).sub(1)
    assert float(_ask(image).strayed[0]) > 20 * float(plain[0])


def test_they_stray_as_intervals_do_not_as_a_few_pixels_that_are_far_off():
    # One fine pixel of a hundred: among nine of ten fine ones is none of them, among as many coarse ones are.
    image = _scene(4, noise=0.02, side=64)
    plain = _ask(image).strayed
    image[0] += 3.0 * (torch.rand(64, 64, generator=torch.Generator().manual_seed(3)) < 0.01)
    assert float(_ask(image).strayed[0]) < 0.3 * float(plain[0])


def test_bands_that_repeat_others_are_not_asked():
    image = _scene(4, noise=0.1)
    one = _ask(image)
    more = torch.cat([image, image, 0.3 * image[:1] + 0.7 * image[2:3], torch.full_like(image[:1], 0.4)])
    twice = _ask(more)
    # Centres come through looks that leave out what repeats: rounding.
    torch.testing.assert_close(twice.gram, one.gram, atol=0, rtol=1e-4)
    torch.testing.assert_close(twice.strayed, one.strayed, atol=0, rtol=1e-4)


def test_three_bands_of_many_are_hidden():
    exam = _ask(_scene(9, noise=0.1))
    assert exam.strayed.shape == (3,)
    assert exam.errors.shape == (48 * 48, 3)


def test_empty_pixels_are_told_by_any_regression_and_say_nothing():
    alone, image = _scene(4, noise=0.2, side=32), torch.zeros(4, 96, 96)
    image[:, :32, :32] = alone
    strayed = _ask(image).strayed / _ask(alone).strayed
    assert bool(((strayed > 0.5) & (strayed < 2.0)).all())
    assert _ask(torch.zeros(4, 48, 48)) is None


def test_a_scene_of_one_value_but_for_a_few_pixels_is_not_asked_or_says_something():
    for background in (0.0, 0.2):
        for seed in range(3):
            image = torch.full((4, 128, 128), background)
            image[:, 40:44, 40:44] = _scene(4, noise=0.2, side=4, seed=seed)
            found = _ask(image)
            if found is not None:
                assert all(
                    bool(torch.isfinite(part).all()) for part in (found.gram, found.strayed, found.errors)
                )


def test_what_is_no_number_is_no_exam(monkeypatch):
    image = _scene(4, noise=0.1)
    assert _ask(image) is not None
    monkeypatch.setattr(exam, "deviation", lambda errors: torch.full((1,), torch.nan))
    assert _ask(image) is None


def test_pixels_that_a_coarse_one_averages_have_a_say():
    assert _ask(_scene(4), ratio=2).share == pytest.approx(4 / 5)
    assert _ask(_scene(4), ratio=4).share == pytest.approx(16 / 17)


@pytest.mark.parametrize(("kernel", "averaged"), [(gaussian_kernel(0.1, 3), 1.0), (box_kernel(9), 9.0)])
def test_a_narrow_kernel_gives_fine_pixels_less_to_say_and_a_wide_one_no_more(kernel, averaged):
    model = PairModel(kernel, torch.zeros(4, 3), torch.zeros(4), torch.zeros(2), 3)
    image, clear = _scene(4), torch.ones(16, 16, dtype=torch.bool)
    found = examine([image], [clear], model, 3, torch.Generator().manual_seed(0), [])
    assert found.share == pytest.approx(averaged / (1.0 + averaged))


def test_experts_are_better_where_bands_are_bent_and_worse_where_there_is_noise():
    # The first attempt is the linear map; three of two experts, of four, then eight that are hardly shrunk.
    bent, noisy = _ask(_scene(4)).gram.diagonal(), _ask(_scene(4, noise=0.3)).gram.diagonal()
    assert len(bent) == 40
    assert float(bent[7]) < 0.7 * float(bent[0])
    assert float(noisy[7]) > 1.2 * float(noisy[0])


def test_the_products_are_those_of_errors_at_fine_pixels(monkeypatch):
    """With the linear map alone and nothing brought back, against regressions in numpy, blocks left out."""
    monkeypatch.setattr(Kriging, "__call__", _nothing)
    monkeypatch.setattr(Likeness, "shares", lambda self, errors, weight: torch.zeros_like(errors[0]))
    image = _scene(4, noise=0.05)
    low = image.double().reshape(4, 12, 4, 12, 4).mean((2, 4)).reshape(4, -1).numpy()
    block = (np.arange(144) // 12 // 3) * 4 + np.arange(144) % 12 // 3
    weight, wanted = evened(image.flatten(1)).numpy(), []
    for band in (0, 2, 3):
        rest = [i for i in range(4) if i != band]
        design, fine = np.c_[np.ones(144), low[rest].T], np.c_[np.ones(48 * 48), image[rest].flatten(1).T]
        error = image[band].flatten().numpy() - fine @ np.linalg.lstsq(design, low[band], rcond=None)[0]
        left = np.zeros(144)
        for own in (block == place for place in range(16)):
            slope = np.linalg.lstsq(design[~own], low[band][~own], rcond=None)[0]
            left[own] = low[band][own] - design[own] @ slope
        wanted.append((weight * np.square(error)).mean() / np.square(left).mean())
    found = _ask(image, most=0).gram
    assert found.shape == (1, 1)
    assert float(found) == pytest.approx(np.mean(wanted), rel=0.1)


def test_it_repeats_itself():
    image = _scene(4, noise=0.1)
    one, again = _ask(image), _ask(image)
    assert torch.equal(one.gram, again.gram)
    assert torch.equal(one.strayed, again.strayed)


def test_masked_coarse_pixels_are_not_learned_from():
    image = _scene(4, noise=0.05)
    clear = torch.ones(12, 12, dtype=torch.bool)
    clear[:4] = False
    model, members = _model(4, 4), placed([image], KINDS, torch.Generator().manual_seed(0))
    one, whole = (
        examine([image], [mask], model, 3, torch.Generator().manual_seed(1), members)
        for mask in (clear, torch.ones_like(clear))
    )
    assert not torch.equal(one.strayed, whole.strayed)


def test_what_kriging_brings_back_is_not_held_against_an_attempt(monkeypatch):
    image = _scene(4, side=64)
    steps = torch.linspace(0, 6.28, 64)
    image[0] += 0.5 * torch.outer(steps.sin(), steps.cos())
    found = []
    stacked = exam.stack
    monkeypatch.setattr(exam, "stack", lambda *parts: found.append(parts[2]) or stacked(*parts))
    with_it = _ask(image, most=0).gram
    # Nobody's own errors at fine pixels are among those that its weights are told by.
    assert len({round(float(more), 9) for more in found}) == 3
    monkeypatch.setattr(Kriging, "__call__", _nothing)
    assert float(with_it) < 0.9 * float(_ask(image, most=0).gram)


def test_it_bears_witness_of_the_pixels_that_it_compared(monkeypatch):
    monkeypatch.setattr(exam, "_SAMPLE", 300)
    image = _scene(4, noise=0.1)
    found = _ask(image)
    assert found.errors.shape == (300, 3)
    count = torch.arange(48 * 48.0).reshape(1, 48, 48).expand(4, -1, -1)
    errors, signed = found.witness([count])
    assert torch.equal(errors, found.errors)
    assert torch.equal(signed, found.places[0].float().expand(4, -1))


def test_what_is_left_over_is_laid_where_it_belongs():
    clear = [torch.tensor([[True, False, True], [False, True, True]]), torch.tensor([[True], [False]])]
    rows = torch.arange(10.0).reshape(2, 5)
    one, two = exam._placed(rows, clear)
    assert torch.equal(one[1], torch.tensor([[5.0, 0.0, 6.0], [0.0, 7.0, 8.0]]))
    assert torch.equal(two[:, :, 0], torch.tensor([[4.0, 0.0], [9.0, 0.0]]))
