"""Answers, full or factored, give the same dates."""

from __future__ import annotations

import pytest
import torch

from stsfusion.cube.layout import FLAGS
from stsfusion.errors import ProblemError
from stsfusion.fusion.answer import Answer, Factored, Quality

GENERATOR = torch.Generator().manual_seed(0)


def factored(residual=None):
    return Factored(
        torch.rand(2, 3, 6, 4, generator=GENERATOR, dtype=torch.float64),
        torch.rand(3, 5, generator=GENERATOR, dtype=torch.float64),
        torch.rand(5, generator=GENERATOR, dtype=torch.float64),
        residual,
    )


def quality(time=2):
    return torch.ones(time, 1, 6, 4, dtype=torch.uint8)


def test_factors_multiply_out():
    factors = factored()
    expected = torch.einsum("tkyx,kb->tbyx", factors.coefficients, factors.basis) + factors.mean.reshape(
        1, 5, 1, 1
    )
    answer = Answer(factors, quality())
    assert answer.shape == (2, 5, 6, 4)
    torch.testing.assert_close(answer.full(), expected)
    torch.testing.assert_close(answer.date(1), expected[1])


def test_the_residual_is_added_on_its_own_coarse_grid():
    factors = factored()
    level = torch.rand(2, 5, 1, 1, generator=GENERATOR, dtype=torch.float64)
    beside = Factored(factors.coefficients, factors.basis, factors.mean, level.expand(2, 5, 3, 2))
    torch.testing.assert_close(Answer(beside, quality()).full(), Answer(factors, quality()).full() + level)


def test_a_full_answer_is_its_values():
    values = torch.rand(2, 5, 6, 4)
    answer = Answer(values, quality())
    assert answer.full() is values
    assert torch.equal(answer.date(1), values[1])


def test_quality_must_fit():
    with pytest.raises(ProblemError, match=r"quality: expected shape \(2, 1, 6, 4\), got \(1, 1, 6, 4\)"):
        Answer(torch.zeros(2, 5, 6, 4), quality(1))


def test_numbers_of_quality_are_those_of_the_store():
    assert {int(q): q.name.lower() for q in Quality} == FLAGS
