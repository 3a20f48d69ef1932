"""The exam: what hidden multispectral bands say of shrinkage and of the growth of errors."""

import torch

from stsfusion.learning.exam import examine
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.pairmodel import PairModel


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


def _ask(image, ratio=4):
    clear = torch.ones(image.shape[1] // ratio, image.shape[2] // ratio, dtype=torch.bool)
    model = _model(ratio, len(image))
    return examine([image], [clear], model, 3, torch.Generator().manual_seed(0))


def test_too_few_bands_are_not_asked():
    exam = _ask(_scene(2))
    assert exam.growth is None
    assert exam.least == float("inf")


def test_white_errors_are_averaged_away_by_the_coarse_pixels():
    # Noise of its own in every band: a box over 16 pixels leaves a sixteenth of its variance.
    exam = _ask(_scene(4, noise=0.2, side=64))
    assert exam.growth is not None
    assert exam.growth.shape == (4,)
    assert bool(((exam.growth > 6.0) & (exam.growth < 40.0)).all())


def test_smooth_errors_grow_less():
    # A field of its own in one band, far wider than a coarse pixel: a coarse pixel hides none of it.
    image = _scene(4, side=64)
    steps = torch.linspace(0, 6.28, 64)
    image[0] += 0.5 * torch.outer(steps.sin(), steps.cos())
    growth, white = _ask(image).growth, _ask(_scene(4, noise=0.2, side=64)).growth
    assert growth is not None
    assert white is not None
    assert float(growth[0]) < 0.5 * float(white[0])


def test_growth_is_that_of_intervals_not_of_a_few_pixels_that_are_far_off():
    # One fine pixel of a hundred: among nine of ten fine ones is none of them, among as many coarse ones are.
    image = _scene(4, noise=0.02, side=64)
    plain = _ask(image).growth
    image[0] += 3.0 * (torch.rand(64, 64, generator=torch.Generator().manual_seed(3)) < 0.01)
    assert float(_ask(image).growth[0]) < 0.3 * float(plain[0])


def test_bands_that_repeat_others_are_not_asked():
    image = _scene(4, noise=0.1)
    one = _ask(image)
    more = torch.cat([image, image, 0.3 * image[:1] + 0.7 * image[2:3], torch.full_like(image[:1], 0.4)])
    twice = _ask(more)
    assert twice.least == one.least
    torch.testing.assert_close(twice.growth, one.growth)


def test_empty_pixels_are_told_by_any_regression_and_say_nothing():
    image = torch.zeros(4, 96, 96)
    image[:, :32, :32] = _scene(4, noise=0.2, side=32)
    growth = _ask(image).growth
    assert bool(((growth > 3.0) & (growth < 60.0)).all())
    assert _ask(torch.zeros(4, 48, 48)).growth is None


def test_noise_asks_for_more_shrinkage_than_its_absence():
    assert _ask(_scene(4, noise=0.3)).least >= _ask(_scene(4)).least
    assert _ask(_scene(4, noise=0.3)).least > 1e-3


def test_it_repeats_itself():
    image = _scene(4, noise=0.1)
    one, again = _ask(image), _ask(image)
    assert one.least == again.least
    assert torch.equal(one.growth, again.growth)


def test_masked_coarse_pixels_are_not_learned_from():
    image = _scene(4, noise=0.05)
    clear = torch.ones(12, 12, dtype=torch.bool)
    clear[:4] = False
    model = _model(4, 4)
    one = examine([image], [clear], model, 3, torch.Generator().manual_seed(0))
    whole = examine([image], [torch.ones_like(clear)], model, 3, torch.Generator().manual_seed(0))
    assert not torch.equal(one.growth, whole.growth)
