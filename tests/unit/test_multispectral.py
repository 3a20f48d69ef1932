"""Bands of a sharp image: which there are, what is said of the others, and what a blind method is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stsfusion.errors import SensorError
from stsfusion.pipeline.multispectral import covered_by, seen_by
from stsfusion.pipeline.scene import Partner, Scene
from stsfusion.sensing.sensor import load_sensor


def _scene(nm):
    return Scene("some", np.ones((len(nm), 4, 4), np.float32), np.asarray(nm, float))


VISIBLE, FULL = _scene(np.arange(400, 901, 5)), _scene(np.arange(400, 2501, 10))


def test_all_that_is_covered_and_a_line_on_what_is_not():
    seen = seen_by("landsat8-oli", VISIBLE)
    assert seen.names == ("B1", "B2", "B3", "B4", "B5")
    assert seen.notes == ("some: bands B6, B7 of landsat8-oli are left out: the scene has 400 to 900 nm",)
    full = seen_by("landsat8-oli", FULL)
    assert full.names == ("B1", "B2", "B3", "B4", "B5", "B6", "B7")
    assert full.notes == ()


def test_named_bands_that_are_not_covered_are_refused_by_name():
    with pytest.raises(SensorError, match=r"bands B6, B7 of landsat8-oli.*of some.*got 400 to 900 nm"):
        seen_by("landsat8-oli", VISIBLE, ["B2", "B6", "B7"])
    with pytest.raises(SensorError, match="'B22'"):
        seen_by("landsat8-oli", VISIBLE, ["B22"])
    with pytest.raises(SensorError, match="bands B1, B2"):
        seen_by("landsat8-oli", _scene([3000.0, 3010.0, 3020.0]))


def test_the_panchromatic_band_alone():
    seen = seen_by("landsat8-oli", VISIBLE, ["B8"])
    assert seen.weights.shape == (1, 101)
    (band,) = load_sensor("landsat8-oli").pick(["B8"])
    seen_nm = band.curve.nm[band.curve.value > 0.01]
    span = VISIBLE.wavelengths[seen.coverage[0].numpy()]
    assert seen_nm[0] - 5 <= span.min() <= seen_nm[0] + 5
    assert seen_nm[-1] - 5 <= span.max() <= seen_nm[-1] + 5


def test_weights_are_the_sensors_and_coverage_is_where_they_are():
    seen = seen_by("landsat8-oli", FULL)
    true = load_sensor("landsat8-oli").response(seen.names).matrix(FULL.wavelengths)
    np.testing.assert_array_equal(seen.weights.numpy(), true)
    for weights, covered in zip(true, seen.coverage.numpy(), strict=True):
        np.testing.assert_array_equal(covered, weights > 0.01 * weights.max())


def test_uniform_weights_know_the_coverage_alone():
    seen = seen_by("landsat8-oli", FULL)
    uniform = seen.uniform
    assert torch.equal(uniform > 0, seen.coverage)
    torch.testing.assert_close(uniform.sum(1), torch.ones(7, dtype=torch.float64))
    assert all(len(row[row > 0].unique()) == 1 for row in uniform)


def test_a_real_image_is_covered_between_its_limits_and_empty_rows_are_said():
    partner = Partner(
        "ali", np.ones((3, 4, 4), np.float32), np.array([500, 901, 640]), np.array([520, 990, 643])
    )
    seen = covered_by(partner, VISIBLE)
    assert [int(row.sum()) for row in seen.coverage] == [5, 0, 1]
    assert seen.notes == ("ali: bands 2 cover no wavelength of some: zero responses",)
    assert seen.uniform[1].abs().sum() == 0
    assert torch.equal(seen.weights, seen.uniform)
    np.testing.assert_allclose(seen.uniform[0].numpy() @ VISIBLE.wavelengths, 510)
