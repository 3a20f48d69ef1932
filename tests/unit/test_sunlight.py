"""Sunlight: each band's share against figures that were computed elsewhere, and against a plain sum."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from stsfusion.errors import SensorError
from stsfusion.sensing.sensor import load_sensor
from stsfusion.sensing.spectra import box, gaussian
from stsfusion.sensing.sunlight import irradiance, sunlight

PUBLISHED = (1952.16, 1847.43, 1554.76, 1074.06, 1412.00, 1267.39, 1792.64, 1736.92)
"""GF-6 WFV B1 to B8 as tabled by its users, W m⁻² µm⁻¹."""


def test_wfv_is_near_what_its_users_take():
    found = [irradiance(band.curve) for band in load_sensor("gf6-wfv").bands]
    assert np.allclose(found, PUBLISHED, rtol=0.02)


@pytest.mark.parametrize(
    ("sensor", "table", "column", "first"),
    [
        ("gf6-wfv", "gf6_wfv_bands.csv", "esun_TSIS1_Coddington2023", 0),
        ("zy1-02d-vnic", "zy1_02d_vnic_bands.csv", "esun_TSIS1_boxcar", 1),
        ("zy1-02d-pan", "zy1_02d_vnic_bands.csv", "esun_TSIS1_boxcar", 0),
        ("zy1-02d-ahsi", "zy1_02d_ahsi_bands.csv", "esun_TSIS1_W_m-2_um-1", 0),
    ],
)
def test_bands_against_a_table_made_elsewhere(data_folder, sensor, table, column, first):
    with (data_folder / "tables" / table).open() as file:
        expected = [float(row[column]) for row in csv.DictReader(file)][first:]
    bands = load_sensor(sensor).bands
    found = [irradiance(band.curve) for band in bands]
    assert np.allclose(found, expected[: len(bands)], rtol=1.5e-3)


def test_a_flat_band_sees_the_mean():
    _, sun = sunlight()
    fine = np.linspace(500, 600, 100_001)
    assert irradiance(box(500, 600)) == pytest.approx(sun.at(fine).mean(), rel=1e-4)
    fine = np.linspace(1000, 1100, 100_001)
    weight = np.exp(-4 * np.log(2) * ((fine - 1050) / 10) ** 2)
    assert irradiance(gaussian(1050, 10)) == pytest.approx(
        (weight * sun.at(fine)).sum() / weight.sum(), rel=2e-4
    )


def test_the_solar_constant_is_about_right():
    _, sun = sunlight()
    # 350–2600 nm holds 93 % of 1361 W m⁻².
    assert sun.area / 1000 == pytest.approx(1361 * 0.93, rel=0.02)


def test_beyond_the_spectrum_there_is_an_error():
    with pytest.raises(SensorError, match="2600 nm"):
        irradiance(gaussian(2590, 20))
    with pytest.raises(SensorError, match="a file in catalogs/sun"):
        sunlight("moon")
