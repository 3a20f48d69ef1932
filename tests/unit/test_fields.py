"""Fields against an independent labelling, and crops whose shares make sense."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stsfusion.forward import fields as module
from stsfusion.forward.calendar import ARABLE, CROPS
from stsfusion.forward.fields import SMALLEST, find_fields, mean_by_field


def test_what_hangs_together_is_labelled_as_by_scipy():
    kinds = np.random.default_rng(0).integers(0, 3, (40, 50))
    ours = module._connected(kinds)
    theirs = np.zeros_like(ours)
    for kind in range(3):
        label, _ = ndimage.label(kinds == kind)
        theirs += np.where(label > 0, label + 10_000 * kind, 0)
    pairs = {(int(a), int(b)) for a, b in zip(ours.ravel(), theirs.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(ours)) == len(np.unique(theirs))


@pytest.fixture
def scores():
    """Four blocks of different level, and one speck."""
    image = np.zeros((2, 40, 40), np.float32)
    image[0, :20] = 5.0
    image[1, :, 20:] = 5.0
    image[:, 30:33, 5:8] = 20.0
    return image + 0.1 * np.random.default_rng(1).standard_normal(image.shape).astype(np.float32)


def test_blocks_become_fields_and_specks_are_pooled(scores):
    found = find_fields(scores, 5, np.random.default_rng(0))
    blocks = [found.number[5, 5], found.number[5, 35], found.number[35, 35], found.number[35, 15]]
    assert len(set(blocks)) == 4
    assert found.size.sum() == 1600
    assert (found.size[~found.scattered] >= SMALLEST).all()
    assert found.scattered[found.number[31, 6]]


def test_means_are_those_of_each_field(scores):
    found = find_fields(scores, 5, np.random.default_rng(0))
    values = np.random.default_rng(2).random((1600, 3)).astype(np.float32)
    expected = np.stack(
        [ndimage.mean(v, found.number.ravel(), range(len(found.size))) for v in values.T], axis=1
    )
    np.testing.assert_allclose(mean_by_field(values, found), expected, rtol=1e-5)


@pytest.mark.parametrize("crop", CROPS, ids=lambda crop: crop.name)
def test_a_calendar_rises_and_its_shares_leave_room(crop):
    days = np.array([row[0] for row in crop.days])
    assert (np.diff(days) > 0).all()
    cover = crop.cover(np.arange(0.0, 213.0))
    assert ((cover.green >= 0) & (cover.dry >= 0) & (cover.green + cover.dry <= 1)).all()
    assert ((cover.vigour >= 0) & (cover.vigour <= 1)).all()


def test_winter_wheat_is_green_in_april_and_straw_in_june():
    wheat = CROPS[0]
    assert wheat.name == "winter wheat"
    january, april, june = wheat.cover(np.array([50.0, 147.0, 195.0])).green
    assert january < 0.4 < 0.85 < april
    assert june < 0.1
    assert len(CROPS) > ARABLE
