"""Haze: told from the darkest pixels, held to what air scatters, never taken from surface reflectance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from deliveries import GAINS, VNIC, deliver, write_tiff
from rasterio.transform import Affine

from stsfusion.cube.store import CubeStore
from stsfusion.ingest.atmosphere import haze_of
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.options import Options
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

NM = np.array([560.0, 480.0, 660.0, 830.0])
PLANTED = 0.08 * (480 / NM) ** 1.5


def scene(dark=0.01, count=4000, seed=0):
    draw = np.random.default_rng(seed)
    values = draw.uniform(dark + 0.02, dark + 0.4, (4, count))
    values[:, : count // 50] = dark
    return values, np.ones(values.shape, bool)


def test_planted_haze_is_found():
    values, valid = scene()
    found = haze_of(values + PLANTED[:, None], valid, NM)
    assert found.status == "good"
    assert found.haze == pytest.approx(PLANTED, abs=1e-6)
    assert found.dark == pytest.approx(PLANTED + 0.01, abs=1e-6)


def test_a_clear_scene_keeps_what_it_has():
    values, valid = scene(dark=0.004)
    assert not haze_of(values, valid, NM).haze.any()


def test_where_nothing_is_dark_air_scatters_less_the_longer_the_wave():
    values, valid = scene()
    values[3] += 0.2
    found = haze_of(values + PLANTED[:, None], valid, NM)
    assert found.haze[:3] == pytest.approx(PLANTED[:3], abs=1e-6)
    assert found.haze[3] == pytest.approx(PLANTED[1] * 480 / 830)


def test_pixels_that_are_not_valid_have_no_say():
    values, valid = scene()
    values[:, 1000:1100], valid[:, 1000:1100] = -5.0, False
    once = haze_of(values + PLANTED[:, None], valid, NM)
    assert once.haze == pytest.approx(PLANTED, abs=1e-6)


def test_one_dead_band_is_left_and_told():
    values, valid = scene()
    valid[2] = False
    found = haze_of(values + PLANTED[:, None], valid, NM)
    assert np.isnan(found.dark[2])
    assert found.haze[2] == 0
    assert found.haze[0] == pytest.approx(PLANTED[0], abs=1e-6)


@pytest.mark.parametrize(
    ("dark", "count", "status"), [(0.4, 4000, "nothing dark"), (0.01, 499, "too few pixels")]
)
def test_what_tells_nothing_is_left(dark, count, status):
    found = haze_of(*scene(dark, count), NM)
    assert found.status == status
    assert not found.haze.any()


def gains(offset=0.0):
    sensor = load_sensor("zy1-02d-vnic")
    return GainsFile(
        sensor=sensor.name,
        source="a test",
        unit="W m-2 sr-1 um-1",
        gains=dict.fromkeys(sensor.names, GAINS["MUX"]),
        offsets={band.name: offset * 450 / band.wavelength for band in sensor.bands},
    )


def told_of(folder, name, **options):
    catalog = open_catalog(build_catalog(folder, folder.parent / "catalog").path, anywhere=True)
    store = CubeStore(folder.parent / f"{name}.zarr")
    chosen = choose(catalog, {"sharp": "zy1-02d-vnic"})
    told = build_cubes(chosen, store, Options(**options)).lineage["sharp"][0]["scenes"][0]
    spec = store.spec("sharp")
    return told, spec, store.read("sharp", spec.window)


def test_the_cube_is_without_haze_and_tells_how_much_it_was(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC.but(lines=60, samples=60), folder)
    hazy = {"zy1-02d-vnic": gains(9.0)}
    off, plain, (seen, valid) = told_of(folder, "off", gains=hazy, clouds=False)
    assert "atmosphere" not in off
    assert off["parameters"]["atmosphere"] == "none"
    assert plain.attributes["quantity"] == off["quantity"] == "toa_bidirectional_reflectance"
    told, spec, (made, there) = told_of(folder, "on", gains=hazy, clouds=False, atmosphere="dark-object")
    assert spec.attributes["quantity"] == told["quantity"] == "surface_bidirectional_reflectance"
    assert told["atmosphere"]["status"] == "good"
    assert any("haze" in step for step in told["steps"])
    haze = np.array([told["atmosphere"]["bands"][name]["haze"] for name in spec.bands])
    assert haze.max() > 0.05
    assert np.array_equal(valid, there)
    at = np.broadcast_to(valid, seen.shape)[0]
    apart = (seen[0] - made[0] - haze[:, None, None])[at]
    assert np.abs(apart).max() < 2e-4
    clear, _, _ = told_of(
        folder, "clear", gains={"zy1-02d-vnic": gains()}, clouds=False, atmosphere="dark-object"
    )
    less = np.array([clear["atmosphere"]["bands"][name]["haze"] for name in spec.bands])
    assert (haze - less).min() > 0
    assert json.loads(json.dumps(told)) == told


def test_surface_reflectance_is_never_touched(tmp_path):
    folder = tmp_path / "deliveries"
    folder.mkdir()
    values = np.random.default_rng(0).integers(500, 4000, (8, 60, 60)).astype(np.uint16)
    place = {"transform": Affine(10, 0, 475000, 0, -10, 4150000), "crs": "EPSG:32650"}
    write_tiff(folder / "mine.tif", values, **place)
    note = "sensor: zy1-02d-vnic\ntime: 2021-12-13T02:58:31Z\nvalues: reflectance\nscale: 0.0001\n"
    (folder / "mine.yaml").write_text(note)
    told, spec, (made, valid) = told_of(folder, "made", clouds=False, atmosphere="dark-object")
    assert told["atmosphere"] == {"status": "surface reflectance as delivered"}
    assert told["steps"][0] == "taken as surface reflectance, as delivered"
    assert spec.attributes["quantity"] == "surface_bidirectional_reflectance"
    there = np.broadcast_to(valid, made.shape)[0]
    assert there.all(axis=0).sum() == 3600
    assert np.abs(made[0][there] - (values * 1e-4).ravel()).max() < 1e-4
