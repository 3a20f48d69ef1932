"""Scenes brought to one brightness: gains that are off are mended, absurd lines refused, all of it told."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pytest
import rasterio
from deliveries import AHSI, GAINS, VNIC, WFV, deliver, ground, spectra
from rasterio.warp import transform

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.matching import matched
from stsfusion.ingest.options import Options
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

SENSORS = {"rich": "zy1-02d-ahsi", "sharp": "zy1-02d-vnic", "dense": "gf6-wfv"}


def gains(sensor, values):
    table = dict(zip(load_sensor(sensor).names, values, strict=True))
    return {sensor: GainsFile(sensor=sensor, source="a test", unit="W m-2 sr-1 um-1", gains=table)}


def vnic(factor=1.0):
    return gains("zy1-02d-vnic", [GAINS["MUX"] * factor] * 8)


def chosen_of(folder, *roles):
    catalog = open_catalog(build_catalog(folder, folder.parent / "catalog").path, anywhere=True)
    return choose(catalog, {role: SENSORS[role] for role in roles})


def error(store, role, season=0.5, date=0):
    spec = store.spec(role)
    x, y = np.meshgrid(spec.grid.x, spec.grid.y)
    lon, lat = transform(spec.grid.crs, "EPSG:4326", x.ravel(), y.ravel())
    shares = ground(np.reshape(lon, x.shape), np.reshape(lat, x.shape), season)
    truth = np.einsum("kb,kyx->byx", spectra(load_sensor(SENSORS[role]).pick(spec.bands)), shares)
    values, valid = store.read(role, spec.window)
    there = np.broadcast_to(valid, values.shape)[date]
    return float(np.sqrt(np.mean((values[date] - truth)[there] ** 2)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One day of AHSI and VNIC on the same ground."""
    folder = tmp_path_factory.mktemp("level") / "deliveries"
    deliver(AHSI.but(lines=36, samples=36), folder)
    deliver(VNIC.but(lines=108, samples=108), folder)
    return chosen_of(folder, "rich", "sharp")


def built(chosen, folder, options):
    store = CubeStore(folder / "cubes.zarr")
    lineage = build_cubes(chosen, store, options).lineage
    return store, {role: dates[0]["scenes"][0] for role, dates in lineage.items()}


def test_gains_that_are_off_are_mended_and_told(pair, tmp_path):
    store, told = built(pair, tmp_path, Options(gains=vnic(1.06), normalise="pif", clouds=False))
    assert error(store, "sharp") < 0.002
    found = told["sharp"]["normalisation"]
    assert found["against"] == "rich 2021-12-13"
    assert (found["status"], found["used"]) == ("good", True)
    assert set(found["bands"]) == set(load_sensor("zy1-02d-vnic").names)
    for line in found["bands"].values():
        assert line["slope"] == pytest.approx(1 / 1.06, rel=0.01)
        assert line["offset"] == pytest.approx(0, abs=0.003)
        assert line["r2"] > 0.99
        assert line["count"] >= 500
        assert line["status"] == "good"
    assert "brought to the brightness of rich 2021-12-13" in told["sharp"]["steps"][-1]
    assert told["rich"]["normalisation"] == {"status": "the reference"}
    kept = store.spec("sharp").attributes["lineage"][0]["scenes"][0]
    assert kept == json.loads(json.dumps(told["sharp"]))


def test_nobody_is_brought_to_another_unless_it_is_asked_for(pair, tmp_path):
    store, told = built(pair, tmp_path, Options(gains=vnic(1.06), clouds=False))
    assert error(store, "sharp") > 0.008
    assert all("normalisation" not in scene for scene in told.values())


def test_an_absurd_slope_leaves_the_whole_scene_and_says_so(pair, tmp_path):
    values = [GAINS["MUX"] * factor for factor in (1, 1, 1, 1, 1, 1, 1, 3)]
    options = Options(gains=gains("zy1-02d-vnic", values), normalise="pif", clouds=False)
    store, told = built(pair, tmp_path, options)
    found = told["sharp"]["normalisation"]
    assert found["status"] == "absurd slope in B09"
    assert not found["used"]
    assert {(line["slope"], line["offset"]) for line in found["bands"].values()} == {(1.0, 0.0)}
    said = [line["status"] for line in found["bands"].values()]
    assert said == ["left with the other bands"] * 7 + ["absurd slope"]
    assert found["bands"]["B09"]["found"][0] == pytest.approx(1 / 3, rel=0.02)
    assert not any("brightness" in step for step in told["sharp"]["steps"])
    plain = CubeStore(tmp_path / "plain.zarr")
    build_cubes(pair, plain, Options(gains=gains("zy1-02d-vnic", values), clouds=False))
    window = plain.spec("sharp").window
    assert np.array_equal(plain.read("sharp", window)[0], store.read("sharp", window)[0])


def test_a_dead_band_has_no_line_and_harms_no_other(tmp_path):
    folder = tmp_path / "deliveries"
    utc = AHSI.utc.replace(day=20)
    for order in (AHSI.but(lines=36, samples=36), AHSI.but(lines=36, samples=36, number=389922, utc=utc)):
        home = deliver(order, folder)
    path = next(home.glob("*_VN.tif"))
    with rasterio.open(path, "r+") as file:
        file.write(np.zeros((36, 36), np.uint16), 31)
    chosen = chosen_of(folder, "rich")
    told = build_cubes(chosen, CubeStore(tmp_path / "cubes.zarr"), Options(normalise="pif", clouds=False))
    first, second = (date["scenes"][0]["normalisation"] for date in told.lineage["rich"])
    assert second == {"status": "the reference"}
    assert first["status"] == "good"
    assert first["bands"]["VN31"]["status"] == "too few pixels"
    assert first["bands"]["VN31"]["slope"] == 1.0
    assert {line["status"] for band, line in first["bands"].items() if band != "VN31"} == {"good"}


def test_dates_are_brought_to_the_one_in_the_middle(tmp_path):
    folder = tmp_path / "deliveries"
    order = WFV.but(lines=60, samples=60)
    days = (datetime(2021, 12, day, 3, 4) for day in (10, 13, 16))
    for number, utc in enumerate(days):
        home = deliver(order.but(number=1120152345 + number, utc=utc), folder)
        assert home.is_dir()
    chosen = chosen_of(folder, "dense")
    bright = {**vnic(), **gains("gf6-wfv", [0.0633, 0.0532, 0.0508, 0.0325, 0.0523, 0.0463, 0.067, 0.0591])}
    store = CubeStore(tmp_path / "cubes.zarr")
    told = build_cubes(chosen, store, Options(gains=bright, normalise="pif", clouds=False)).lineage["dense"]
    found = [date["scenes"][0]["normalisation"] for date in told]
    assert found[1] == {"status": "the reference"}
    for one in (found[0], found[2]):
        assert one["against"] == "dense 2021-12-13"
        assert [line["slope"] for line in one["bands"].values()] == pytest.approx([1.0] * 8, rel=0.01)
        assert [line["by"] for line in one["bands"].values()] == list(load_sensor("gf6-wfv").names)


def test_scenes_that_share_nothing_are_left_and_told(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC.but(lines=60, samples=60), folder)
    far = VNIC.but(lines=60, samples=60, number=389931, utc=datetime(2021, 12, 20, 2, 58), lat=37.52)
    deliver(far, folder)
    chosen = chosen_of(folder, "sharp")
    store = CubeStore(tmp_path / "cubes.zarr")
    told = build_cubes(chosen, store, Options(gains=vnic(), normalise="pif")).lineage["sharp"]
    statuses = [date["scenes"][0]["normalisation"]["status"] for date in told]
    assert statuses == ["nothing to compare", "the reference"]


def test_what_one_instrument_tells_of_another():
    ahsi, multi, wide = (load_sensor(name) for name in ("zy1-02d-ahsi", "zy1-02d-vnic", "gf6-wfv"))
    match = matched(ahsi.name, ahsi.names, wide.name, wide.names)
    assert match.bands == wide.names
    assert np.allclose(match.weights.sum(axis=1), 1)
    poor = [i for i, name in enumerate(ahsi.names) if name not in ahsi.usable]
    assert not match.weights[:, poor].any()
    centres = match.weights @ ahsi.wavelengths
    assert centres == pytest.approx([band.curve.centroid for band in wide.bands], abs=8)
    same = matched(ahsi.name, ahsi.names, ahsi.name, ahsi.names)
    assert same.bands == same.by == ahsi.usable
    alike = matched(multi.name, multi.names, wide.name, wide.names)
    assert 4 <= len(alike.bands) <= 8
    assert set(np.unique(alike.weights)) == {0.0, 1.0}
    for name, by in zip(alike.bands, alike.by, strict=True):
        assert abs(wide.pick([name])[0].wavelength - multi.pick([by])[0].wavelength) <= 25
    nothing = matched(multi.name, [], wide.name, wide.names)
    assert nothing.bands == ()
