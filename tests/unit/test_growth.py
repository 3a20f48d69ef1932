"""How errors grow from coarse to fine pixels: witnesses, the pattern of the bands, other sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.learning.growth import Growth, between, clean, foretold

BANDS = 6

CONTRAST = torch.full((BANDS,), 50.0)

WHITE = torch.tensor(16.0)


def witnesses(**other) -> Growth:
    """Two multispectral bands over six that go as far as is foretold, no misfit."""
    coverage = torch.zeros(2, BANDS, dtype=torch.bool)
    coverage[0, :2] = coverage[1, 4:] = True
    plain = Growth(
        foretold=torch.full((BANDS,), 4.0),
        alone=torch.full((BANDS,), 4.0),
        own=torch.ones(BANDS),
        exam=torch.ones(2),
        crossed=torch.zeros(2),
        coverage=coverage,
        nm=torch.arange(BANDS) * 100.0 + 400.0,
    )
    return replace(plain, **other)


def test_what_hidden_bands_bear_out_is_believed():
    torch.testing.assert_close(witnesses()(CONTRAST, WHITE), torch.full((BANDS,), 4.0))


def test_more_than_the_growth_of_a_white_error_is_not_believed_of_fields():
    much = torch.full((BANDS,), 3.0 * float(WHITE))
    told = witnesses(foretold=much, alone=much)(CONTRAST, WHITE)
    torch.testing.assert_close(told, torch.full((BANDS,), float(WHITE)))
    # Neither makes up for the other beyond it.
    told = witnesses(foretold=much)(CONTRAST, WHITE)
    torch.testing.assert_close(told, torch.full((BANDS,), 8.0))


def test_half_of_what_hidden_bands_strayed_is_believed():
    growth = witnesses(exam=torch.tensor([4.0, 64.0]))(CONTRAST, WHITE)
    torch.testing.assert_close(growth, torch.full((BANDS,), 4.0 * 4.0))


def test_without_an_exam_the_fields_are_believed():
    torch.testing.assert_close(witnesses(exam=None)(CONTRAST, WHITE), torch.full((BANDS,), 4.0))


def test_bands_differ_as_is_foretold():
    pattern = torch.tensor([1.0, 2.0, 4.0, 4.0, 8.0, 16.0])
    growth = witnesses(foretold=pattern, alone=pattern, exam=torch.full((2,), 4.0))(CONTRAST, WHITE)
    torch.testing.assert_close(growth, 2.0 * pattern)


def test_fields_of_scores_and_of_bands_are_averaged_as_far_as_noise_leaves_bands_to_be_seen():
    own = torch.tensor([1.0, 1.0, 0.5, 0.5, 0.05, 0.0])
    growth = witnesses(alone=torch.ones(BANDS), own=own)(CONTRAST, WHITE)
    torch.testing.assert_close(growth, 4.0 ** (1.0 - 0.5 * own))


def test_bands_that_look_at_no_band_witness_nothing():
    blind = witnesses(coverage=torch.zeros(2, BANDS, dtype=torch.bool), exam=torch.full((2,), 1e6))
    torch.testing.assert_close(blind(CONTRAST, WHITE), torch.full((BANDS,), 4.0))


def test_what_two_sensors_do_not_share_grows_as_white_noise_does():
    growth = witnesses(crossed=torch.tensor([0.01, 0.02]))(CONTRAST, WHITE)
    # Between the bands' centres, 450 and 850 nm, linearly; never more than all of the left-out errors.
    wanted = [0.5, 0.5 + 0.5 * 0.125, 0.5 + 0.5 * 0.375, 0.5 + 0.5 * 0.625, 0.5 + 0.5 * 0.875, 1.0]
    torch.testing.assert_close(growth, 4.0 + 16.0 * torch.tensor(wanted))
    most = witnesses(crossed=torch.tensor([7.0, 9.0]))(CONTRAST, WHITE)
    torch.testing.assert_close(most, torch.full((BANDS,), 20.0))


@pytest.mark.parametrize("value", [0.0, 1e30])
def test_it_is_never_nan(value):
    for name, size in (("exam", 2), ("foretold", BANDS), ("alone", BANDS)):
        growth = witnesses(**{name: torch.full((size,), value)})(CONTRAST, WHITE)
        assert bool(torch.isfinite(growth).all()), name
        assert bool((growth >= 0).all()), name


def test_between_is_linear_and_flat_beyond():
    rng = np.random.default_rng(0)
    known, values, places = rng.random(5), rng.random(5), np.linspace(-0.5, 1.5, 40)
    order = known.argsort()
    found = between(*(torch.from_numpy(part) for part in (places, known, values)))
    np.testing.assert_allclose(found.numpy(), np.interp(places, known[order], values[order]), atol=1e-12)
    assert between(torch.zeros(3), torch.ones(1), torch.full((1,), 7.0)).tolist() == [7.0] * 3


def test_bands_grow_as_their_scores_do_and_what_no_score_holds():
    """Two scores of one band each, and a third band that no score holds."""
    basis = torch.eye(2, 3, dtype=torch.float64)
    errors = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    outer = torch.tensor([[0.0, 4.0, 5.0], [0.0, 0.0, 5.0]], dtype=torch.float64)
    grown = torch.tensor([2.0, 3.0], dtype=torch.float64)
    outgrown = torch.tensor([7.0, 5.0, 11.0], dtype=torch.float64)
    assert foretold(errors, grown, basis, outer, outgrown).tolist() == pytest.approx([2.0, 4.0, 11.0])
    none = foretold(0 * errors, grown, basis, 0 * outer, outgrown)
    assert none.tolist() == [0.0, 0.0, 0.0]


def test_scores_that_err_together_grow_together():
    errors = torch.tensor([[1.0, -1.0], [2.0, -2.0]], dtype=torch.float64)
    basis = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    found = foretold(
        errors, torch.tensor([4.0, 4.0]).double(), basis, torch.zeros(2, 2).double(), torch.ones(2)
    )
    assert found.tolist() == pytest.approx([0.0, 4.0])


def test_noise_of_the_coarse_image_is_no_error():
    shares = clean(torch.tensor([4.0, 4.0, 4.0, 0.0]), torch.tensor([0.0, 1.0, 5.0, 1.0]))
    assert shares.tolist() == pytest.approx([1.0, 0.75, 0.05, 0.05])
    assert clean(torch.tensor([0.0]), torch.tensor([0.0])).tolist() == [1.0]
