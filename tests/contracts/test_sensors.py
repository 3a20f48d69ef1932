"""Every catalog file, found by its presence, held to the sensor contract; and twins that must break it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stsfusion.errors import SensorError
from stsfusion.sensing.check import check_sensor
from stsfusion.sensing.sensor import Sources, load_sensor, sensor_names
from stsfusion.sensing.spectra import box

FILES = sorted((Path(__file__).parents[2] / "catalogs" / "sensors").glob("*"))


def test_the_catalog_is_not_empty_and_holds_nothing_else():
    assert {path.stem for path in FILES} <= set(sensor_names())
    assert {path.suffix for path in FILES} == {".yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sensor(path):
    sensor = load_sensor(path)
    assert sensor.name == path.stem
    check_sensor(sensor)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rows_sum_to_one_on_unsorted_coarse_wavelengths(path):
    response = load_sensor(path).response()
    low, high = (edge(curve.nm[end] for curve in response.curves) for edge, end in ((min, 0), (max, -1)))
    nm = np.random.default_rng(1).permutation(np.arange(low - 10, high + 10, 8.6))
    matrix = response.matrix(nm)
    assert np.all(matrix >= 0)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(matrix @ nm, [curve.centroid for curve in response.curves], atol=1e-6)


def band(sensor, **changes):
    first, *others = sensor.bands
    return replace(sensor, bands=(replace(first, **changes), *others))


TWINS = {
    "name": lambda s: replace(s, name="Not_A_Name"),
    "sources": lambda s: replace(s, sources=Sources(**{**dict(s.sources), "noise": "?"})),
    "bands": lambda s: replace(s, bands=(*s.bands, s.bands[0])),
    "wavelengths, micrometres": lambda s: band(s, wavelength=0.4882),
    "wavelengths, twice": lambda s: band(s, wavelength=s.bands[1].wavelength),
    "wavelengths, width": lambda s: band(s, fwhm=0.0),
    "figures, noise in counts": lambda s: band(s, noise=20.0),
    "figures, pixel": lambda s: band(s, pixel=0.0),
    "responses, another band's": lambda s: band(s, curve=s.bands[1].curve),
    "responses, shifted": lambda s: band(s, curve=box(460, 540)),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_twin_is_caught_for_its_own_reason(twin):
    sound = load_sensor("gf6-wfv")
    check_sensor(sound)
    with pytest.raises(SensorError, match=f", {twin.split(',')[0]}: got "):
        check_sensor(TWINS[twin](sound))
