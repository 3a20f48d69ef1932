"""From scenes to cubes: chosen, laid on one grid, mosaicked by day, masked, and told of."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from deliveries import AHSI, GAINS, GROUND, VNIC, WFV, deliver, ground, pack, spectra, write_tiff
from rasterio.transform import Affine
from rasterio.warp import transform

from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.ingest.align import common_band
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import Day, choose
from stsfusion.ingest.cubeframe import cube_frame
from stsfusion.ingest.frame import Place
from stsfusion.ingest.mosaic import MARKS
from stsfusion.ingest.options import Options
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

SENSORS = {"rich": "zy1-02d-ahsi", "sharp": "zy1-02d-vnic", "dense": "gf6-wfv"}
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
PACKAGES = Path(os.environ.get("STSFUSION_DATA") or SHARED) / "packages"


def gains(values=None):
    names = load_sensor("zy1-02d-vnic").names
    table = dict(zip(names, values or [GAINS["MUX"]] * len(names), strict=True))
    return {
        "zy1-02d-vnic": GainsFile(sensor="zy1-02d-vnic", source="a test", unit="W m-2 sr-1 um-1", gains=table)
    }


def catalog_of(folder):
    return open_catalog(build_catalog(folder, folder.parent / "catalog").path, anywhere=True)


def truth(spec, season):
    grid = spec.grid
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = transform(grid.crs, "EPSG:4326", x.ravel(), y.ravel())
    shares = ground(np.reshape(lon, x.shape), np.reshape(lat, x.shape), season)
    bands = load_sensor(spec.attributes["sensor"]).pick(spec.bands)
    return np.einsum("kb,kyx->byx", spectra(bands), shares)


def root_mean_square(store, role, season):
    spec = store.spec(role)
    values, valid = store.read(role, spec.window)
    there = np.broadcast_to(valid, values.shape)[0]
    return float(np.sqrt(np.mean((values[0] - truth(spec, season))[there] ** 2)))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three small deliveries, one of them packed, as cubes."""
    folder = tmp_path_factory.mktemp("three") / "deliveries"
    deliver(AHSI.but(lines=40, samples=40), folder)
    pack(deliver(VNIC.but(lines=120, samples=120), folder.parent / "aside"), folder=folder)
    deliver(WFV.but(lines=80, samples=60), folder)
    chosen = choose(catalog_of(folder), SENSORS)
    store = CubeStore(folder.parent / "cubes.zarr")
    told = build_cubes(chosen, store, Options(gains=gains()), owner="test").lineage
    return store, told, chosen


@pytest.mark.parametrize(("role", "season"), [("rich", 0.5), ("sharp", 0.5), ("dense", 0.52)])
def test_cubes_hold_what_is_on_the_ground(built, role, season):
    store, _, _ = built
    assert root_mean_square(store, role, season) <= 0.003
    spec = store.spec(role)
    valid = store.read(role, spec.window)[1]
    assert valid.any(axis=1).mean() > 0.5
    assert spec.bands == load_sensor(SENSORS[role]).names
    cube = store.cube(role)
    assert grid_of(cube) == spec.grid
    assert cube.attrs["standard_name"] == "toa_bidirectional_reflectance"
    assert spec.grid.crs == "EPSG:32650"
    assert np.allclose(cube.wavelength, load_sensor(SENSORS[role]).wavelengths, atol=1e-3)


def test_the_order_of_bands_is_told_and_rises_without_those_that_are_flagged_as_double(built):
    store, _, chosen = built
    rich, dense = (store.spec(role) for role in ("rich", "dense"))
    flags = rich.attributes["band_flags"]
    assert (np.diff(rich.wavelength) < 0).sum() == 1
    assert "do not rise" in rich.attributes["band_order"]
    assert "'overlap'" in rich.attributes["band_order"]
    single = ["overlap" not in flags.get(band, ()) for band in rich.bands]
    assert single.count(False) == 5
    assert (np.diff(np.array(rich.wavelength)[single]) > 0).all()
    assert "do not rise" in dense.attributes["band_order"]
    assert "'overlap'" not in dense.attributes["band_order"]
    scene = chosen.days["dense"][0].scenes[0]
    (layer, *_) = scene.layers
    rising = replace(layer, bands=("B1", "B2"), wavelength=layer.wavelength[:2], fwhm=layer.fwhm[:2])
    frame = cube_frame("dense", [Day((replace(scene, layers=(rising,)),))], chosen.grid, 1, {})
    assert "band_order" not in frame.attributes


def test_cubes_lie_on_one_grid(built):
    store, _, chosen = built
    sharp, rich, dense = (store.spec(role).grid for role in ("sharp", "rich", "dense"))
    assert sharp == chosen.grid
    assert rich.ratio_to(sharp) == 3
    assert dense.ratio_to(sharp) == 1
    assert all(edge % 30 == 0 for edge in sharp.origin)


def test_the_lineage_names_files_steps_and_gains(built):
    store, told, _ = built
    sharp = store.spec("sharp").attributes["lineage"]
    assert sharp == json.loads(json.dumps(told["sharp"]))
    (scene,) = sharp[0]["scenes"]
    assert sharp[0]["date"] == "2021-12-13"
    assert scene["delivery"].endswith(".tar.gz")
    assert len(scene["sha256"]) == 64
    assert all(len(file["sha256"]) == 64 for file in scene["files"])
    assert scene["gains"] == ["MUX: ingest.gains: a test"]
    found = told["rich"][0]["scenes"][0]["registration"]
    assert found["status"] == "good"
    assert not found["moved"]
    assert "registration" not in scene
    assert not list(store.path.parent.glob(".ingest-*")), "what was unpacked is gone"


def test_the_lineage_names_every_step_that_was_done(built):
    _, told, _ = built
    rich, sharp, dense = (told[role][0]["scenes"][0] for role in ("rich", "sharp", "dense"))
    warped = f"orthorectified by its RPC, at {GROUND:g} m (the mean height that the RPC states)"
    masks = ["fill and counts from 4095 on masked", "thick cloud and its shadow masked by simple tests"]
    for scene, order in ((rich, AHSI), (sharp, VNIC), (dense, WFV)):
        assert scene["earth_sun_distance"] == pytest.approx(astronomical_units(order.utc), abs=2e-4)
        assert scene["steps"][0] == "counts to radiance by gains and offsets"
        assert f"distance {scene['earth_sun_distance']:.5f} au" in scene["steps"][1]
        assert scene["steps"][2] == warped
        assert scene["steps"][-2:] == masks
    assert len(sharp["steps"]) == 5
    assert rich["steps"][3] == "2 detectors laid one behind the other, all bands kept"
    assert rich["steps"][4] == "detector SW held against the other in the overlap, and left as it is"
    assert rich["steps"][5] == "held against sharp 2021-12-13 B05, and left where it lies (good)"
    assert dense["steps"][3] == "3 strips mosaicked, of two the one that sees a pixel further inside"
    assert dense["steps"][4].startswith("held against sharp 2021-12-13")


def astronomical_units(utc):
    """Earth's distance from the sun by Kepler's orbit: perihelion on 4 January 2022 at 6:55 UTC."""
    anomaly = 2 * math.pi * (utc - datetime(2022, 1, 4, 6, 55)).total_seconds() / (365.2596 * 86400)
    eccentric = anomaly
    for _ in range(5):
        eccentric = anomaly + 0.0167 * math.sin(eccentric)
    return 1 - 0.0167 * math.cos(eccentric)


def test_flags_have_meanings_as_cf_knows_them(built):
    store, _, _ = built
    qa = store.dataset("rich")["qa"]
    meanings = qa.attrs["flag_meanings"].split()
    assert len(meanings) == len(qa.attrs["flag_masks"]) == len(qa.attrs["flag_values"])
    assert dict(zip(meanings, qa.attrs["flag_masks"], strict=True)).items() >= MARKS.items()
    seen, valid = qa.values[0], store.dataset("rich")["valid"].values[0]
    assert ((seen & 7) == valid).all()
    partial = (seen & MARKS["partial"]) > 0
    whole = store.read("rich", store.spec("rich").window)[1][0].all(axis=0)
    assert np.array_equal(partial, valid & ~whole)


@pytest.mark.parametrize(
    ("sensors", "pixel", "ratios", "words"),
    [
        (SENSORS, None, {"rich": 3, "sharp": 1, "dense": 1}, "pixels of 10 m for its own of 16 m, whole"),
        ({"rich", "dense"}, None, {"rich": 1, "dense": 1}, "pixels of 16 m for its own of 30 m, whole"),
        ({"rich", "dense"}, 10.0, {"rich": 3, "dense": 1}, "ahsi, 1 date, pixels of 30 m; "),
        (
            {"rich", "dense"},
            20.0,
            {"rich": 1, "dense": 1},
            "pixels of 20 m for its own of 16 m, detail is lost",
        ),
        ({"rich"}, None, {"rich": 1}, "rich: zy1-02d-ahsi, 1 date, pixels of 30 m; on"),
    ],
)
def test_the_base_grid_is_that_of_the_finest_instrument_that_is_there(built, sensors, pixel, ratios, words):
    store, _, _ = built
    catalog = catalog_of(store.path.parent / "deliveries")
    chosen = choose(catalog, {role: SENSORS[role] for role in SENSORS if role in sensors}, Place(pixel=pixel))
    finest = min(load_sensor(SENSORS[role]).pixel for role in sensors)
    assert chosen.grid.pixel == (pixel or finest)
    assert dict(chosen.ratios) == ratios
    assert words in str(chosen)


def test_a_ratio_that_costs_detail_is_told(built):
    store, _, _ = built
    catalog = catalog_of(store.path.parent / "deliveries")
    pair = {"rich": "zy1-02d-ahsi", "dense": "gf6-wfv"}
    assert "pixels of 48 m for its own of 30 m, detail is lost" in str(
        choose(catalog, pair, None, {"rich": 3})
    )


def test_scenes_of_one_day_are_one_date_and_those_outside_are_left(tmp_path):
    folder = tmp_path / "deliveries"
    order = VNIC.but(lines=90, samples=60)
    step = 50 * 10 / 111132
    moments = VNIC.utc, VNIC.utc + timedelta(seconds=8), datetime(2021, 12, 16, 2, 58)
    for part, utc in enumerate(moments):
        deliver(order.but(number=389930 + part, utc=utc, lat=order.lat - part * step), folder)
    deliver(order.but(number=389940, lat=36.0, utc=datetime(2021, 12, 19, 2, 58)), folder)
    area = Place("EPSG:32650", (475000.0, 4149500.0, 475600.0, 4151000.0), 20.0)
    chosen = choose(catalog_of(folder), {"sharp": "zy1-02d-vnic"}, area)
    assert [len(day.scenes) for day in chosen.days["sharp"]] == [2, 1]
    assert chosen.grid == Grid((75, 30), 20.0, (475000.0, 4151000.0), "EPSG:32650")
    store = CubeStore(tmp_path / "cubes.zarr")
    options = Options(gains=gains(), terrain=Terrain(height=GROUND))
    told = build_cubes(chosen, store, options).lineage["sharp"]
    laid = "laid together with 1 more of its day; where two see a pixel, the earlier stays"
    assert [[laid in scene["steps"] for scene in date["scenes"]] for date in told] == [[True, True], [False]]
    assert store.spec("sharp").shape[0] == 2
    assert root_mean_square(store, "sharp", 0.5) <= 0.003
    both = (store.read_qa("sharp", store.spec("sharp").window) & 7).mean(axis=(1, 2))
    assert both[0] > 1.3 * both[1]


def test_a_scene_beside_the_sharp_one_is_moved_and_a_far_one_told(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC.but(lines=150, samples=150), folder)
    home = deliver(AHSI.but(lines=60, samples=60), folder)
    for path in home.glob("*.rpb"):
        text = path.read_text()
        assert "lineOffset = 30.0" in text
        path.write_text(text.replace("lineOffset = 30.0", "lineOffset = 31.3"))
    sensors = {role: SENSORS[role] for role in ("rich", "sharp")}
    chosen = choose(catalog_of(folder), sensors)
    found = {}
    for name, options in (("moved", {}), ("far", {"threshold": 1.0}), ("off", {"register": False})):
        store = CubeStore(tmp_path / name / "cubes.zarr")
        told = build_cubes(chosen, store, Options(gains=gains(), **options)).lineage
        scene = told["rich"][0]["scenes"][0]
        found[name] = root_mean_square(store, "rich", 0.5), scene.get("registration")
    measured = found["moved"][1]
    assert np.hypot(measured["down"], measured["right"]) == pytest.approx(1.3, abs=0.1)
    assert measured["moved"]
    assert found["moved"][0] <= 0.003
    assert found["far"][1]["status"] == "large"
    assert not found["far"][1]["moved"]
    assert found["off"][1] is None
    assert found["off"][0] == pytest.approx(found["far"][0])
    assert found["off"][0] > 3 * found["moved"][0]


def test_the_second_detector_is_fitted_to_the_first(tmp_path):
    folder = tmp_path / "deliveries"
    home = deliver(AHSI.but(lines=80, samples=80), folder)
    path = next(home.glob("*_SW.rpb"))
    text = path.read_text()
    assert "sampOffset = 41.3" in text
    path.write_text(text.replace("sampOffset = 41.3", "sampOffset = 41.8"))
    path = home / "ZY1E_AHSI_RadCal_SWIR.raw"
    lines = [line.split(",") for line in path.read_text().split()]
    path.write_text("".join(f"{1.06 * float(gain):.9f},{offset}\r\n" for gain, offset in lines))
    chosen = choose(catalog_of(folder), {"rich": "zy1-02d-ahsi"})
    errors = {}
    for fitted in (True, False):
        store = CubeStore(tmp_path / str(fitted) / "cubes.zarr")
        told = build_cubes(chosen, store, Options(detectors=fitted)).lineage
        errors[fitted] = root_mean_square(store, "rich", 0.5)
        found = told["rich"][0]["scenes"][0].get("detectors")
        assert (found is not None) is fitted
        if found:
            assert found["ratio"] == pytest.approx(1.06, abs=0.01)
            assert np.hypot(found["down"], found["right"]) == pytest.approx(0.5, abs=0.1)
            assert found["moved"]
            assert found["dimmed"]
            steps = told["rich"][0]["scenes"][0]["steps"]
            offset = f"{found['down']:.2f} down and {found['right']:.2f} right"
            assert f"detector SW moved back by {offset} pixels, found in the overlap" in steps
            assert f"detector SW divided by {found['ratio']:g}, found in the overlap" in steps
    assert errors[True] <= 0.003
    assert errors[False] > 3 * errors[True]


def test_clouds_become_gaps_with_a_flag(tmp_path, monkeypatch):
    folder = tmp_path / "deliveries"
    deliver(VNIC.but(lines=60, samples=60), folder)
    chosen = choose(catalog_of(folder), {"sharp": "zy1-02d-vnic"})
    store = CubeStore(tmp_path / "cubes.zarr")
    white = gains([GAINS["MUX"] * factor for factor in (6, 5, 4, 1, 7, 4.5, 2, 1)])
    build_cubes(chosen, store, Options(gains=white))
    spec = store.spec("sharp")
    cloud = (store.read_qa("sharp", spec.window) & MARKS["cloud"]) > 0
    assert cloud.any()
    assert not store.read("sharp", spec.window)[1].any(axis=1)[cloud].any()
    again = CubeStore(tmp_path / "clear.zarr")
    build_cubes(chosen, again, Options(gains=white, clouds=False))
    assert not (again.read_qa("sharp", spec.window) & MARKS["cloud"]).any()
    assert again.read("sharp", spec.window)[1].any(axis=1)[cloud].all()


def test_a_mask_of_the_users_makes_gaps(tmp_path):
    folder = tmp_path / "deliveries"
    deliver(VNIC.but(lines=60, samples=60), folder)
    chosen = choose(catalog_of(folder), {"sharp": "zy1-02d-vnic"})
    grid = chosen.grid
    mask = np.zeros((1, *grid.shape), dtype=np.uint8)
    mask[:, 30:40], mask[:, 40:45] = 1, 2
    place = {"transform": Affine(*grid.transform), "crs": grid.crs}
    write_tiff(tmp_path / "mask.tif", mask, **place)
    store = CubeStore(tmp_path / "cubes.zarr")
    name = chosen.days["sharp"][0].scenes[0].name
    told = build_cubes(chosen, store, Options(gains=gains(), masks={name: tmp_path / "mask.tif"})).lineage
    assert told["sharp"][0]["scenes"][0]["mask"]["path"] == "mask.tif"
    window = store.spec("sharp").window
    marks, valid = store.read_qa("sharp", window)[0], store.read("sharp", window)[1][0].any(axis=0)
    assert ((marks & MARKS["cloud"]) > 0)[30:40].all()
    assert ((marks & MARKS["shadow"]) > 0)[40:45].all()
    assert not valid[30:45].any()
    assert valid[45:60].any()
    assert not (marks & (MARKS["cloud"] | MARKS["shadow"]))[:30].any()


def test_refusals_leave_nothing_unpacked(tmp_path):
    folder = tmp_path / "deliveries"
    archive = pack(deliver(VNIC, tmp_path / "aside"), folder=folder)
    catalog = catalog_of(folder)
    with pytest.raises(DeliveryError, match="a scene of gf6-wfv"):
        choose(catalog, {"dense": "gf6-wfv"})
    with pytest.raises(DeliveryError, match="in the area"):
        choose(catalog, {"sharp": "zy1-02d-vnic"}, Place("EPSG:32650", (1e5, 4e6, 1.1e5, 4.1e6)))
    for crs in ("EPSG:4326", "EPSG:2263"):
        with pytest.raises(DeliveryError, match=r"area\.crs"):
            choose(catalog, {"sharp": "zy1-02d-vnic"}, Place(crs))
    chosen = choose(catalog, {"sharp": "zy1-02d-vnic"})
    store = CubeStore(tmp_path / "out" / "cubes.zarr")
    with pytest.raises(DeliveryError, match=r"ingest\.gains"):
        build_cubes(chosen, store)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(DeliveryError, match=archive.name):
        build_cubes(chosen, store, Options(gains=gains()))
    assert not list(store.path.parent.iterdir())


def test_a_band_that_two_instruments_share():
    assert common_band("zy1-02d-vnic", "gf6-wfv") is not None
    first, second = common_band("zy1-02d-vnic", "zy1-02d-ahsi")
    one, other = load_sensor("zy1-02d-vnic"), load_sensor("zy1-02d-ahsi")
    assert abs(one.pick([first])[0].wavelength - other.pick([second])[0].wavelength) < 10


GROWTH = """
import sys, tracemalloc
sys.modules["torch"] = None
from pathlib import Path
from stsfusion.cube.store import CubeStore
from stsfusion.ingest import raster
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.choose import choose
from stsfusion.ingest.options import Options
from stsfusion.sensing.catalog import open_catalog
raster._ALONE["GDAL_CACHEMAX"] = 4
catalog = open_catalog(sys.argv[1], anywhere=True)
chosen = choose(catalog, {"dense": "gf6-wfv"})
tracemalloc.start()
build_cubes(chosen, CubeStore(Path(sys.argv[2])), Options(atmosphere="dark-object"))
print(tracemalloc.get_traced_memory()[1] >> 20)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to tell a peak of memory")
def test_memory_stays_flat_and_torch_stays_out(tmp_path):
    """Beside what GDAL may keep, a scene four times as large takes no more; whole, by 55 MB."""
    peaks = []
    for size in (480, 1920):
        folder = tmp_path / str(size) / "deliveries"
        deliver(WFV.but(lines=size, samples=160), folder)
        catalog_of(folder)
        words = [sys.executable, "-c", GROWTH, folder.parent / "catalog", tmp_path / f"{size}.zarr"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append([int(word) for word in done.stdout.split()])
    (arrays, resident), (more, grown) = peaks
    assert more < arrays + 15, peaks
    assert grown < resident + 50, peaks


@pytest.mark.skipif(not PACKAGES.is_dir(), reason=f"needs the test packages in {PACKAGES}")
def test_the_test_packages_hold_their_truth(tmp_path):
    folder = tmp_path / "deliveries"
    folder.mkdir()
    for archive in PACKAGES.glob("*.tar.gz"):
        shutil.copy(archive, folder)
    known = json.loads((PACKAGES / "truth.json").read_text())
    store = CubeStore(tmp_path / "cubes.zarr")
    chosen = choose(catalog_of(folder), SENSORS, ratios={"rich": 3, "sharp": 1, "dense": 1})
    build_cubes(chosen, store, Options(gains=gains(known["vnic_gain_MUX"]), terrain=Terrain(height=60.0)))
    found = {role: root_mean_square(store, role, 0.52 if role == "dense" else 0.5) for role in SENSORS}
    assert max(found.values()) <= 0.003, found


@pytest.mark.parametrize(
    "marks", [{"cloud": 4}, {"cloud": 24}, {"cloud": 8, "shadow": 8}, {"cloud": 1 << 16}]
)
def test_marks_are_single_bits_above_the_lowest_three(marks):
    with pytest.raises(StoreError, match="single bits"):
        CubeSpec(Grid.local((4, 4)), (0,), ("a",), (500.0,), marks=marks)
