"""How errors grow from coarse to fine pixels: witnesses, the pattern of the bands, other sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.learning.growth import Growth, between

BANDS = 6

CONTRAST = torch.full((BANDS,), 50.0)

WHITE = torch.tensor(16.0)


def witnesses(**other) -> Growth:
    """Two multispectral bands over six, all witnesses of one mind, no misfit."""
    coverage = torch.zeros(2, BANDS, dtype=torch.bool)
    coverage[0, :2] = coverage[1, 4:] = True
    plain = Growth(
        foretold=torch.full((BANDS,), 4.0),
        exam=torch.full((2,), 4.0),
        crossed=torch.zeros(2),
        coverage=coverage,
        nm=torch.arange(BANDS) * 100.0 + 400.0,
    )
    return replace(plain, **other)


def test_witnesses_of_one_mind_are_believed():
    torch.testing.assert_close(witnesses()(CONTRAST, WHITE), torch.full((BANDS,), 4.0))


def test_the_level_is_their_geometric_mean():
    growth = witnesses(exam=torch.full((2,), 32.0))(CONTRAST, WHITE)
    torch.testing.assert_close(growth, torch.full((BANDS,), 8.0))


def test_without_an_exam_the_fields_are_believed():
    torch.testing.assert_close(witnesses(exam=None)(CONTRAST, WHITE), torch.full((BANDS,), 4.0))


def test_bands_differ_as_is_foretold():
    pattern = torch.tensor([1.0, 2.0, 4.0, 4.0, 8.0, 16.0])
    growth = witnesses(foretold=pattern, exam=torch.full((2,), 32.0))(CONTRAST, WHITE)
    torch.testing.assert_close(growth, 2.0 * pattern)


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
    for name, size in (("exam", 2), ("foretold", BANDS)):
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
