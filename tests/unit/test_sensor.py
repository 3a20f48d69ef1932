"""Instruments from catalog files: names, paths, faults, and the facts that must not drift."""

from __future__ import annotations

import copy
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from stsfusion.errors import SensorError
from stsfusion.sensing.sensor import load_sensor, sensor_names

MINE = """\
title: A camera
sources: {bands: my lab, pixel: my lab, noise: my lab, optics: my lab, package: my lab}
pixel: 12.5
optics: {mtf: 0.3}
dropped: [bad]
groups:
  - shape: box
    names: blue red nir
    low: [450, 620, 780]
    high: 520 690 900
    noise: [0.001, 0.002, 0.003]
    flags: {bad: blue..red}
"""


def mine(tmp_path, text=MINE, name="my-camera"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    return path


def test_a_file_of_ones_own(tmp_path):
    camera = load_sensor(mine(tmp_path))
    assert camera.name == "my-camera"
    assert camera.names == ("blue", "red", "nir")
    assert camera.usable == ("nir",)
    assert camera.bands[1].wavelength == 655
    assert (camera.bands[1].low, camera.bands[1].high, camera.bands[1].noise) == (620, 690, 0.002)
    assert camera.source == "my lab"
    assert load_sensor("my-camera.yaml", near=tmp_path).names == camera.names


def test_a_catalog_beside_the_recipe_is_searched_first(tmp_path):
    (tmp_path / "catalogs" / "sensors").mkdir(parents=True)
    mine(tmp_path / "catalogs" / "sensors")
    mine(tmp_path / "catalogs" / "sensors", name="gf6-wfv")
    assert "my-camera" in sensor_names(tmp_path)
    assert load_sensor("gf6-wfv", near=tmp_path).title == "A camera"
    assert load_sensor("gf6-wfv").title != "A camera"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "gf6_wfv", "GF6-WFV", "", "gf6-wfv/", "a--b", "a" * 5000]
)
def test_names_cannot_leave_the_catalogs(name):
    with pytest.raises(SensorError, match="a sensor of the catalogs"):
        load_sensor(name)


@pytest.mark.parametrize("near", [None, Path("beside")])
def test_a_path_too_long_for_any_file_is_refused(near):
    with pytest.raises(SensorError, match="64 at most") as caught:
        load_sensor("a" * 5000 + ".yaml", near=near)
    assert len(str(caught.value)) < 300


def test_the_nearest_name_is_offered():
    with pytest.raises(SensorError, match="Did you mean 'gf6-wfv'"):
        load_sensor("gf6-wvf")
    with pytest.raises(SensorError, match="Did you mean 'VN01'"):
        load_sensor("zy1-02d-ahsi").response(["VM01"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pixel: 12.5", "pixl: 12.5", r"my-camera.yaml, line 3: pixl[\s\S]*Did you mean 'pixel'"),
        ("pixel: 12.5", "pixel: -1", "line 3: pixel"),
        ("mtf: 0.3", "mtf: 1.3", "line 4: optics.mtf"),
        ("shape: box", "shape: bax", "line 7: groups.0.shape"),
        ("noise: [0.001, 0.002, 0.003]", "noise: [0.001]", "one number for each band"),
        ("    high: 520 690 900\n", "", "'high' for bands of shape box"),
        ("high: 520 690 900", "high: 520 red 900", "line 10: groups.0.high"),
        ("high: 520 690 900", "high: 520 nan 900", "line 10: groups.0.high"),
        ("high: 520 690 900", "high: 520 600 900", "band red, response"),
        ("names: blue red nir", "names: blue red red", "'red' twice"),
        ("blue..red", "blue..rod", "bands of their group, got 'rod'"),
        ("dropped: [bad]", "dropped: [bed]", r"flags of its bands, got 'bed'[\s\S]*Did you mean 'bad'"),
        ("noise: my lab", "noise: ''", "line 2: sources.noise"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path, old, new, said):
    assert old in MINE
    with pytest.raises(SensorError, match=said):
        load_sensor(mine(tmp_path, MINE.replace(old, new)))


def test_bad_patterns_and_file_names_are_refused(tmp_path):
    with pytest.raises(SensorError, match="a regular expression"):
        load_sensor(mine(tmp_path, MINE + "package: {products: ['(']}\n"))
    with pytest.raises(SensorError, match="small letters"):
        load_sensor(mine(tmp_path, name="My_Camera"))


def test_sensors_travel_between_processes():
    sensor = load_sensor("gf6-wfv")
    other = pickle.loads(pickle.dumps(sensor))
    assert other.names == sensor.names
    assert copy.deepcopy(sensor).bands[0].curve.centroid == sensor.bands[0].curve.centroid


def test_ahsi_has_two_overlapping_detectors():
    ahsi = load_sensor("zy1-02d-ahsi")
    assert len(ahsi.bands) == 166
    assert len(ahsi.usable) == 166 - 5 - 6 - 11
    nm = dict(zip(ahsi.names, ahsi.wavelengths, strict=True))
    assert nm["VN76"] > nm["SW01"]
    dropped = [nm[name] for name in ahsi.names if name not in ahsi.usable]
    assert all(1005 < w < 1041 or 1357 < w < 1443 or 1794 < w < 1964 for w in dropped)
    kept = np.array([nm[name] for name in ahsi.usable])
    assert np.all(np.diff(kept) > 0)


def test_aviris_is_not_in_the_order_of_wavelengths():
    aviris = load_sensor("aviris")
    nm = aviris.wavelengths
    assert (len(nm), len(aviris.usable)) == (220, 200)
    assert np.flatnonzero(np.diff(nm) < 0).tolist() == [30, 93, 156]
    assert (nm[0], nm[30], nm[31], nm[219]) == (400.02, 696.50, 686.91, 2498.96)


def test_wfv_bands_are_in_the_order_of_the_file():
    nm = load_sensor("gf6-wfv").wavelengths
    assert np.argsort(nm).tolist() == [6, 0, 1, 7, 2, 4, 5, 3]


def test_every_band_of_the_mission_is_seen_by_ahsi_and_by_aviris():
    for rich in ("zy1-02d-ahsi", "aviris"):
        sensor = load_sensor(rich)
        bands = sensor.pick(sensor.usable)
        nm, fwhm = np.array([b.wavelength for b in bands]), [b.fwhm for b in bands]
        for name in ("gf6-wfv", "zy1-02d-vnic", "zy1-02d-pan"):
            response = load_sensor(name).response()
            matrix = response.matrix(nm, fwhm)
            centroids = [curve.centroid for curve in response.curves]
            # Out-of-band light beyond the samples' ends may pull the mean by a nanometre or two.
            np.testing.assert_allclose(matrix @ nm, centroids, atol=2.5)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("zy1-02d-ahsi", "ZY1E_AHSI_E108.96_N34.68_20200203_002068_L1A0000083728"),
        ("zy1-02d-ahsi", "ZY1E_AHSI_E117.33_N42.80_20210917_010559_L1A0000336326_Check"),
        ("zy1-02d-ahsi", "ZY1F_AHSI_W111.72_N33.06_20221026_004370_L1A0000265656"),
        ("zy1-02d-vnic", "ZY1E_VNIC_E110.4_N24.2_20221224_L1B0000546824-MUX"),
        ("zy1-02d-pan", "ZY1E_VNIC_E110.4_N24.2_20221224_L1B0000546824-PAN"),
        ("gf6-wfv", "GF6_WFV_E104.9_N35.8_20201107_L1A1120048697-2"),
        ("gf6-wfv", "GF6_WFV_E115.9_N30.1_20180607_L1A0000632302"),
        ("landsat8-oli", "LC08_L2SP_123032_20210101_20210308_02_T1"),
        ("sentinel2-msi", "S2A_MSIL2A_20210101T030121_N0214_R032_T50SMJ_20210101T051513"),
    ],
)
def test_product_names_are_known_to_their_sensor_alone(name, product):
    def knows(sensor):
        package = load_sensor(sensor).package
        return package is not None and any(re.match(p, product, re.IGNORECASE) for p in package.products)

    twins = {"zy1-02d-vnic", "zy1-02d-pan"} if name in ("zy1-02d-vnic", "zy1-02d-pan") else {name}
    assert {sensor for sensor in sensor_names() if knows(sensor)} == twins


def tables():
    for folder in (os.environ.get("STSFUSION_DATA"), Path(__file__).parents[2].parent / "shared" / "data"):
        if folder and (Path(folder) / "tables").is_dir():
            return Path(folder) / "tables"
    pytest.skip("neither STSFUSION_DATA nor ../shared/data is there")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gf6-wfv", "gf6_wfv_srf.csv"),
        ("landsat8-oli", "landsat8_oli_srf.csv"),
        ("sentinel2-msi", "sentinel2a_msi_srf.csv"),
    ],
)
def test_tabled_responses_equal_the_published_tables(name, file):
    text = np.genfromtxt(tables() / file, delimiter=",", names=True)
    for band in load_sensor(name).bands:
        published = np.maximum(text[band.name], 0)
        np.testing.assert_allclose(band.curve.at(text["wavelength_nm"]), published, atol=6e-6)
