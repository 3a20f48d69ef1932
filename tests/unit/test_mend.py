"""Counts that went through a transfer in text mode, put back by their own spectra."""

from __future__ import annotations

import numpy as np
import pytest

from stsfusion.forward.mend import is_damaged, undo_text_mode


@pytest.fixture
def counts():
    """A field of four materials, counts around the range that is hit."""
    random = np.random.default_rng(2)
    nm = np.linspace(0, 1, 40)
    spectra = np.stack([2600 + 900 * nm, 3800 - 1500 * nm, 2900 + 700 * np.sin(5 * nm), 1800 + 3000 * nm**2])
    amount = random.dirichlet(np.full(4, 0.5), 1200)
    return (amount @ spectra + random.normal(0, 15, (1200, 40))).astype(np.int64).T.reshape(40, 30, 40)


def _text_mode(counts):
    """Every upper byte of 13 becomes a 10."""
    return np.where(counts >> 8 == 13, counts - 3 * 256, counts)


def test_hit_counts_are_put_back(counts):
    damaged = _text_mode(counts)
    hit = damaged != counts
    assert hit.mean() > 0.05
    assert (undo_text_mode(damaged) != counts).sum() <= 0.01 * hit.sum()


def test_damage_is_told_from_a_sound_array(counts):
    assert is_damaged(_text_mode(counts))
    assert not is_damaged(counts)
    assert undo_text_mode(counts) is counts


def test_counts_that_reach_no_further_are_left_alone():
    dark = np.arange(400, 3300).reshape(29, 10, 10)
    assert undo_text_mode(dark) is dark


def test_the_packaged_scene_is_one_of_them():
    datasets = pytest.importorskip("tensorly.datasets", reason="the extra 'demo' is not installed")
    shipped = np.moveaxis(np.asarray(datasets.load_indian_pines().tensor), -1, 0).astype(np.int64)
    assert is_damaged(shipped)
    mended = undo_text_mode(np.ascontiguousarray(shipped))
    # Where a spectrum is smooth, a count lies between its neighbours; 768 counts beside them is a hit.
    off = [np.abs(cube[87] - (cube[86] + cube[88]) / 2) > 300 for cube in (shipped, mended)]
    assert off[0].sum() > 1000
    assert off[1].sum() == 0
    changed = mended - shipped
    assert set(np.unique(changed)) == {0, 768}
