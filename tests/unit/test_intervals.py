"""Whether stated deviations are honest, on errors that are drawn from them."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr

from stsfusion.errors import ProblemError
from stsfusion.pipeline.intervals import intervals, rank_correlation

SHAPE = (20, 60, 70)


def _drawn():
    dice = torch.Generator().manual_seed(3)
    sigma = torch.rand(SHAPE, generator=dice) + 0.05
    return torch.randn(SHAPE, generator=dice) * sigma, sigma


def test_honest_deviations_hold_nine_in_ten_in_every_decile():
    error, sigma = _drawn()
    found = intervals(error, torch.zeros(SHAPE), sigma)
    assert found["coverage90"] == pytest.approx(0.9, abs=0.005)
    assert 0.88 < found["coverage90_low"] <= 0.9 <= found["coverage90_high"] < 0.92


def test_a_mean_that_is_right_hides_nothing():
    error, sigma = _drawn()
    flat = torch.full((1, 1, 1), sigma.mean().item())
    two_sided = torch.where(sigma > 0.55, sigma / 2, sigma * 2)
    assert intervals(error, torch.zeros(SHAPE), flat)["coverage90"] == pytest.approx(0.88, abs=0.03)
    found = intervals(error, torch.zeros(SHAPE), two_sided)
    assert found["coverage90_low"] < 0.7
    assert found["coverage90_high"] > 0.98


def test_no_deviation_nothing_said():
    assert set(intervals(torch.zeros(SHAPE), torch.zeros(SHAPE), None).values()) == {None}


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -1e-6])
def test_impossible_deviations_are_refused(bad):
    sigma = torch.ones(SHAPE)
    sigma[3, 4, 5] = bad
    with pytest.raises(ProblemError, match="answer sigma"):
        intervals(torch.zeros(SHAPE), torch.zeros(SHAPE), sigma)


def test_ranks_tell_whether_larger_errors_were_expected():
    error, sigma = _drawn()
    told = rank_correlation(error, torch.zeros(SHAPE), sigma)
    every = slice(None, None, max(1, -(-error.numel() // 1_000_000)))
    expected = spearmanr(error.abs().flatten()[every], sigma.flatten()[every]).statistic
    assert told == pytest.approx(expected, abs=1e-4)
    assert told > 0.4
    shuffled = sigma.flatten()[torch.randperm(sigma.numel(), generator=torch.Generator().manual_seed(1))]
    assert abs(rank_correlation(error, torch.zeros(SHAPE), shuffled.reshape(SHAPE))) < 0.02
    assert rank_correlation(error, torch.zeros(SHAPE), torch.ones(1)) is None
