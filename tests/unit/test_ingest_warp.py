"""Onto the grid: each pixel's value is its own place, so that the result tells where it came from."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from deliveries import GROUND, LAT, LON, Camera, ground, spectra, write_tiff
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.ingest.archive import unpack
from stsfusion.ingest.calibrate import GainsFile, calibration
from stsfusion.ingest.envi import EnviImage, read_header
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.overlay import overlay
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.warp import Terrain, ground_pixel, onto
from stsfusion.sensing.sensor import load_sensor

CAMERA = Camera(150, 130, 10.0)
FLAT = Terrain(height=GROUND)
BASE = 1000.0


def grid_round(lon=LON, lat=LAT, size=100, pixel=10.0):
    """A UTM grid with its middle at a place."""
    (x,), (y,) = transform("EPSG:4326", "EPSG:32650", [lon], [lat])
    half = size * pixel / 2
    return Grid(
        (size, size), pixel, (round(x / pixel) * pixel - half, round(y / pixel) * pixel + half), "EPSG:32650"
    )


def degrees(grid):
    """(y, x) longitude and latitude of the pixel centres."""
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = transform("EPSG:32650", "EPSG:4326", x.ravel(), y.ravel())
    return np.reshape(lon, x.shape), np.reshape(lat, x.shape)


@pytest.fixture
def own_places(tmp_path):
    """An image of two bands: each pixel's sample and line; and its RPC."""
    line, sample = np.mgrid[: CAMERA.lines, : CAMERA.samples].astype(np.float32)
    write_tiff(tmp_path / "a.tif", np.stack([sample, line]) + np.float32(BASE))
    (tmp_path / "a.rpb").write_text(CAMERA.rpb())
    return tmp_path / "a.tif", read_rpb(tmp_path / "a.rpb")


def whole(path, grid, **options):
    with open_raster(path) as raster:
        return onto(raster, grid, (0, grid.shape[0]), (0, grid.shape[1]), **options)


@pytest.mark.parametrize(("kernel", "within"), [("nearest", 0.5001), ("bilinear", 3e-4), ("cubic", 3e-4)])
def test_every_pixel_comes_from_where_its_rpc_looks(own_places, kernel, within):
    path, rational = own_places
    grid = grid_round()
    values, valid = whole(path, grid, rational=rational, terrain=FLAT, kernel=kernel)
    expected = np.stack(rational.pixel(*degrees(grid), GROUND))
    assert valid.all()
    assert np.abs(values - BASE - expected).max() <= within


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("size", [64, 37])
def test_tiles_are_parts_of_the_whole_to_the_last_bit(own_places, kernel, size):
    path, rational = own_places
    grid = grid_round(size=160)
    options = {"rational": rational, "terrain": FLAT, "kernel": kernel}
    values, valid = whole(path, grid, **options)
    assert 0.3 < valid.mean() < 1
    tiled, seen = np.zeros_like(values), np.zeros_like(valid)
    with open_raster(path) as raster:
        for top in range(0, 160, size):
            for left in range(0, 160, size):
                rows, cols = (top, min(top + size, 160)), (left, min(left + size, 160))
                place = (slice(None), slice(*rows), slice(*cols))
                tiled[place], seen[place] = onto(raster, grid, rows, cols, **options)
    assert np.array_equal(tiled, values)
    assert np.array_equal(seen, valid)


@pytest.mark.parametrize("ratio", [2, 3])
def test_tiles_of_a_coarser_grid_are_parts_of_the_whole_too(own_places, ratio):
    path, rational = own_places
    grid = grid_round(size=48, pixel=10.0 * ratio)
    options = {"rational": rational, "terrain": FLAT, "kernel": "average"}
    values, valid = whole(path, grid, **options)
    with open_raster(path) as raster:
        part, seen = onto(raster, grid, (13, 29), (7, 24), **options)
    assert np.array_equal(part, values[:, 13:29, 7:24])
    assert np.array_equal(seen, valid[:, 13:29, 7:24])


def test_some_bands_in_another_order(own_places):
    path, rational = own_places
    grid = grid_round(size=20)
    values, _ = whole(path, grid, rational=rational, terrain=FLAT)
    turned, _ = whole(path, grid, rational=rational, terrain=FLAT, bands=[1, 0])
    assert np.array_equal(turned, values[::-1])


@pytest.mark.parametrize("height", [GROUND, 560.0, 1000.0])
def test_the_stated_height_moves_the_ground(own_places, height):
    path, rational = own_places
    grid = grid_round(size=40)
    values, _ = whole(path, grid, rational=rational, terrain=Terrain(height=height), kernel="bilinear")
    expected = np.stack(rational.pixel(*degrees(grid), height))
    assert np.abs(values - BASE - expected).max() < 3e-4
    level = np.stack(rational.pixel(*degrees(grid), GROUND))
    moved = np.abs(values - BASE - level).max()
    assert moved == pytest.approx((height - GROUND) * np.tan(np.radians(2)) / 10, abs=0.01)


def plane(lon, lat):
    return GROUND + 40_000 * (lon - LON) + 20_000 * (lat - LAT)


def test_an_elevation_model_is_followed(own_places, tmp_path):
    path, rational = own_places
    step, side = 0.0005, 200
    place = rasterio.Affine(step, 0, LON - step * side / 2, 0, -step, LAT + step * side / 2)
    lon = LON + step * (np.arange(side) + 0.5 - side / 2)
    lat = LAT - step * (np.arange(side) + 0.5 - side / 2)
    size = {"width": side, "height": side, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(tmp_path / "heights.tif", "w", driver="GTiff", transform=place, **size) as file:
        file.write(plane(*np.meshgrid(lon, lat)).astype("float32")[None])
    grid = grid_round(size=60)
    terrain = Terrain(model=tmp_path / "heights.tif")
    values, valid = whole(path, grid, rational=rational, terrain=terrain, kernel="bilinear")
    where = degrees(grid)
    assert valid.all()
    assert np.abs(values - BASE - np.stack(rational.pixel(*where, plane(*where)))).max() < 2e-3
    assert np.ptp(plane(*where)) > 100
    with open_raster(path) as raster:
        part, _ = onto(raster, grid, (11, 40), (3, 50), rational=rational, terrain=terrain, kernel="bilinear")
    assert np.array_equal(part, values[:, 11:40, 3:50])


@pytest.mark.parametrize("kernel", ["bilinear", "cubic", "average"])
def test_fill_never_enters_a_kernel(tmp_path, kernel):
    counts = np.full((2, CAMERA.lines, CAMERA.samples), 1000, np.uint16)
    counts[:, 60:70] = 0
    counts[1, :, 50:53] = 0
    write_tiff(tmp_path / "a.tif", counts)
    (tmp_path / "a.rpb").write_text(CAMERA.rpb())
    values, valid = whole(
        tmp_path / "a.tif", grid_round(), rational=read_rpb(tmp_path / "a.rpb"), terrain=FLAT, kernel=kernel
    )
    assert np.allclose(values[valid], 1000, rtol=1e-6)
    assert not values[~valid].any()
    # A band's own gap is no other's.
    assert valid[0].sum() > valid[1].sum() > 0.5 * valid[1].size


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_saturated_counts_never_enter_a_kernel(tmp_path, kind):
    counts = np.full((1, CAMERA.lines, CAMERA.samples), 1000, kind)
    counts[:, ::9, ::9] = 4095
    counts[:, 4::9, ::9] = 4096
    counts[:, 2::9, ::9] = 4094
    write_tiff(tmp_path / "a.tif", counts)
    (tmp_path / "a.rpb").write_text(CAMERA.rpb())
    given = {"rational": read_rpb(tmp_path / "a.rpb"), "terrain": FLAT}
    nearest, valid = whole(tmp_path / "a.tif", grid_round(), **given, kernel="nearest", above=4095)
    assert set(np.unique(nearest)) == {0, 1000, 4094}
    assert np.array_equal(valid, nearest > 0)
    free, _ = whole(tmp_path / "a.tif", grid_round(), **given, kernel="nearest")
    assert set(np.unique(free)) == {1000, 4094, 4095, 4096}
    smooth, valid = whole(tmp_path / "a.tif", grid_round(), **given, kernel="bilinear", above=4095)
    assert smooth[valid].max() <= 4094.001


def test_outside_the_image_there_is_nothing(own_places):
    path, rational = own_places
    grid = grid_round(lon=LON + 0.2, size=30)
    values, valid = whole(path, grid, rational=rational, terrain=FLAT)
    assert not valid.any()
    assert not values.any()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "float32"])
def test_every_kind_of_number_is_warped(tmp_path, kind):
    line, sample = np.mgrid[: CAMERA.lines, : CAMERA.samples]
    write_tiff(tmp_path / "a & <b>.tif", ((sample + line) % 200 + 1)[None].astype(kind))
    (tmp_path / "a.rpb").write_text(CAMERA.rpb())
    rational = read_rpb(tmp_path / "a.rpb")
    values, valid = whole(
        tmp_path / "a & <b>.tif", grid_round(size=30), rational=rational, terrain=FLAT, kernel="nearest"
    )
    assert valid.all()
    assert np.array_equal(values, np.rint(values))


@pytest.mark.parametrize("pixel", [10.0, 30.0])
def test_an_image_on_a_map_is_warped_without_rpc(tmp_path, pixel):
    grid = grid_round(size=60, pixel=pixel)
    x, y = np.meshgrid(grid.x, grid.y)
    place = rasterio.Affine(*grid.transform)
    size = {"width": 60, "height": 60, "count": 2, "dtype": "float64", "crs": "EPSG:32650"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", transform=place, **size) as file:
        file.write(np.stack([x, y]))
    with open_raster(tmp_path / "a.tif") as raster:
        inner = Grid(
            (40, 40), pixel, (grid.origin[0] + 3.3 * pixel, grid.origin[1] - 4.7 * pixel), "EPSG:32650"
        )
        values, valid = onto(raster, inner, (0, 40), (0, 40), kernel="bilinear")
        part, _ = onto(raster, inner, (5, 21), (9, 40), kernel="bilinear")
    assert valid.all()
    expected = np.stack(np.meshgrid(inner.x, inner.y))
    assert np.abs(values - expected).max() < 0.03 * pixel
    assert np.array_equal(part, values[:, 5:21, 9:40])


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("order", [0, 1])
def test_an_envi_image_is_warped_as_it_lies(tmp_path, interleave, order):
    grid = grid_round(size=50)
    rows, cols = np.mgrid[:50, :50]
    counts = np.stack([rows + 1, cols + 1, rows * 50 + cols + 1])
    stored = counts.transpose({"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}[interleave])
    (tmp_path / "a.dat").write_bytes(b"head" + stored.astype(f"{'<>'[order]}i2").tobytes())
    west, north = grid.origin
    (tmp_path / "a.hdr").write_text(
        "ENVI\nsamples = 50\nlines = 50\nbands = 3\nheader offset = 4\ndata type = 2\n"
        f"interleave = {interleave}\nbyte order = {order}\n"
        f"map info = {{UTM, 1, 1, {west}, {north}, 10, 10, 50, North, WGS-84}}\n"
    )
    image = EnviImage(read_header(tmp_path / "a.hdr"))
    values, valid = onto(image, grid, (0, 50), (0, 50), kernel="nearest")
    assert valid.all()
    assert np.array_equal(values, counts)
    part, _ = onto(image, grid, (7, 33), (20, 50), kernel="cubic", bands=[2])
    whole_one, _ = onto(image, grid, (0, 50), (0, 50), kernel="cubic")
    assert np.array_equal(part[0], whole_one[2, 7:33, 20:])
    with pytest.raises(DeliveryError, match="counts in a GeoTIFF"):
        onto(image, grid, (0, 50), (0, 50), above=9)


def test_pixels_on_the_ground(own_places):
    path, rational = own_places
    with open_raster(path) as raster:
        assert ground_pixel(raster, rational, grid_round()) == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("turn", [0.0, 30.0])
def test_pixels_on_the_ground_of_a_map_in_degrees(turn):
    """Against the radii of curvature of the ellipsoid; a turned pixel has the same area."""
    step, sine = 1e-4, math.sin(math.radians(LAT)) ** 2
    cos, sin = step * math.cos(math.radians(turn)), step * math.sin(math.radians(turn))
    place = cos, sin, LON - 100 * step, sin, -cos, LAT + 100 * step
    image = SimpleNamespace(shape=(1, 200, 200), crs="EPSG:4326", transform=place)
    wide = math.radians(step) * 6378137 / math.sqrt(1 - 0.00669438 * sine)
    north = wide * (1 - 0.00669438) / (1 - 0.00669438 * sine)
    expected = math.sqrt(wide * math.cos(math.radians(LAT)) * north)
    assert ground_pixel(image, None, grid_round()) == pytest.approx(expected, rel=2e-3)
    same = replace(grid_round(), crs="EPSG:4326")
    assert ground_pixel(image, None, same) == pytest.approx(step, rel=1e-9)


PEAK = """
import sys
from pathlib import Path
from stsfusion.cube.grid import Grid
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.warp import Terrain, onto
folder, west, north = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
grid = Grid((512, 512), 10.0, (west, north), "EPSG:32650")
seen, rational = 0, read_rpb(folder / "a.rpb")
with open_raster(folder / "a.tif") as raster:
    for top in range(0, 512, 256):
        for left in range(0, 512, 256):
            place = (top, top + 256), (left, left + 256)
            _, valid = onto(raster, grid, *place, rational=rational, terrain=Terrain(height=60.0))
            seen += int(valid.sum())
status = Path("/proc/self/status").read_text().splitlines()
print(next(int(row.split()[1]) / 1024 for row in status if row.startswith("VmHWM")), seen)
"""


def test_memory_does_not_grow_with_the_scene(tmp_path):
    peaks = []
    grid = grid_round(size=512)
    for side in (1200, 2400):
        folder = tmp_path / str(side)
        folder.mkdir()
        write_tiff(folder / "a.tif", np.full((8, side, side), 1000, np.uint16))
        (folder / "a.rpb").write_text(Camera(side, side, 10.0).rpb())
        given = [sys.executable, "-c", PEAK, str(folder), *map(str, grid.origin)]
        done = subprocess.run(given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peak, seen = done.stdout.split()
        assert int(seen) == 8 * 512**2
        peaks.append(float(peak))
    # The larger image is 69 MB larger.
    assert peaks[1] - peaks[0] < 20


def test_what_is_not_said_is_asked_for(own_places, tmp_path):
    path, rational = own_places
    grid = grid_round(size=10)
    for given, match in (
        ({"rational": rational}, "a height or an elevation model"),
        ({}, "an RPC or a reference system"),
        ({"rational": rational, "terrain": Terrain(model=tmp_path / "absent.tif")}, r"absent\.tif"),
    ):
        with pytest.raises(DeliveryError, match=match):
            whole(path, grid, **given)
    (tmp_path / "text.tif").write_text("no heights")
    with pytest.raises(DeliveryError, match=r"a\.tif"):
        whole(path, grid, rational=rational, terrain=Terrain(model=tmp_path / "text.tif"))
    for wrong in ({}, {"height": 1.0, "model": path}):
        with pytest.raises(DeliveryError, match="A height wrong by 100 m"):
            Terrain(**wrong)


def test_the_test_packages_lie_where_the_truth_does(tmp_path, data_folder, capsys):
    """Reflectance on the grid against the ground's formula at the pixels' centres, inside of the images."""
    packages = data_folder / "packages"
    truth = json.loads((packages / "truth.json").read_text())
    names = load_sensor("zy1-02d-vnic").names
    gains = dict(zip(names, truth["vnic_gain_MUX"], strict=True))
    own = {"zy1-02d-vnic": GainsFile(sensor="zy1-02d-vnic", source="-", unit="W m-2 sr-1 um-1", gains=gains)}
    errors = {}
    for archive in sorted(packages.glob("*.tar.gz")):
        home = unpack(archive, tmp_path)
        for product in products(files_below(home, Limits())):
            scene = product_scene(product, home)
            if scene.sensor == "zy1-02d-pan":
                continue
            pixel = 30.0 if scene.sensor == "zy1-02d-ahsi" else 10.0
            season = 0.52 if scene.sensor == "gf6-wfv" else 0.5
            for layer in scene.layers:
                off = _off(home, scene, layer, own.get(scene.sensor), pixel, season)
                errors[f"{scene.sensor} {layer.name}"] = float(np.sqrt(np.mean(off**2)))
    with capsys.disabled():
        print("\nreflectance on the grid, RMSE:", {name: round(error, 5) for name, error in errors.items()})
    assert len(errors) == 6
    assert max(errors.values()) <= 0.003


def _off(home, scene, layer, own, pixel, season):
    rational = read_rpb(home / scene.file("rpc", layer.name).path)
    lon, lat = rational.ground([layer.shape[1] / 2], [layer.shape[0] / 2], GROUND)
    grid = grid_round(lon[0], lat[0], int(1500 // pixel), pixel)
    stored, valid = whole(
        home / scene.file("raster", layer.name).path,
        grid,
        rational=rational,
        terrain=FLAT,
        kernel="cubic",
        above=4095,
    )
    found = calibration(scene, layer, own).reflectance(stored)
    sees = spectra(load_sensor(scene.sensor).pick(layer.bands))
    assert valid.mean() > 0.9
    return (found - np.einsum("kb,kyx->byx", sees, ground(*degrees(grid), season)))[valid]


@pytest.mark.parametrize(("kind", "table"), [("uint8", False), ("uint16", True)])
def test_counts_that_never_reach_saturation_need_no_table(tmp_path, kind, table):
    path = tmp_path / "a.tif"
    place = {"crs": "EPSG:32650", "transform": rasterio.Affine(16, 0, 4e5, 0, -16, 4e6)}
    with rasterio.open(path, "w", driver="GTiff", count=1, height=2, width=3, dtype=kind, **place) as file:
        file.write(np.ones((1, 2, 3), kind))
    with open_raster(path) as raster:
        assert ("<LUT>" in overlay(raster, None, 4095, 0.0)) is table
