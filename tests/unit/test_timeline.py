"""Interpolation in days, pixel by pixel and gap by gap, against plain loops over numpy's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stsfusion.fusion.answer import Quality
from stsfusion.fusion.problem import Observation
from stsfusion.fusion.timeline import at_dates, date_weights, quality_of, resample
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.fill import fill

SEEN = np.array([0.0, 9.5, 31.0, 33.0, 80.0])
ASKED = np.array([-4.0, 0.0, 4.75, 20.0, 31.0, 32.0, 79.0, 80.0, 95.0])


def scene(share, channels=1, seed=0):
    """Values and a mask with this share of gaps, some pixels without any valid date."""
    dice = np.random.default_rng(seed)
    data = dice.random((len(SEEN), 3, 6, 5)).astype(np.float32)
    valid = dice.random((len(SEEN), channels, 6, 5)) > share
    valid[:, :, 2, 3] = False
    return data, valid


def by_loop(data, valid, rule):
    """Pixel by pixel: np.interp over the valid dates, which clamps the ends, or the nearest of them."""
    out = np.zeros((len(ASKED), *data.shape[1:]))
    mask = np.broadcast_to(valid, data.shape)
    for b, y, x in np.ndindex(*data.shape[1:]):
        own = mask[:, b, y, x]
        if not own.any():
            continue
        days, values = SEEN[own], data[own, b, y, x].astype(np.float64)
        if rule == "linear":
            out[:, b, y, x] = np.interp(ASKED, days, values)
        else:
            # The first of equal distances is the earlier date.
            out[:, b, y, x] = [values[np.argmin(np.abs(days - day))] for day in ASKED]
    return out


@pytest.mark.parametrize("rule", ["linear", "nearest"])
@pytest.mark.parametrize(("share", "channels"), [(0.0, 1), (0.5, 1), (0.5, 3), (0.85, 1)])
def test_resampling_is_the_plain_loop(rule, share, channels):
    data, valid = scene(share, channels)
    weights = date_weights(torch.from_numpy(valid), torch.from_numpy(SEEN), torch.from_numpy(ASKED), rule)
    got = resample(torch.from_numpy(data), weights)
    np.testing.assert_allclose(got.numpy(), by_loop(data, valid, rule), atol=5e-7)


def test_a_rule_that_takes_indices_for_days_would_be_seen():
    data, valid = scene(0.3)
    steps = torch.arange(len(SEEN), dtype=torch.float64)
    asked = torch.from_numpy(np.interp(ASKED, SEEN, steps.numpy()))
    uneven = resample(torch.from_numpy(data), date_weights(torch.from_numpy(valid), steps, asked))
    assert np.abs(uneven.numpy() - by_loop(data, valid, "linear")).max() > 0.05


def test_the_earlier_of_two_equally_near_dates_is_taken():
    valid = torch.ones(2, 1, 1, 1, dtype=torch.bool)
    weights = date_weights(valid, torch.tensor([0.0, 10.0]), torch.tensor([4.9, 5.0, 5.1]), "nearest")
    assert weights[..., 0, 0, 0].tolist() == [[1, 0], [1, 0], [0, 1]]


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(-20, 420), min_size=1, max_size=6),
    st.sampled_from(["linear", "nearest"]),
    st.randoms(use_true_random=False),
)
def test_weights_are_a_convex_combination_of_at_most_two_valid_dates(days, asked, rule, dice):
    valid = torch.tensor([[dice.random() > 0.4 for _ in range(4)] for _ in days]).reshape(-1, 1, 2, 2)
    seen = torch.tensor(sorted(days), dtype=torch.float64)
    weights = date_weights(valid, seen, torch.tensor(asked, dtype=torch.float64), rule)
    assert bool((weights >= 0).all())
    assert not bool((weights * ~valid).any())
    assert int((weights > 0).sum(1).max()) <= (2 if rule == "linear" else 1)
    total = valid.any(0).float().expand(len(asked), 1, 2, 2)
    torch.testing.assert_close(weights.sum(1), total)


def flags_by_loop(valid):
    seen = valid.any(1)
    flags = np.zeros((len(ASKED), 1, *valid.shape[2:]), np.uint8)
    for k, y, x in np.ndindex(len(ASKED), *valid.shape[2:]):
        days = SEEN[seen[:, y, x]]
        if not len(days):
            flags[k, 0, y, x] = Quality.FILLED
        elif ASKED[k] in days:
            flags[k, 0, y, x] = Quality.OBSERVED
        elif days.min() < ASKED[k] < days.max():
            flags[k, 0, y, x] = Quality.INTERPOLATED
        else:
            flags[k, 0, y, x] = Quality.EXTRAPOLATED
    return flags


@pytest.mark.parametrize(("share", "channels"), [(0.0, 1), (0.5, 1), (0.7, 3)])
def test_quality_is_the_plain_loop(share, channels):
    _, valid = scene(share, channels)
    got = quality_of(torch.from_numpy(valid), torch.from_numpy(SEEN), torch.from_numpy(ASKED))
    assert got.dtype == torch.uint8
    np.testing.assert_array_equal(got.numpy(), flags_by_loop(valid))


# ---------------------------------------------------------------- filling


def filled_by_loop(data, valid, passes):
    """The mean of the known ones of the 3×3 neighbours, pass by pass."""
    known = np.broadcast_to(valid, data.shape).copy()
    values = np.where(known, data.astype(np.float64), 0.0)
    rows, cols = data.shape[2:]
    for _ in range(passes):
        before, was = values.copy(), known.copy()
        for t, b, y, x in np.argwhere(~was):
            near = np.s_[t, b, max(y - 1, 0) : min(y + 2, rows), max(x - 1, 0) : min(x + 2, cols)]
            if was[near].any():
                values[t, b, y, x] = before[near][was[near]].mean()
                known[t, b, y, x] = True
    return values, known


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("passes", [0, 1, 3])
def test_filling_is_the_plain_loop(channels, passes):
    data, valid = scene(0.8, channels, seed=4)
    got, known = fill(torch.from_numpy(data), torch.from_numpy(valid), passes)
    values, reached = filled_by_loop(data, valid, passes)
    np.testing.assert_allclose(got.numpy(), values, atol=1e-6)
    np.testing.assert_array_equal(np.broadcast_to(known.numpy(), data.shape), reached)


# ---------------------------------------------------------------- a whole series


def observation(data, valid):
    """The dates SEEN, found among ASKED ∪ SEEN."""
    every = np.union1d(ASKED, SEEN)
    dates = np.searchsorted(every, SEEN).tolist()
    shape = (len(every), *data.shape[1:])
    view = Degradation.of(shape, dates=dates)
    return Observation(torch.from_numpy(data), torch.from_numpy(valid), view), torch.from_numpy(every)


def test_a_series_at_all_dates_is_interpolated_then_filled():
    data, valid = scene(0.5)
    seen, days = observation(data, valid)
    got, quality = at_dates(seen, days, "linear", passes=1)
    asked = np.isin(days.numpy(), ASKED)
    values = by_loop(data, valid, "linear")
    some = np.broadcast_to(valid.any(0), values.shape)
    expected, _ = filled_by_loop(values, some, 1)
    np.testing.assert_allclose(got.numpy()[asked], expected, atol=5e-7)
    np.testing.assert_array_equal(quality.numpy()[asked], flags_by_loop(valid))
    assert bool((quality[:, 0, 2, 3] == Quality.FILLED).all())


def test_where_nothing_was_reached_there_is_no_data():
    data, valid = scene(0.0)
    valid[:, :, :5, :] = False
    seen, days = observation(data, valid)
    got, quality = at_dates(seen, days, passes=2)
    assert bool((quality[:, 0, :3] == Quality.NO_DATA).all())
    assert not bool(got[:, :, :3].any())
    assert bool((quality[:, 0, 3:5] == Quality.FILLED).all())
    assert bool((got[:, :, 3:] > 0).all())


def test_one_mask_for_all_dates_is_enough():
    data, _ = scene(0.0)
    one, many = np.ones((1, 1, 1, 1), bool), np.ones((len(SEEN), 1, 6, 5), bool)
    for rule in ("linear", "nearest"):
        ours, theirs = (at_dates(*observation(data, mask), rule) for mask in (one, many))
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
