"""Exported files, read back by programs that know nothing of stores: rasterio, rioxarray, xarray."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5netcdf
import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray
import xarray as xr
from pyproj import CRS
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.cube.generations import Generations
from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import CubeError, StoreError
from stsfusion.export import part as parts
from stsfusion.export.choice import choose
from stsfusion.export.coglayout import check_layout
from stsfusion.export.delivery import deliver
from stsfusion.export.formats import cog, load, names
from stsfusion.window import Window

STEP = 1e-4
HALF = 0.51 * STEP
DAYS = ("2021-12-13T02:58:31.123", "2022-02-13T03:04:29", "2022-02-13T05:04:29")
GRIDS = {
    "north up": Grid((70, 52), 10.0, (398000.0, 4420000.0), "EPSG:32650"),
    "south up": Grid((70, 52), 10.0, (398000.0, 4420000.0), "EPSG:32650", rising=True),
    "south": Grid((70, 52), 30.0, (398000.0, 6420000.0), "EPSG:32721"),
    "degrees": Grid((70, 52), 0.0001, (116.5, 37.5), "EPSG:4326"),
    "local": Grid((70, 52), 2.5, (0.0, 175.0)),
}


def truth(grid, bands=5, dates=3):
    """(time, band, y, x) float64 with every kind of value, in the store's own rows."""
    t, b, y, x = np.indices((dates, bands, *grid.shape))
    values = 0.1 + 0.02 * t + 0.05 * b + 0.003 * y - 0.002 * x
    values[0, 0, 3, 4] = -0.2
    values[0, 1, 3, 4] = 1.9
    return values


def known(grid, bands=5, dates=3):
    """Gaps of each kind: pixels without anything, single bands, a dead band, an empty date."""
    valid = np.ones((dates, bands, *grid.shape), dtype=bool)
    valid[0, :, 10:20, 5:9] = False
    valid[0, 2, 40:, :] = False
    valid[1, 3] = False
    valid[2] = False
    return valid


def make_store(path, grid=GRIDS["north up"], name="", sigma=True, fwhm=True, marks=None, days=DAYS, **said):
    spec = CubeSpec(
        grid,
        tuple(np.asarray(days, "datetime64[ms]").astype(int).tolist()),
        ("B1 blue", "B,2", "red", "nir", "swir"),
        (450.5, 550.25, 665.0, 842.0, 2190.1234),
        (66.0, 36.0, 31.0, 115.0, 180.0) if fwhm else None,
        shard=48,
        inner=24,
        sigma=sigma,
        attributes={
            "title": "A field {test}", "simulated": True, "method": {"name": "gsa"}, "long": "x" * 70_000,
            **said,
        },
        marks=marks or {},
    )  # fmt: skip
    store, values, valid = CubeStore(path), truth(grid), known(grid)
    store.create(name, spec)
    for window in spec.shards():
        at = window.slices
        qa = np.where(valid[at].any(axis=1), 1 + window.dates[0], 0)
        qa[:, :2] |= 8 if marks else 0
        more = {"sigma": np.full(values[at].shape, 0.01 + 0.001 * window.dates[0])} if sigma else {}
        store.write(name, window, values[at], valid[at], qa=qa, **more)
    store.publish()
    return store


@pytest.fixture(params=GRIDS)
def series(request, tmp_path):
    """A store, and what it holds with rows from north to south."""
    grid = GRIDS[request.param]
    store = make_store(tmp_path / "fused.zarr", grid)
    turn = slice(None, None, -1 if grid.rising else 1)
    filled = np.where(known(grid), truth(grid), np.nan)[:, :, turn]
    return store.path, grid, filled


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "fused.zarr").path


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of one inner chunk, so that every export is of many."""
    monkeypatch.setattr(parts, "_BYTES", 1)


def export(path, kind, out, **how):
    overwrite = how.pop("overwrite", False)
    return [one.path for one in deliver(choose(path, **how), load(kind), out, overwrite=overwrite)]


def same(found, expected):
    """Gaps where gaps are, and values within half a step."""
    assert found.shape == expected.shape
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected), initial=0) <= HALF


def test_every_file_is_a_format():
    assert names() == ["cog", "envi", "netcdf"]
    assert all(load(name).title for name in names())
    with pytest.raises(StoreError, match="Did you mean 'netcdf'"):
        load("netcfd")


@pytest.mark.parametrize("kind", ["cog", "envi"])
def test_images_come_back_by_rasterio(series, tmp_path, kind):
    path, grid, expected = series
    files = [f for f in export(path, kind, tmp_path / "out", qa=False) if f.suffix != ".hdr"]
    assert len(files) == 3
    for date, file in enumerate(files):
        with rasterio.open(file) as image:
            raw = image.read(masked=True)
            same(raw.astype(float).filled(np.nan) * STEP, expected[date])
            if grid.crs is not None:
                assert CRS(image.crs.to_wkt()).equals(CRS(grid.crs), ignore_axis_order=True)
            else:  # GDAL makes something up where ENVI says 'Arbitrary'
                assert image.crs is None or image.crs.to_wkt().startswith("LOCAL_CS")
            left, _, _, top = grid.bounds
            assert image.transform.almost_equals(
                rasterio.Affine(grid.pixel, 0, left, 0, -grid.pixel, top), 1e-9
            )
            assert image.nodata == -32768
            assert image.dtypes == ("int16",) * 5
            centres = [float(image.tags(b, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) for b in image.indexes]
            widths = [float(image.tags(b, ns="IMAGERY")["FWHM_UM"]) for b in image.indexes]
            near = 1e-9 if kind == "cog" else 6e-4  # GDAL gives three digits of what an ENVI header says
            assert centres == pytest.approx([0.4505, 0.55025, 0.665, 0.842, 2.1901234], abs=near)
            assert widths == pytest.approx([0.066, 0.036, 0.031, 0.115, 0.18], abs=near)
            assert [float(image.tags(b)["wavelength"]) for b in (1, 5)] == [450.5, 2190.1234]
            assert {image.tags(b)["wavelength_units"] for b in image.indexes} == {"Nanometers"}


def test_geotiffs_tell_scale_time_and_dead_bands(store, tmp_path):
    files = export(store, "cog", tmp_path / "out", qa=False)
    assert [f.name for f in files] == [
        "fused_20211213T025831.tif", "fused_20220213T030429.tif", "fused_20220213T050429.tif"
    ]  # fmt: skip
    with rasterio.open(files[1]) as image:
        assert (image.scales, image.offsets, image.units) == ((STEP,) * 5, (0.0,) * 5, ("1",) * 5)
        assert image.descriptions == ("B1 blue", "B,2", "red", "nir", "swir")
        assert [image.tags(b)["bbl"] for b in image.indexes] == ["1", "1", "1", "0", "1"]
        tags = image.tags()
        assert tags["TIFFTAG_DATETIME"] == "2022:02:13 03:04:29"
        assert tags["acquisition_time"] == "2022-02-13T03:04:29.000Z"
        assert json.loads(tags["stsfusion_method"]) == {"name": "gsa"}
        assert tags["stsfusion_title"] == "A field {test}"
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    with rasterio.open(files[2]) as image:  # nothing is known of this date: no band is worse than others
        assert {image.tags(b)["bbl"] for b in image.indexes} == {"1"}


def test_bands_that_are_flagged_as_poor_are_told_to_be_bad(tmp_path):
    flags = {"B1 blue": ["edge_noise"], "red": ["inferred"], "swir": ["inferred", "water_1900"]}
    path = make_store(tmp_path / "fused.zarr", band_flags=flags).path
    expected = [["0", "1", "1", "1", "0"], ["0", "1", "1", "0", "0"], ["0", "1", "1", "1", "0"]]
    for file, bands in zip(export(path, "cog", tmp_path / "cog", qa=False), expected, strict=True):
        with rasterio.open(file) as image:
            assert [image.tags(b)["bbl"] for b in image.indexes] == bands
    headers = [f for f in export(path, "envi", tmp_path / "envi", qa=False) if f.suffix == ".hdr"]
    for file, bands in zip(headers, expected, strict=True):
        assert f"bbl = {{{', '.join(bands)}}}" in file.read_text()


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_geotiffs_come_back_by_rioxarray(series, tmp_path):
    path, _, expected = series
    for date, file in enumerate(export(path, "cog", tmp_path / "out", qa=False)):
        with rioxarray.open_rasterio(file, mask_and_scale=True) as image:
            same(image.values.astype(float), expected[date])


def test_headers_of_envi_say_everything(store, tmp_path):
    files = export(store, "envi", tmp_path / "out")
    text = next(f for f in files if f.name == "fused_20220213T030429.hdr").read_text()
    said = dict(line.split(" = ", 1) for line in text.splitlines()[1:])
    assert said["wavelength"] == "{450.5, 550.25, 665, 842, 2190.1234}"
    assert said["fwhm"] == "{66, 36, 31, 115, 180}"
    assert said["wavelength units"] == "Nanometers"
    assert said["bbl"] == "{1, 1, 1, 0, 1}"
    assert said["map info"] == "{UTM, 1, 1, 398000, 4420000, 10.0, 10.0, 50, North, WGS-84, units=Meters}"
    assert said["coordinate system string"].startswith('{PROJCS["WGS_1984_UTM_Zone_50N"')
    assert (said["data ignore value"], said["reflectance scale factor"]) == ("-32768", "10000")
    assert said["acquisition time"] == "2022-02-13T03:04:29.000Z"
    assert said["band names"] == "{B1 blue, B 2, red, nir, swir}"
    assert said["description"] == "{A field test : reflectance}"
    assert (said["interleave"], said["data type"], said["byte order"]) == ("bil", "2", "0")
    size = 70 * 52 * 5 * 2
    assert next(f for f in files if f.name == "fused_20220213T030429.dat").stat().st_size == size


def test_headers_of_envi_say_where_their_numbers_are_from(tmp_path):
    day = [{"scene": "GF6 {1}", "quantity": "toa_bidirectional_reflectance"}]
    said = {
        "sensor": "gf6-wfv", "quantity": "mixed, see lineage",
        "recipe": "field.yaml", "inputs_sha256": "ab12",
        "lineage": [{"date": "2022-02-13", "scenes": day}, {"date": "2022-02-14", "scenes": []}],
    }  # fmt: skip
    path = make_store(tmp_path / "cubes.zarr", **said).path
    texts = {
        file.name: file.read_text() for file in export(path, "envi", tmp_path / "out") if ".hdr" in file.name
    }
    one = next(text for name, text in texts.items() if name.startswith("cubes_20220213"))
    rows = dict(line.split(" = ", 1) for line in one.splitlines()[1:])
    assert rows["sensor type"] == "gf6-wfv"
    assert rows["quantity"] == "mixed see lineage"
    assert (rows["recipe"], rows["inputs sha256"]) == ("field.yaml", "ab12")
    assert rows["scenes"] == "{GF6 1 toa_bidirectional_reflectance}"
    assert sum("scenes = " in text for text in texts.values()) == sum("20220213" in name for name in texts)


def test_envi_is_read_by_our_own_reader_too(store, tmp_path):
    from stsfusion.ingest.envi import EnviImage, read_header

    file = export(store, "envi", tmp_path / "out", qa=False)[1]
    header = read_header(file)
    assert header.scale == pytest.approx(STEP)
    counts = EnviImage(header).read()
    grid = GRIDS["north up"]
    expected = np.where(known(grid), truth(grid), np.nan)[0]
    same(np.where(counts == -32768, np.nan, counts * header.scale), expected)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_netcdf_comes_back_by_xarray(series, tmp_path):
    path, grid, expected = series
    (file,) = export(path, "netcdf", tmp_path / "out", sigma=True)
    with xr.open_dataset(file, engine="h5netcdf", decode_coords="all") as found:
        assert found["reflectance"].dims == ("time", "band", "y", "x")
        same(found["reflectance"].values.astype(float), expected)
        assert list(found["time"].values) == list(pd.to_datetime(list(DAYS), format="ISO8601").values)
        assert found["wavelength"].values.tolist() == [450.5, 550.25, 665.0, 842.0, 2190.1234]
        assert found["wavelength"].attrs["units"] == "nm"
        assert found["fwhm"].values.tolist() == [66.0, 36.0, 31.0, 115.0, 180.0]
        assert found["band"].values.tolist() == ["B1 blue", "B,2", "red", "nir", "swir"]
        assert found["y"].values == pytest.approx(np.sort(grid.y)[::-1], abs=1e-9 * abs(grid.y).max())
        assert found["x"].values == pytest.approx(grid.x)
        assert found.rio.crs == (None if grid.crs is None else rasterio.CRS.from_user_input(grid.crs))
        assert np.nanmax(abs(found["sigma"].values[1] - 0.011)) <= 0.51e-5
        assert np.array_equal(np.isnan(found["sigma"]), np.isnan(expected))
        assert found["qa"].dtype == np.uint16
        assert found.attrs["title"] == "A field {test}"
        assert len(found.attrs["long"]) == 70_000


def test_netcdf_follows_the_conventions(tmp_path):
    path = make_store(tmp_path / "fused.zarr", marks={"cloud": 8}).path
    (file,) = export(path, "netcdf", tmp_path / "out", sigma=True)
    with h5netcdf.File(file, "r") as found:
        assert found.attrs["Conventions"] == "CF-1.11"
        cube = found["reflectance"]
        assert cube.dtype == np.int16
        assert (cube.attrs["_FillValue"], cube.attrs["scale_factor"], cube.attrs["units"]) == (
            -32768, STEP, "1",
        )  # fmt: skip
        assert cube.attrs["coordinates"].split() == ["wavelength", "fwhm"]
        mapping = found[cube.attrs["grid_mapping"]].attrs
        assert mapping["grid_mapping_name"] == "transverse_mercator"
        assert 'PROJCRS["WGS 84 / UTM zone 50N"' in mapping["crs_wkt"]
        assert mapping["GeoTransform"].split()[0] == "398000.0"
        assert {found[a].attrs["standard_name"] for a in ("time", "wavelength", "y", "x")} == {
            "time", "radiation_wavelength", "projection_y_coordinate", "projection_x_coordinate",
        }  # fmt: skip
        flags = found["qa"].attrs
        assert flags["flag_meanings"].split()[-2:] == ["filled", "cloud"]
        assert list(flags["flag_masks"]) == [7] * 6 + [8]
        assert flags["flag_masks"].dtype == found["qa"].dtype
        assert (found["qa"][0, :2] & 8 == 8).all()
        assert cube.chunks[0] == 1


def test_netcdf_is_read_by_gdal(store, tmp_path):
    (file,) = export(store, "netcdf", tmp_path / "out")
    with rasterio.open(f"netcdf:{file}:reflectance") as image:
        assert image.count == 15
        assert image.crs == rasterio.CRS.from_epsg(32650)
        assert image.transform == rasterio.Affine(10, 0, 398000, 0, -10, 4420000)
        raw = image.read(5, masked=True).astype(float).filled(np.nan)
        same(raw * STEP, np.where(known(GRIDS["north up"]), truth(GRIDS["north up"]), np.nan)[0, 4])


@pytest.mark.parametrize("kind", ["cog", "envi"])
def test_sigma_and_qa_lie_beside(tmp_path, kind):
    path = make_store(tmp_path / "fused.zarr", marks={"cloud": 8}).path
    files = export(path, kind, tmp_path / "out", sigma=True)
    end = ".tif" if kind == "cog" else ".dat"
    with rasterio.open(tmp_path / "out" / f"fused_20220213T030429_sigma{end}") as image:
        found = image.read(masked=True)
        assert (found.dtype, image.nodata) == (np.uint16, 65535)
        assert np.ma.allclose(found * 1e-5, 0.011, atol=0.51e-5)
        assert np.array_equal(np.ma.getmaskarray(found), ~known(GRIDS["north up"])[1])
    with rasterio.open(tmp_path / "out" / f"fused_20211213T025831_qa{end}") as image:
        qa = image.read(1)
        some = known(GRIDS["north up"])[0].any(axis=0)
        assert np.array_equal(qa & 7, some.astype(int))
        assert (qa[:2] & 8 == 8).all()
        assert image.nodata is None
        if kind == "cog":
            assert image.tags(1)["flag_meanings"].split()[-1] == "cloud"
            assert image.tags(1)["flag_masks"] == "7,7,7,7,7,7,8"
    assert len(files) == 9 * (1 if kind == "cog" else 2)


def test_parts_are_cut_out(series, tmp_path):
    path, grid, expected = series
    left, bottom, right, top = grid.bounds
    p = grid.pixel
    area = (left + 7.5 * p, bottom + 13.5 * p, right - 3.5 * p, top - 20.5 * p)  # touched pixels are taken
    cut = expected[:, :, 20:-13, 7:-3]
    (file,) = export(path, "netcdf", tmp_path / "nc", area=area, dates=["2022-02"])
    with xr.open_dataset(file, engine="h5netcdf") as found:
        same(found["reflectance"].values.astype(float), cut[1:])
        assert found["x"].values[0] == pytest.approx(left + 7.5 * p)
        assert found["y"].values[0] == pytest.approx(top - 20.5 * p)
    files = export(path, "cog", tmp_path / "cog", area=area, dates=["2021-12-13", "2022-02-13/2022-02"])
    assert len(files) == 6
    with rasterio.open(files[0]) as image:
        same(image.read(masked=True).astype(float).filled(np.nan) * STEP, cut[0])
        assert image.bounds == pytest.approx((left + 7 * p, bottom + 13 * p, right - 3 * p, top - 20 * p))


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ({"dates": ["2023"]}, StoreError, r"dates of \S+, got none there"),
        ({"dates": ["spring"]}, StoreError, "expected YYYY-MM-DD"),
        ({"dates": ["2022/"]}, StoreError, "an end of the span is missing"),
        ({"area": (0, 0, 10, 10)}, CubeError, "overlap"),
        ({"area": (float("nan"),) * 4}, CubeError, "four numbers"),
        ({"area": (399000, 4420000, 398000, 4421000)}, CubeError, "overlap"),
        ({"name": "rich"}, StoreError, "expected a dataset 'rich'"),
    ],
)
def test_impossible_wishes_are_told(store, how, error, match):
    with pytest.raises(error, match=match):
        choose(store, **how)


def test_stores_without_what_is_asked_are_told(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        choose(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(StoreError, match="nothing published"):
        choose(tmp_path / "empty.zarr")
    plain = make_store(tmp_path / "fused.zarr", sigma=False).path
    with pytest.raises(StoreError, match="standard deviation"):
        choose(plain, sigma=True)


def test_a_store_of_several_is_asked_by_name(tmp_path):
    path = make_store(tmp_path / "cubes.zarr", name="rich").path
    assert choose(path).name == "rich"
    make_store(path, name="sharp", fwhm=False)
    with pytest.raises(StoreError, match="'rich', 'sharp'"):
        choose(path)
    files = export(path, "cog", tmp_path / "out", name="sharp", dates=["2021-12"], qa=False)
    assert [f.name for f in files] == ["cubes-sharp_20211213T025831.tif"]
    with rasterio.open(files[0]) as image:
        assert "FWHM_UM" not in image.tags(1, ns="IMAGERY")


def test_days_alone_name_files_where_they_can(tmp_path):
    path = make_store(tmp_path / "fused.zarr", days=("2021-12-13T02:58:31", "2021-12-14", "2021-12-15")).path
    assert choose(path, dates=["2021-12-14"]).labels() == ["20211214"]
    path = make_store(tmp_path / "quick.zarr", days=("2021-12-13T02:58:31.1", *DAYS[:1], DAYS[2])).path
    assert choose(path).labels()[:2] == ["20211213T025831100", "20211213T025831123"]
    assert choose(path).times()[1] == datetime(2021, 12, 13, 2, 58, 31, 123000, tzinfo=UTC)


def test_files_that_are_there_stay(store, tmp_path):
    out = tmp_path / "out"
    first = export(store, "cog", out)
    (out / "mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(StoreError, match=r"fused_20211213T025831\.tif and 5 more"):
        export(store, "cog", out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    first[0].write_bytes(b"old")
    export(store, "cog", out, overwrite=True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(StoreError, match="expected a folder"):
        export(store, "cog", out / "mine.txt")


@pytest.mark.parametrize("kind", ["cog", "envi", "netcdf"])
def test_a_broken_export_leaves_nothing(store, tmp_path, monkeypatch, kind):
    reads = []
    read = CubeStore.read

    def failing(self, name, window, **how):
        reads.append(window)
        if len(reads) > 8:
            raise OSError(28, "No space left on device")
        return read(self, name, window, **how)

    monkeypatch.setattr(CubeStore, "read", failing)
    with pytest.raises(StoreError, match="No space left on device"):
        export(store, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()


FULL = """
import resource, sys
from pathlib import Path
from stsfusion.errors import StoreError
from stsfusion.export.choice import choose
from stsfusion.export.delivery import deliver
from stsfusion.export.formats import load
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kind = load(sys.argv[1])
part = choose(Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    deliver(part, kind, Path(sys.argv[3]))
except StoreError as error:
    print("told:", error)
"""


@pytest.mark.parametrize(("kind", "limit"), [("cog", 30_000), ("envi", 9000)])
def test_a_file_that_cannot_grow_is_told_and_leaves_nothing(store, tmp_path, kind, limit):
    words = [sys.executable, "-c", FULL, kind, str(store), str(tmp_path / "out"), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.startswith("told: "), done.stdout + done.stderr[-1500:]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["cog", "envi", "netcdf"])
def test_the_end_of_the_disk_is_seen_before_it_is_met(store, tmp_path, monkeypatch, kind):
    looks = []

    def usage(path):
        looks.append(path)
        return shutil._ntuple_diskusage(2**40, 2**40, 2**30 if len(looks) < 4 else 2**20)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(StoreError, match=r"64 MiB free .*, got 1 MiB, with \d+% written"):
        export(store, kind, tmp_path / "out")
    assert len(looks) == 4
    assert not (tmp_path / "out").exists()


def renewed(path, **said):
    """Another series takes the place of one, as a run that replaces it does."""
    made = make_store(path.with_name(".fused-next.zarr"), **said).path
    Generations(path, path.parent / "before").succeed(made)


@pytest.mark.parametrize("kind", ["cog", "envi", "netcdf"])
def test_a_series_that_is_replaced_meanwhile_is_not_mixed_with_the_next(store, tmp_path, kind):
    part, out, done = choose(store), tmp_path / "out", []

    def watch(share, note):
        if not done and share > 0.3:
            renewed(store, grid=GRIDS["south"], sigma=False)
            done.append(share)

    with pytest.raises(StoreError, match=r"(?s)the series with which the export began.*Export it again"):
        deliver(part, load(kind), out, watch=watch)
    assert done[0] < 1, "it was replaced in the midst"
    assert not out.exists() or not any(out.iterdir())


def test_dates_that_are_added_meanwhile_disturb_no_export(store, tmp_path):
    expected = [path.read_bytes() for path in export(store, "cog", tmp_path / "before")]
    part, series = choose(store), CubeStore(store)
    late = int(np.datetime64("2099-01-01", "ms").astype(int))
    spec = series.extend("", [late])
    for window in (w for w in spec.shards() if w.dates[0] == 3):
        shape = (1, 5, *window.shape[1:])
        series.write("", window, np.full(shape, 0.5), np.ones(shape, bool))
    series.publish()
    assert part.stands
    files = deliver(part, load("cog"), tmp_path / "after")
    assert [one.path.read_bytes() for one in files] == expected


def test_a_file_that_lost_something_is_not_delivered(store, tmp_path, monkeypatch):
    def lossy(source, target, **options):
        with rasterio.open(source, "r+") as file:
            file.write(np.zeros((5, 1, 1), np.int16), window=rasterio.windows.Window(51, 69, 1, 1))
        copy(source, target, **options)

    copy = cog.copy
    monkeypatch.setattr(cog, "copy", lossy)
    with pytest.raises(StoreError, match=r"rows \(48, 70\), columns \(48, 52\)"):
        export(store, "cog", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_export_left_is_swept(store, tmp_path):
    import socket

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    out = tmp_path / "out"
    left = out / f".export-{socket.gethostname()}-{gone.pid}-abc"
    other = out / f".export-elsewhere-{gone.pid}-abc"
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "fused.nc").write_bytes(b"half")
    export(store, "netcdf", out)
    assert sorted(path.name for path in out.iterdir()) == [other.name, "fused.nc"]


@pytest.mark.parametrize("kind", ["cog", "envi", "netcdf"])
def test_exporting_twice_gives_the_same_bytes(store, tmp_path, kind):
    one = export(store, kind, tmp_path / "one")
    two = export(store, kind, tmp_path / "two")
    assert [a.read_bytes() for a in one] == [b.read_bytes() for b in two]


@pytest.mark.parametrize("kind", ["cog", "envi", "netcdf"])
def test_blocks_leave_no_trace(store, tmp_path, monkeypatch, kind):
    small = export(store, kind, tmp_path / "small", area=(398105, 4419405, 398405, 4419905))
    monkeypatch.setattr(parts, "_BYTES", 2**25)
    large = export(store, kind, tmp_path / "large", area=(398105, 4419405, 398405, 4419905))
    for a, b in zip(small, large, strict=True):
        if kind == "netcdf":  # its chunks are the blocks
            with xr.open_dataset(a, engine="h5netcdf") as one, xr.open_dataset(b, engine="h5netcdf") as two:
                xr.testing.assert_identical(one, two)
        else:
            assert a.read_bytes() == b.read_bytes()


def test_only_what_is_read_through_the_store_is_needed(store, tmp_path, monkeypatch):
    """A store that keeps its pixels otherwise serves as well: nothing looks at its files."""
    expected = [f.read_bytes() for f in export(store, "cog", tmp_path / "one", sigma=True)]
    asked = []
    frame, everything = CubeStore(store).spec(), Window.whole(3, 70, 52)
    held = CubeStore(store).read("", everything)
    qa, sigma = CubeStore(store).read_qa("", everything), CubeStore(store).read_sigma("", everything)
    at = lambda w: (slice(*w.dates), slice(*w.rows), slice(*w.cols))  # noqa: E731

    def read(self, name, window, **how):
        asked.append(window)
        return held[0][window.slices], held[1][window.slices]

    monkeypatch.setattr(CubeStore, "read", read)
    monkeypatch.setattr(CubeStore, "read_qa", lambda self, name, window: qa[at(window)])
    monkeypatch.setattr(CubeStore, "read_sigma", lambda self, name, window: sigma[window.slices])
    monkeypatch.setattr(CubeStore, "spec", lambda self, name, **how: frame)
    for folder in store.iterdir():
        if folder.name in ("reflectance", "sigma", "qa", "valid"):
            folder.rename(tmp_path / folder.name)
    assert [f.read_bytes() for f in export(store, "cog", tmp_path / "two", sigma=True)] == expected
    assert max(w.shape[1] for w in asked) == 24  # one inner chunk, never more


def test_small_tiles_alone_bring_no_overviews(tmp_path, monkeypatch):
    monkeypatch.setattr(cog, "_TILES", (128,))
    path = make_store(tmp_path / "wide.zarr", replace(GRIDS["north up"], shape=(60, 300))).path
    with rasterio.open(export(path, "cog", tmp_path / "out")[0]) as file:
        assert file.block_shapes[0] == (128, 128)
        assert file.overviews(1) == []


def test_large_images_are_cloud_optimised(tmp_path):
    grid = Grid((1100, 700), 10.0, (398000.0, 4420000.0), "EPSG:32650")
    spec = CubeSpec(grid, (1639364311000,), ("b",), (500.0,), shard=384, inner=96)
    store, dice = CubeStore(tmp_path / "fused.zarr"), np.random.default_rng(0)
    values = dice.uniform(0, 1, (1, 1, *grid.shape)).astype(np.float32)
    values[..., 300:340, 100:140] = 0
    valid = values > 0
    store.create("", spec)
    for window in spec.shards():
        store.write("", window, values[window.slices], valid[window.slices])
    store.publish()
    file, qa = export(store.path, "cog", tmp_path / "out")
    check_layout(file)
    check_layout(qa)
    with rasterio.open(file) as image:
        assert image.overviews(1) == [2, 4]
        assert image.block_shapes == [(512, 512)]
        half = image.read(1, out_shape=(550, 350), masked=True)
        mean = np.where(valid, values, np.nan)[0, 0].reshape(550, 2, 350, 2)
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(mean[:140], axis=(1, 3))
        assert np.ma.allclose(half[:140] * STEP, mean, atol=1.1 * STEP)
        assert np.ma.getmaskarray(half)[151:169, 51:69].all()
    with rasterio.open(qa) as image:
        assert set(np.unique(image.read(1, out_shape=(275, 175)))) == {0, 1}


@pytest.mark.parametrize("fault", ["strips", "no overviews", "overviews behind"])
def test_other_layouts_are_seen(tmp_path, fault):
    path = tmp_path / "a.tif"
    tiles = {} if fault == "strips" else {"tiled": True, "blockxsize": 256, "blockysize": 256}
    profile = {"driver": "GTiff", "width": 700, "height": 700, "count": 1, "dtype": "int16", **tiles}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 5, 0, -10, 5), **profile) as file:
        file.write(np.ones((1, 700, 700), np.int16))
    if fault == "overviews behind":
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2], rasterio.enums.Resampling.average)
    words = {"strips": "no tiles", "no overviews": "no overviews", "overviews behind": "behind tiles"}
    with pytest.raises(StoreError, match=words[fault]):
        check_layout(path)


def call(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_the_command_writes_beside_the_store(store):
    done = call(store, "--format", "cog", "--dates", "2022-02", "--no-qa", "--quiet")
    assert done.exit_code == 0, done.output
    files = sorted(path.name for path in (store.parent / "fused-cog").iterdir())
    assert files == ["fused_20220213T030429.tif", "fused_20220213T050429.tif"]
    assert all(name in done.stdout for name in files)
    assert done.stderr == ""


def test_the_command_speaks_json_and_shows_progress(store, tmp_path):
    words = (store, "--format", "netcdf", "--out", tmp_path / "o", "--area", "398000,4419800,398200,4420000")
    done = call(*words, "--json")
    said = json.loads(*done.stdout.splitlines())
    assert said["code"] == 0
    assert said["dates"] == ["2021-12-13T02:58:31Z", "2022-02-13T03:04:29Z", "2022-02-13T05:04:29Z"]
    assert said["shape"] == {"band": 5, "y": 20, "x": 20}
    assert [Path(one["file"]).stat().st_size for one in said["files"]] == [said["files"][0]["bytes"]]
    assert "Exporting: done" in done.stderr


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--format", "png"), "Known: cog, envi, netcdf"),
        (("--format", "cog", "--dates", "1999"), "There are: 2021-12-13"),
        (("--format", "cog", "--area", "1,2,3"), "no area such as"),
        (("--format", "cog", "--area", "nan,nan,nan,nan"), "no area such as"),
        (("--format", "cog", "--area", "0,0,inf,10"), "no area such as"),
        (("--format", "cog", "--sigma"), None),
    ],
)
def test_the_command_ends_with_two_when_it_cannot(store, words, match):
    done = call(store, *words, "--quiet")
    assert done.exit_code == (2 if match else 0)
    assert match is None or match in done.stderr


def test_progress_never_goes_back(store, tmp_path):
    for kind in names():
        shares = []
        deliver(
            choose(store), load(kind), tmp_path / kind, watch=lambda share, note, s=shares: s.append(share)
        )
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1.0)
