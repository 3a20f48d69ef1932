"""From a folder of deliveries to a published series: run, run again, change a delivery, look first."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from small_project import bytes_of, here

sys.path.insert(0, str(Path(__file__).parents[1]))

from deliveries import AHSI, GAINS, VNIC, WFV, deliver, pack

from stsfusion.cube.store import CubeStore
from stsfusion.sensing.sensor import load_sensor

SETTINGS = (
    "fuse.method=gsa",
    "fuse.executor=inline",
    "fit.tiles=2",
    "evaluate={compare: [], coarser: false}",
    "report.pictures=false",
)


def gains_file(folder):
    path = folder / "gains.yaml"
    names = load_sensor("zy1-02d-vnic").names
    said = {"sensor": "zy1-02d-vnic", "source": "a test", "unit": "W m-2 sr-1 um-1"}
    path.write_text(yaml.safe_dump({**said, "gains": dict.fromkeys(names, GAINS["MUX"])}))
    return path


def run(folder, *words):
    settings = (
        *SETTINGS,
        f"scenes={folder}/deliveries",
        f"ingest.gains.zy1-02d-vnic={folder}/gains.yaml",
        f"output={folder}/out",
        "ingest.allow_missing=true",
    )
    sets = [word for text in settings for word in ("--set", text)]
    return here("run", "packages", *sets, *words)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run on three small deliveries, a bad one and what is none: its folder, what it printed."""
    folder = tmp_path_factory.mktemp("packages")
    deliveries = folder / "deliveries"
    deliver(AHSI.but(lines=30, samples=30), deliveries)
    pack(deliver(VNIC.but(lines=90, samples=90), folder / "aside"), folder=deliveries)
    deliver(WFV.but(lines=60, samples=40), deliveries)
    (deliveries / "WFV.tar.gz").write_bytes(b"no archive")
    (deliveries / "terrain.tif").write_bytes(b"no image")
    (deliveries / "empty").mkdir()
    for name in ("README.txt", "desktop.ini", ".DS_Store"):
        (deliveries / name).write_text("x")
    gains_file(folder)
    looked = run(folder, "--dry-run")
    assert looked.exit_code == 0, looked.stderr
    assert not (folder / "out").exists()
    ended = run(folder, "-q")
    assert ended.exit_code == 0, ended.stderr
    return folder, looked.stdout


def test_the_series_opens_with_place_bands_and_provenance(done):
    series = xr.open_zarr(done[0] / "out" / "fused.zarr")
    assert series.rio.crs.to_epsg() == 32650
    assert [str(date)[:10] for date in series.time.values] == ["2021-12-16"]
    sensor = load_sensor("zy1-02d-ahsi")
    assert tuple(series.band.values) == sensor.names
    assert np.allclose(series.wavelength, sensor.wavelengths, atol=1e-3)
    assert float(series.x[1] - series.x[0]) == 10.0
    assert np.isfinite(series.reflectance).mean() > 0.5
    cube = CubeStore(done[0] / "out" / "cubes.zarr").dataset("rich")
    assert series.attrs["quantity"] == cube.attrs["quantity"] == "toa_bidirectional_reflectance"
    assert series.attrs["band_flags"] == cube.attrs["band_flags"]
    assert "water_1900" in series.attrs["band_flags"]["SW50"]
    assert series.attrs["band_order"] == cube.attrs["band_order"]
    scenes = series.attrs["scenes"]
    assert {role: len(days) for role, days in scenes.items()} == {"rich": 1, "sharp": 1, "dense": 1}
    for role, order in (("rich", AHSI), ("dense", WFV)):
        (scene,) = scenes[role][0]
        assert scene["scene"] == order.name
        assert scene["time"].startswith(f"{order.utc:%Y-%m-%dT%H:%M}")
        assert len(scene["sha256"]) >= 64


@pytest.mark.parametrize(("role", "order"), [("rich", AHSI), ("sharp", VNIC), ("dense", WFV)])
def test_the_lineage_of_every_scene_is_whole(done, role, order):
    cube = xr.open_zarr(done[0] / "out" / "cubes.zarr", group=role)
    assert cube.rio.crs.to_epsg() == 32650
    (date,) = cube.attrs["lineage"]
    assert date["date"] == str(cube.time.values[0])[:10]
    (scene,) = date["scenes"]
    assert scene["scene"].removesuffix("-MUX") == order.name
    assert scene["sensor"] == cube.attrs["sensor"]
    home = done[0] / ("aside" if role == "sharp" else "deliveries") / order.name
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in home.iterdir()}
    assert {Path(file["path"]).name: file["sha256"] for file in scene["files"]}.items() <= there.items()
    rasters = {name for name in there if name.endswith((".tif", ".tiff")) and "PAN" not in name}
    assert rasters <= {Path(file["path"]).name for file in scene["files"]}
    assert scene["quantity"] == cube.attrs["quantity"] == "toa_bidirectional_reflectance"
    assert len(scene["steps"]) >= 2
    assert scene["parameters"]["normalise"] == "none"
    assert scene["parameters"]["terrain"] == "at 60 m"
    assert scene["versions"].keys() == {"stsfusion", "rasterio", "gdal", "numpy"}
    assert all(scene["versions"].values())
    assert ("gains" in scene["parameters"]) == (role == "sharp")
    assert ("registration" in scene) == (role != "sharp")
    assert scene["time"].startswith(f"{order.utc:%Y-%m-%dT%H:%M}")
    assert -180 < scene["sun_azimuth"] < 360


def test_a_look_names_scenes_and_what_is_bad(done):
    looked = " ".join(done[1].split())
    assert "rich: zy1-02d-ahsi, 1 date, pixels of 30 m" in looked
    assert "WFV.tar.gz" in looked
    marks = json.loads((done[0] / "out" / ".stsfusion" / "steps.json").read_text())
    (refused,) = marks["cubes"]["intake"]["facts"]["refused"]
    assert "WFV.tar.gz" in refused
    (strange,) = marks["cubes"]["intake"]["facts"]["unrecognised"]
    assert "terrain.tif" in strange
    inputs = CubeStore(done[0] / "out" / "cubes.zarr")
    for role in ("rich", "sharp", "dense"):
        assert inputs.dataset(role).attrs["missing"] == [refused]
    assert "1 delivery is missing" in xr.open_zarr(done[0] / "out" / "fused.zarr").attrs["source"]


def test_a_bad_delivery_stops_the_run_unless_it_may_be_missing(done, tmp_path):
    stopped = run(done[0], "--set", "ingest.allow_missing=false", "--set", f"output={tmp_path}/out")
    assert stopped.exit_code == 2
    said = " ".join(stopped.stderr.split())
    assert "WFV.tar.gz" in said
    assert "ingest.allow_missing=true" in said
    assert not (tmp_path / "out").exists()


def test_what_is_no_delivery_stops_no_run(done, tmp_path):
    folder = tmp_path / "deliveries"
    shutil.copytree(done[0] / "deliveries", folder, copy_function=os.link)
    (folder / "WFV.tar.gz").unlink()
    more = [
        "--set",
        "ingest.allow_missing=false",
        "--set",
        f"scenes={folder}",
        "--set",
        f"output={tmp_path}/out",
    ]
    looked = run(done[0], *more, "--dry-run")
    assert looked.exit_code == 0, looked.stderr
    assert "Not recognised, and left alone: file terrain.tif" in " ".join(looked.stdout.split())
    assert "README" not in looked.stdout
    without = run(done[0], *more, "--set", "roles.sharp=null", "--dry-run")
    assert without.exit_code == 0, without.stderr
    assert "zy1-02d-ahsi, 1 date, pixels of 16 m for its own of 30 m" in " ".join(without.stdout.split())


def test_the_report_tells_of_every_scene_and_of_what_was_refused(done):
    text = (done[0] / "out" / "report.html").read_text()
    assert "From deliveries to cubes" in text
    counts = "1 delivery could not be used", "1 file beside them was not recognised"
    for told in (AHSI.name, WFV.name, *counts, "WFV.tar.gz", "terrain.tif", "Seam of the detectors"):
        assert told in text, told
    assert "1 done, 0 failed, 0 left" in text


def test_running_again_does_nothing(done):
    folder, _ = done
    before = bytes_of(folder / "out")
    (folder / "deliveries" / "notes.txt").write_text("x")
    (folder / "deliveries" / ".DS_Store").write_text("changed")
    again = run(folder)
    assert again.exit_code == 0, again.stderr
    assert "Nothing to do" in again.stdout
    assert bytes_of(folder / "out") == before


def test_what_lacks_is_told(done, tmp_path):
    said = ["--set", f"output={tmp_path}/out", *(word for text in SETTINGS for word in ("--set", text))]
    nothing = here("run", "packages", *said)
    assert nothing.exit_code == 2
    assert "--set scenes=FOLDER" in nothing.stderr
    missing = ["--set", f"scenes={done[0]}/deliveries", "--set", "ingest.allow_missing=true"]
    for words in ([], ["--dry-run"]):
        without = here("run", "packages", *said, *missing, *words)
        assert without.exit_code == 2
        told = " ".join(without.stderr.split())
        assert "--set ingest.gains.zy1-02d-vnic=FILE" in told
        for part in ("sensor: zy1-02d-vnic", "source:", "unit: W m-2 sr-1 um-1", "gains: {B02: …, B03: …,"):
            assert part in told
        assert "neither gains in the delivery nor a public table" in told
    alone = run(done[0], "--set", "roles.sharp=null", "--set", f"output={tmp_path}/out")
    assert alone.exit_code == 2
    assert "Give a cube as 'sharp'" in alone.stderr
    assert not (tmp_path / "out").exists()
    assert os.listdir(tmp_path) == []


def test_a_new_delivery_is_noticed(done):
    folder, _ = done
    later = WFV.but(lines=60, samples=40, number=1120152346, utc=WFV.utc.replace(day=20))
    deliver(later, folder / "deliveries")
    noticed = run(folder, "-q")
    assert noticed.exit_code == 2
    assert "1 new" in " ".join(noticed.stderr.split())
    ended = run(folder, "-q", "--overwrite")
    assert ended.exit_code == 0, ended.stderr
    series = xr.open_zarr(folder / "out" / "fused.zarr")
    assert [str(date)[:10] for date in series.time.values] == ["2021-12-16", "2021-12-20"]
    assert [day[0]["scene"] for day in series.attrs["scenes"]["dense"]] == [
        WFV.name,
        later.name,
    ]
