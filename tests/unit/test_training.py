"""The training loop, on problems whose solution is known."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from stsfusion.errors import MethodError
from stsfusion.learning.training import Schedule, train


def fit_line(seed, steps=400):
    generator = torch.Generator().manual_seed(seed)
    slope = nn.Parameter(torch.zeros(2))

    def loss_of():
        x = torch.randn(16, generator=generator)
        return (slope[0] * x + slope[1] - (3 * x - 1)).square().mean()

    said = []
    course = train([slope], loss_of, Schedule(steps, 0.05), lambda done, words: said.append((done, words)))
    return slope.detach(), course.history, said


def test_a_line_is_found():
    slope, history, _ = fit_line(0)
    torch.testing.assert_close(slope, torch.tensor([3.0, -1.0]), atol=0.02, rtol=0)
    assert history[-1] < 1e-2 * history[0]


def test_a_seed_repeats_to_the_last_bit():
    first, second, other = fit_line(1, 50), fit_line(1, 50), fit_line(2, 50)
    assert torch.equal(first[0], second[0])
    assert first[1] == second[1]
    assert not torch.equal(first[0], other[0])


def test_every_step_is_told():
    _, _, said = fit_line(0, 5)
    assert [done for done, _ in said] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert said[1][1].startswith("step 2 of 5, loss ")


def test_the_rate_rises_then_falls():
    schedule = Schedule(100, 1e-2)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert max(rates) == pytest.approx(1e-2, rel=0.01)
    assert rates.index(max(rates)) in range(8, 12)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_a_loss_that_is_no_number_stops_the_training():
    weight = nn.Parameter(torch.ones(()))
    with pytest.raises(MethodError, match="step 1: expected a finite loss"):
        train([weight], lambda: weight * math.nan, Schedule(3, 0.1))


def test_no_steps_change_nothing():
    weight = nn.Parameter(torch.ones(()))
    assert train([weight], lambda: weight, Schedule(0, 0.1)).history == []
    assert float(weight.detach()) == 1.0
