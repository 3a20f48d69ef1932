"""How bright and how varied base images are, against numpy over all known pixels."""

import numpy as np
import torch

from stsfusion.learning.levels import Levels
from stsfusion.learning.looks import Base


def base(day, fine, known=None):
    known = torch.ones(fine.shape[1:], dtype=torch.bool) if known is None else known
    return Base(day, torch.zeros_like(fine), fine[:, ::2, ::2], known, 2, fine)


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [0.1 + 0.05 * torch.randn(2, 6, 8, generator=generator) for _ in range(count)]


def test_tiles_of_one_day_count_together_and_unknown_pixels_do_not():
    one, two, three = images(3)
    mask = torch.rand(6, 8, generator=torch.Generator().manual_seed(4)) > 0.4
    wild = torch.where(mask, two, 55.0)
    levels = Levels.learn([base(7.0, three), base(0.0, one), base(0.0, wild, mask)])
    first = np.concatenate([one.flatten(1).numpy(), two[:, mask].numpy()], 1)
    np.testing.assert_array_equal(levels.days.numpy(), [0.0, 7.0])
    np.testing.assert_allclose(levels.mean[0].numpy(), first.mean(1), rtol=1e-6)
    np.testing.assert_allclose(levels.spread[0].numpy(), first.std(1), rtol=1e-5)
    np.testing.assert_allclose(levels.spread[1].numpy(), three.flatten(1).numpy().std(1), rtol=1e-5)
    both = [first, three.flatten(1).numpy()]
    np.testing.assert_allclose(levels.low.numpy(), np.min([b.min(1) for b in both], 0), rtol=1e-6)
    np.testing.assert_allclose(levels.high.numpy(), np.max([b.max(1) for b in both], 0), rtol=1e-6)
    square = np.mean([(b.astype(float) ** 2).mean(1) for b in both], 0)
    np.testing.assert_allclose(float(levels.level), np.sqrt(square.max()), rtol=1e-6)


def test_another_day_takes_the_nearest():
    levels = Levels.learn([base(day, image) for day, image in zip((0.0, 10.0, 40.0), images(3), strict=True)])
    assert levels.rows([-5.0, 4.0, 6.0, 100.0]) == [0, 0, 1, 2]


def test_days_without_a_known_pixel_are_left_out():
    one, two = images(2)
    nothing = torch.zeros(6, 8, dtype=torch.bool)
    assert Levels.learn([base(0.0, one, nothing), base(3.0, two)]).days.tolist() == [3.0]
    assert Levels.learn([base(0.0, one, nothing), base(3.0, two, nothing)]).days.tolist() == [0.0, 3.0]


def test_a_flat_image_has_a_spread_to_divide_by():
    levels = Levels.learn([base(0.0, torch.zeros(2, 4, 4))])
    assert (levels.spread > 0).all()
    assert levels.level > 0
    bright = Levels.learn([base(0.0, torch.full((2, 4, 4), 0.3))])
    assert (bright.spread > 0).all()
    assert (bright.spread < 1e-4).all()
