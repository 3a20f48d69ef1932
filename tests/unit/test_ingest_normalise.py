"""Radiometry between dates: planted lines are found though the ground changed; absurd ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
from deliveries import materials
from scipy import stats

from stsfusion.ingest.normalise import chance_above, normalise, unchanged

NM = np.array([480.0, 560.0, 660.0, 720.0, 830.0, 1650.0])
GAIN = np.array([0.9, 1.05, 1.1, 0.8, 1.25, 0.7])
OFFSET = np.array([0.01, -0.005, 0.0, 0.02, -0.01, 0.003])


def as_seen(reference):
    """What another instrument makes of it: reference = GAIN · seen + OFFSET."""
    return (reference - OFFSET[:, None]) / GAIN[:, None]


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 8, 10])
def test_chances_are_those_of_chi_squared(freedom):
    value = np.array([0.0, 0.1, 1.0, 3.3, 10.0, 40.0, 200.0])
    assert np.allclose(chance_above(value, freedom), stats.chi2.sf(value, freedom), rtol=1e-9, atol=1e-15)


def dates_alike(count=8_000, changed=0.3, noise=0.002, seed=0):
    """The same ground on both dates but for what changed; the second with its own noise."""
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet((1, 1, 0.6), count).T
    bright = draw.normal(1, 0.05, count)
    later = shares.copy()
    which = draw.random(count) < changed
    later[:, which] = draw.dirichlet((0.4, 2.5, 0.2), int(which.sum())).T
    first, second = (np.einsum("kb,kp->bp", materials(NM), one) * bright for one in (shares, later))
    return first + draw.normal(0, noise, first.shape), second + draw.normal(0, noise, first.shape), which


@pytest.mark.parametrize("changed", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_lines_are_found_through_change(changed, seed):
    first, second, which = dates_alike(changed=changed, seed=seed)
    lines = normalise(first, as_seen(second), np.ones(which.shape, bool))
    assert {line.status for line in lines} == {"good"}
    assert [line.slope for line in lines] == pytest.approx(GAIN, rel=0.01)
    assert [line.offset for line in lines] == pytest.approx(OFFSET, abs=0.003)
    assert min(line.r2 for line in lines) > 0.95
    assert min(line.count for line in lines) >= 500


def test_a_plain_fit_through_all_pixels_goes_astray():
    first, second, _ = dates_alike(changed=0.4)
    seen = as_seen(second)
    slopes = [np.polyfit(one, other, 1)[0] for one, other in zip(seen, first, strict=True)]
    assert np.abs(np.array(slopes) / GAIN - 1).max() > 0.05


def test_what_changed_is_told_from_what_did_not():
    first, second, which = dates_alike(changed=0.3)
    still = unchanged(first, as_seen(second), np.ones(which.shape, bool))
    assert still.sum() > 500
    assert which[still].mean() < 0.02


def test_lines_do_not_depend_on_units_or_order():
    first, second, which = dates_alike()
    valid = np.ones(which.shape, bool)
    once = normalise(first, as_seen(second), valid)
    order = np.random.default_rng(3).permutation(which.size)
    again = normalise(first[:, order], as_seen(second)[:, order], valid)
    assert [line.slope for line in again] == pytest.approx([line.slope for line in once], rel=1e-6)
    large = normalise(1e4 * first, 1e4 * as_seen(second), valid)
    assert [line.slope for line in large] == pytest.approx([line.slope for line in once], rel=1e-6)


def test_pixels_that_are_not_valid_have_no_say():
    first, second, which = dates_alike()
    seen = as_seen(second)
    valid = np.ones(which.shape, bool)
    valid[::7] = False
    once = normalise(first, seen, valid)
    seen[:, ::7], first[:, ::7] = 9.0, -9.0
    assert normalise(first, seen, valid) == once


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda one: one / 3, "absurd slope"), (lambda one: one * 3, "absurd slope"),
        (lambda one: one[:, ::-1], "poor fit"), (lambda one: one * 0 + 0.2, "too few pixels"),
    ],
    ids=["threefold", "a third", "another place", "flat"],
)  # fmt: skip
def test_absurd_lines_are_refused(change, status):
    first, second, which = dates_alike(changed=0.0)
    lines = normalise(first, change(second), np.ones(which.shape, bool))
    assert {line.status for line in lines} <= {status, "too few pixels"}
    assert all(line.status != "good" for line in lines)
    assert {(line.slope, line.offset) for line in lines} == {(1.0, 0.0)}


def test_few_pixels_are_too_few():
    first, second, which = dates_alike()
    valid = np.zeros(which.shape, bool)
    valid[:499] = True
    assert {line.status for line in normalise(first, second, valid)} == {"too few pixels"}


def test_many_bands_and_equal_bands_do_no_harm():
    first, second, which = dates_alike()
    wide = [np.concatenate([one] * 20) for one in (first, second)]
    lines = normalise(*wide, np.ones(which.shape, bool))
    assert len(lines) == 120
    assert {line.status for line in lines} == {"good"}
    assert [line.slope for line in lines] == pytest.approx([1] * 120, rel=0.01)
