"""Which coarse pixels may be learned from: strictly where there are enough, leniently where there are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pairscenes import pair_of, pair_problem

from stsfusion.learning.pair import Pair
from stsfusion.learning.registered import FEW, learnable, registered
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.translate import translate


def model(ratio: int = 3, moved: tuple[float, float] = (0.0, 0.0), fwhm: float | None = None) -> PairModel:
    kernel = gaussian_kernel(fwhm or ratio, ratio)
    return PairModel(kernel, torch.zeros(4, 12), torch.zeros(4), torch.tensor(moved), ratio)


def gappy(size: int = 48, ratio: int = 3) -> Pair:
    """A fine image with a gap, a coarse one with another."""
    pair = pair_of(pair_problem(size=(size, size), ratio=ratio))
    known, clear = pair.known.clone(), pair.clear.clone()
    known[20:27, 10:16] = False
    clear[12:14, 3:6] = False
    return replace(pair, known=known, clear=clear)


def clear_by_loop(pair: Pair, kernel: np.ndarray) -> np.ndarray:
    """Pixels that are clear themselves and have 99 % of the kernel on valid pixels inside the image."""
    ratio, margin = pair.ratio, (len(kernel) - pair.ratio) // 2
    wide = np.pad(pair.known.numpy().astype(float), margin, constant_values=0.0)
    out = pair.clear.numpy().copy()
    for y, x in np.ndindex(*out.shape):
        top, left = y * ratio, x * ratio
        seen = wide[top : top + len(kernel), left : left + len(kernel)]
        out[y, x] &= bool((kernel * seen).sum() > 0.99)
    return out


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 5.0])
def test_pixels_that_see_gaps_or_the_outside_are_left_out(fwhm):
    pair, ours = gappy(), model(fwhm=fwhm)
    (ready,) = learnable([pair], ours)
    expected = clear_by_loop(pair, ours.kernel.numpy())
    assert int(expected.sum()) >= FEW
    np.testing.assert_array_equal(ready.clear.numpy(), expected)
    assert torch.equal(ready.fine, pair.fine)


def test_a_registered_image_and_its_mask_are_fetched_together():
    pair = gappy()
    moved = registered(pair, model(moved=(2.0, -1.0)))
    torch.testing.assert_close(moved.fine, translate(pair.fine, (2.0, -1.0)))
    assert torch.equal(moved.known[:-2, 1:], pair.known[2:, :-1])
    half = registered(pair, model(moved=(0.5, 0.0)))
    assert int((~half.known).sum()) == int((~pair.known).sum()) + 6
    assert registered(pair, model()) is pair


def test_where_the_border_is_nearly_all_it_counts_too():
    pair = pair_of(pair_problem(size=(12, 12), ratio=4))
    (ready,) = learnable([pair], model(4, fwhm=6.0))
    assert int(ready.clear.sum()) == 9


def test_a_tile_with_enough_keeps_to_the_rules_of_all():
    """The count is of all tiles: a small one is not let off beside a large one."""
    small, large = (pair_of(pair_problem(size=(size, size))) for size in (9, 48))
    ready = learnable([small, large], model(fwhm=5.0))
    assert [pair.coarse.shape[1] for pair in ready] == [16]
    assert int(ready[0].clear.sum()) == 144


def test_speckled_gaps_leave_the_pixels_that_see_more_than_half():
    pair = pair_of(pair_problem(size=(48, 48)))
    known = torch.rand(48, 48, generator=torch.Generator().manual_seed(0)) > 0.25
    speckled = replace(pair, known=known)
    (ready,) = learnable([speckled], model())
    assert int(ready.clear.sum()) > 200
    assert learnable([replace(speckled, known=torch.zeros_like(known))], model()) == []


def test_tiles_without_a_clear_pixel_are_left_out():
    pair = gappy()
    none = replace(pair, clear=torch.zeros_like(pair.clear))
    assert len(learnable([none, pair, none], model())) == 1
    assert learnable([none], model()) == []
