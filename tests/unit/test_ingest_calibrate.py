"""Counts to reflectance: against the formula by hand, the known ground, and the order of gains."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from deliveries import AHSI, GAINS, GROUND, VNIC, WFV, deliver, ground, spectra
from hypothesis import given
from hypothesis import strategies as st

from stsfusion.ingest.archive import unpack
from stsfusion.ingest.calibrate import GainsFile, calibration, read_gains_file
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.sun import distance
from stsfusion.sensing.scene import Layer, Scene
from stsfusion.sensing.sensor import load_sensor
from stsfusion.sensing.sunlight import irradiance


def scenes(home):
    return {p.sensor.name: product_scene(p, home) for p in products(files_below(home, Limits()))}


def gains_file(sensor, gains, **more):
    names = load_sensor(sensor).names
    table = dict(zip(names, gains, strict=True))
    return GainsFile(sensor=sensor, source="a test", unit="W m-2 sr-1 um-1", gains=table, **more)


def misses(scene, layer, own=None, season=0.5):
    """Reflectance by calibration less the truth at the places where the RPC says that each pixel looks."""
    home = scene.delivery
    rational = read_rpb(f"{home}/{scene.file('rpc', layer.name).path}")
    with open_raster(f"{home}/{scene.file('raster', layer.name).path}") as raster:
        counts = raster.read()
    step = max(1, math.isqrt(math.prod(layer.shape) // 20_000))
    counts = counts[:, ::step, ::step]
    rows, cols = np.mgrid[: layer.shape[0] : step, : layer.shape[1] : step].astype(float)
    shares = ground(*rational.ground(cols, rows, GROUND), season)
    truth = np.einsum("kb,kyx->byx", spectra(load_sensor(scene.sensor).pick(layer.bands)), shares)
    inside = (counts > 0) & (counts < 4095)
    found = calibration(scene, layer, own)
    return (found.reflectance(counts) - truth)[inside], found


def test_own_deliveries_come_back_as_their_ground(tmp_path):
    found = {}
    for order in (AHSI, VNIC, WFV):
        found |= scenes(deliver(order, tmp_path))
    given_gains = {
        "zy1-02d-vnic": gains_file("zy1-02d-vnic", [GAINS["MUX"]] * 8),
        "zy1-02d-pan": gains_file("zy1-02d-pan", [GAINS["PAN"]]),
    }
    for name, scene in found.items():
        for layer in scene.layers:
            off, _ = misses(scene, layer, given_gains.get(name), 0.52 if name == "gf6-wfv" else 0.5)
            assert off.size > 0.8 * math.prod(layer.shape) * len(layer.bands)
            assert np.sqrt(np.mean(off**2)) < 0.0015, (name, layer.name)


def test_the_test_packages_come_back_as_their_ground(tmp_path, data_folder, capsys):
    packages = data_folder / "packages"
    truth = json.loads((packages / "truth.json").read_text())
    own = {
        "zy1-02d-vnic": gains_file("zy1-02d-vnic", truth["vnic_gain_MUX"]),
        "zy1-02d-pan": gains_file("zy1-02d-pan", truth["vnic_gain_PAN"]),
    }
    errors = {}
    for archive in sorted(packages.glob("*.tar.gz")):
        for name, scene in scenes(unpack(archive, tmp_path)).items():
            season = 0.52 if name == "gf6-wfv" else 0.5
            for layer in scene.layers:
                off, _ = misses(scene, layer, own.get(name), season)
                errors[f"{name} {layer.name}"] = float(np.sqrt(np.mean(off**2)))
    with capsys.disabled():
        print("\nreflectance, RMSE:", {name: round(error, 5) for name, error in errors.items()})
    assert len(errors) == 7
    assert max(errors.values()) <= 0.003


def plain(sensor="gf6-wfv", time=datetime(2021, 12, 16, 3, 4, 29, tzinfo=UTC), **more):
    """A scene of no files, as far as calibration looks at it."""
    known = load_sensor(sensor)
    layer = Layer("1", known.names, (2, 2), "uint16", tuple(known.wavelengths), tuple(known.fwhm))
    facts = {
        "name": "x",
        "platform": "",
        "level": "",
        "footprint": (),
        "sun_azimuth": 0.0,
        "delivery": "",
        "files": (),
    }
    return Scene(sensor=sensor, time=time, layers=(layer,), **{"sun_zenith": 60.0, **facts, **more})


def test_the_formula_by_hand():
    scene = plain()
    found = calibration(scene, scene.layers[0])
    counts = np.full((8, 1), 1000.0)
    d = distance(scene.time)
    for i, (gain, band) in enumerate(
        zip(
            (0.0633, 0.0532, 0.0508, 0.0325, 0.0523, 0.0463, 0.0670, 0.0591),
            load_sensor("gf6-wfv").bands,
            strict=True,
        )
    ):
        radiance = gain * 1000
        expected = math.pi * d**2 * radiance / (irradiance(band.curve) * math.cos(math.radians(60)))
        assert found.radiance(counts)[i, 0] == pytest.approx(radiance, rel=1e-12)
        assert found.reflectance(counts)[i, 0] == pytest.approx(expected, rel=1e-6)
    assert "published for 2021" in found.source
    assert found.notes == ()


def test_without_the_distance_winter_is_three_percent_wrong():
    winter, summer = (plain(time=datetime(2021, month, 4, 3, tzinfo=UTC)) for month in (1, 7))
    slopes = [calibration(scene, scene.layers[0]).slope[0] for scene in (winter, summer)]
    assert slopes[1] / slopes[0] == pytest.approx((1.01672 / 0.98328) ** 2, rel=1e-4)


@given(st.integers(1, 4094), st.floats(0.001, 1), st.floats(-5, 5))
def test_counts_survive_the_way_there_and_back(count, gain, offset):
    scene = plain()
    names = scene.layers[0].bands
    own = gains_file("gf6-wfv", [gain] * 8, offsets=dict.fromkeys(names, offset))
    found = calibration(scene, scene.layers[0], own)
    radiance = found.radiance(np.full((8, 1), count))
    assert np.rint((radiance - offset) / gain).tolist() == [[count]] * 8
    # Reflectance is held in single precision: good to far less than one count.
    back = (found.reflectance(np.full((8, 1), count)).astype(float).T - found.intercept) / found.slope
    assert np.abs(back - count).max() < 0.5


def test_gains_in_other_units_scale_the_result():
    scene = plain()
    once, twice = (calibration(scene, scene.layers[0], gains_file("gf6-wfv", [k * 0.05] * 8)) for k in (1, 2))
    assert np.allclose(twice.slope, 2 * once.slope, rtol=1e-12)


def test_years_without_a_table_take_the_last_before_and_say_so():
    scene = plain(time=datetime(2025, 3, 1, 3, tzinfo=UTC))
    found = calibration(scene, scene.layers[0])
    assert found.notes == ("no gains are public for 2025: those of 2022 are used",)
    assert found.slope[0] * found.light[0] == pytest.approx(0.0631)
    early = plain(time=datetime(2017, 3, 1, 3, tzinfo=UTC))
    with pytest.raises(DeliveryError, match="tables of 2018 and later"):
        calibration(early, early.layers[0])


def test_gains_change_with_the_year_in_utc():
    old, new = (plain(time=datetime(*day, 3, tzinfo=UTC)) for day in ((2020, 12, 31), (2021, 1, 1)))
    ratio = [calibration(s, s.layers[0]).slope[0] * calibration(s, s.layers[0]).light[0] for s in (old, new)]
    assert ratio == pytest.approx([0.0675, 0.0633])


def test_without_gains_there_is_no_reflectance():
    scene = plain("zy1-02d-vnic")
    with pytest.raises(DeliveryError, match=r"--set ingest\.gains\.zy1-02d-vnic=FILE"):
        calibration(scene, scene.layers[0])


def test_the_deliverys_own_gains_come_before_tables_and_after_the_users(tmp_path):
    scene = scenes(deliver(AHSI, tmp_path))["zy1-02d-ahsi"]
    layer = scene.layers[0]
    assert "RadCal_VNIR" in calibration(scene, layer).source
    own = gains_file("zy1-02d-ahsi", [0.5] * 166)
    found = calibration(scene, layer, own)
    assert found.source == "ingest.gains: a test"
    assert found.notes == ("the delivery's own gains were set aside",)


def strange(column, more):
    own = gains_file("gf6-wfv", [0.1] * 8)
    return own.model_copy(update={column: {**getattr(own, column), **more}})


@pytest.mark.parametrize(
    ("own", "match"),
    [
        (lambda: gains_file("zy1-02d-vnic", [0.1] * 8), "gains of gf6-wfv, got gains of zy1-02d-vnic"),
        (lambda: gains_file("gf6-wfv", [0.1] * 8, years=(2020,)), "gains of 2021"),
        (lambda: strange("gains", {"B99": 0.1}), "bands of gf6-wfv: B1, B2.*, got 'B99'"),
        (lambda: strange("offsets", {"B77": 0.1}), "bands of gf6-wfv: B1, B2.*, got 'B77'"),
        (lambda: strange("offsets", {"B02": 0.1}), "bands of gf6-wfv: B1, B2.*, got 'B02'"),
        (lambda: gains_file("gf6-wfv", [0.1] * 8).model_copy(update={"gains": {"B1": 0.1}}), "none of B2"),
    ],
)
def test_gains_of_something_else_are_refused(own, match):
    scene = plain()
    with pytest.raises(DeliveryError, match=match):
        calibration(scene, scene.layers[0], own())


def test_a_file_of_gains(tmp_path):
    path = tmp_path / "vnic.yaml"
    text = "sensor: zy1-02d-vnic\nsource: a report\nunit: W m-2 sr-1 um-1\n"
    text += "gains: {B02: 0.09, B03: 0.08}\nyears: [2021]\n"
    path.write_text(text)
    assert read_gains_file(path).gains == {"B02": 0.09, "B03": 0.08}
    for old, new, match in (
        ("W m-2 sr-1 um-1", "counts", "unit"), ("0.09", "-0.09", "greater than 0"),
        ("source", "sorce", "source"), ("0.09", ".nan", "B02"),
    ):  # fmt: skip
        path.write_text(text.replace(old, new))
        with pytest.raises(DeliveryError, match=match):
            read_gains_file(path)


def test_reflectance_and_radiance_as_delivered():
    scene = plain(values="reflectance", scale=1e-4)
    found = calibration(scene, scene.layers[0])
    assert found.reflectance(np.full((8, 1), 2500))[0, 0] == pytest.approx(0.25)
    scene = plain(values="radiance", scale=0.1)
    found = calibration(scene, scene.layers[0])
    assert found.radiance(np.full((8, 1), 500))[3, 0] == pytest.approx(50)
    assert found.source == "radiance as delivered"


def test_a_sun_on_the_horizon_is_refused():
    scene = plain(sun_zenith=89.0)
    with pytest.raises(DeliveryError, match="the sun above 2°"):
        calibration(scene, scene.layers[0])


def test_bands_that_the_delivery_moves_see_other_light():
    scene = plain("zy1-02d-ahsi", values="radiance")
    layer = scene.layers[0]
    moved = replace(layer, wavelength=tuple(nm + 3 for nm in layer.wavelength))
    assert not np.allclose(calibration(scene, moved).light, calibration(scene, layer).light, rtol=1e-3)
