"""Responses on sampled spectra, against plain numerical integration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stsfusion.errors import SensorError
from stsfusion.sensing.spectra import Curve, SpectralResponse, box, gaussian, table


def one(curve):
    return SpectralResponse(("b",), (curve,))


def brute(curve, nm):
    """The row by definition: unit spectra, straight lines between samples, a sum over 0.005 nm steps."""
    rising = np.argsort(nm)
    fine = np.arange(curve.nm[0] + 0.0025, curve.nm[-1], 0.005)
    weight = curve.at(fine)
    row = [weight @ np.interp(fine, nm[rising], np.eye(len(nm))[j][rising]) for j in range(len(nm))]
    return np.array(row) / weight.sum()


@pytest.mark.parametrize("curve", [box(452, 521), gaussian(560, 40), table([500, 510, 530], [0.2, 1, 0.1])])
@pytest.mark.parametrize("step", [3.0, 8.6, 16.8])
def test_rows_are_the_integral_of_the_response(curve, step):
    nm = np.random.default_rng(0).permutation(np.arange(400, 700, step))
    np.testing.assert_allclose(one(curve).matrix(nm)[0], brute(curve, nm), atol=2e-5)


def test_irregular_spacing_and_overlapping_detectors():
    nm = np.array([480, 486, 497, 500, 500.4, 510, 509, 521, 530, 519.5])
    curve = box(490, 520)
    np.testing.assert_allclose(one(curve).matrix(nm)[0], brute(curve, nm), atol=2e-4)


def test_coarse_samples_are_integrated_not_looked_up():
    """A box of 600–624 nm between samples at 590 and 630 nm holds none of them, and yet weighs both."""
    row = one(box(600, 624)).matrix(np.array([550.0, 590, 630, 670]))[0]
    np.testing.assert_allclose(row, [0, (630 - 612) / 40, (612 - 590) / 40, 0], atol=1e-12)


@given(
    st.lists(st.floats(420, 680), min_size=12, max_size=40, unique=True),
    st.floats(500, 600),
    st.floats(5, 60),
    st.randoms(use_true_random=False),
)
def test_rows_sum_to_one_keep_lines_and_follow_the_order(inner, centre, width, random):
    nm = np.unique(np.round([*inner, *np.arange(400, 701, 10.0)], 3))
    response = one(gaussian(centre, width))
    row = response.matrix(nm, fwhm=10)[0]
    assert np.all(row >= 0)
    assert row.sum() == pytest.approx(1, abs=1e-12)
    if response.curves[0].nm[0] > 400 and response.curves[0].nm[-1] < 700:
        assert row @ (0.1 + 0.002 * nm) == pytest.approx(0.1 + 0.002 * response.curves[0].centroid, abs=1e-9)
    order = list(range(len(nm)))
    random.shuffle(order)
    np.testing.assert_allclose(response.matrix(nm[order], fwhm=10)[0], row[order], atol=1e-14)


def test_a_gap_in_the_wavelengths_is_not_covered():
    nm = np.concatenate([np.arange(1200, 1355, 10), np.arange(1445, 1600, 10)])
    bands = SpectralResponse(
        ("left", "cirrus", "edge"), (box(1240, 1280), gaussian(1375, 20), box(1330, 1370))
    )
    assert bands.covered(nm).tolist() == [True, False, False]
    with pytest.raises(SensorError, match=r"cirrus \(1335–1415 nm\), edge"):
        bands.matrix(nm)
    assert bands.pick(["left"]).matrix(nm).shape == (1, len(nm))


def test_one_missing_sample_is_bridged_and_two_are_not():
    nm = np.arange(400, 700, 10.0)
    curve = one(box(540, 560))
    assert curve.covered(nm[nm != 550]).all()
    assert not one(box(541, 559)).covered(nm[(nm < 525) | (nm > 575)]).any()


def test_widths_extend_what_a_sample_speaks_for():
    nm = np.concatenate([np.arange(400, 501, 5.0), np.arange(600, 701, 5.0)])
    assert not one(box(515, 585)).covered(nm).any()
    assert one(box(515, 585)).covered(nm, fwhm=60).all()


def test_a_band_beyond_the_ends_is_not_covered():
    nm = np.arange(400, 840, 5.0)
    assert not one(box(770, 890)).covered(nm).any()
    assert one(box(770, 850)).covered(nm).all()
    assert not one(box(900, 950)).covered(nm).any()


def test_single_samples_work():
    assert one(box(549, 551)).matrix(np.array([550.0])).tolist() == [[1.0]]
    assert not one(box(500, 600)).covered(np.array([550.0])).any()


@pytest.mark.parametrize("nm", [[], [500.0, 500.0], [500.0, np.nan], [[1.0, 2.0]]])
def test_impossible_wavelengths_are_refused(nm):
    with pytest.raises(SensorError, match="wavelengths"):
        one(box(400, 600)).matrix(nm)


@pytest.mark.parametrize(
    ("nm", "value"),
    [([1, 2], [0, 0]), ([2, 1], [1, 1]), ([1], [1]), ([1, np.inf], [1, 1]), ([1, 2], [1, np.nan])],
)
def test_impossible_responses_are_refused(nm, value):
    with pytest.raises(SensorError, match="response"):
        Curve(np.array(nm, float), np.array(value, float))


def test_centroids_and_areas():
    assert box(10, 20).centroid == pytest.approx(15)
    assert gaussian(500, 10).centroid == pytest.approx(500)
    # ∫ 2^(−(2x/w)²) dx = w/2 · sqrt(π / ln 2)
    assert gaussian(500, 10).area == pytest.approx(5 * np.sqrt(np.pi / np.log(2)), rel=1e-4)
    assert table([0, 3], [0, 1]).centroid == pytest.approx(2)
    assert table([0, 1, 2], [1, -5, 1]).value.tolist() == [1, 0, 1]


def test_unknown_bands_are_named():
    with pytest.raises(SensorError, match="nir"):
        one(box(1, 2)).pick(["nir"])
