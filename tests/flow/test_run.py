"""The whole way, on a user's own cubes: run, run again, kill and resume, refuse."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import xarray as xr
import yaml
from small_project import bytes_of, here, stsfusion


def ledger_rows(out):
    with closing(sqlite3.connect(out / ".stsfusion" / "ledger.sqlite")) as database:
        return database.execute(
            "SELECT key, state, clock, worker, record FROM keys ORDER BY place"
        ).fetchall()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_project):
    """A run that nothing disturbed: its folder and what it printed."""
    recipe = write_project(tmp_path_factory.mktemp("whole"))
    done = stsfusion("run", recipe, "--set", "report.pictures=true")
    assert done.returncode == 0, done.stderr
    return recipe.parent / "out", done


def test_a_run_leaves_a_series_that_opens_in_xarray(whole):
    out, done = whole
    series = xr.open_zarr(out / "fused.zarr")
    assert dict(series.sizes) == {"time": 5, "band": 20, "y": 72, "x": 72}
    assert {"reflectance", "valid", "qa"} <= set(series)
    assert (
        series.spatial_ref.attrs["crs_wkt"].startswith("PROJCRS")
        or "UTM" in series.spatial_ref.attrs["crs_wkt"]
    )
    np.testing.assert_allclose(series.wavelength, np.linspace(420, 980, 20))
    np.testing.assert_allclose(series.x[[0, -1]], [500_005.0, 500_715.0])
    assert series.attrs["method"]["name"] == "gsa"
    assert series.attrs["simulated"] is False
    assert "xarray.open_zarr" in done.stdout
    assert (out / "report.html").stat().st_size > 10_000
    scores = json.loads((out / "scores.json").read_text())
    assert {row["role"] for row in scores["without_truth"]} == {"rich", "sharp", "dense"}


def test_the_same_command_again_does_nothing(whole):
    out, _ = whole
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "lock" not in p.name}
    again = here("run", out.parent / "small.yaml", "--set", "report.pictures=true")
    assert again.exit_code == 0
    assert "Nothing to do" in again.stdout
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "lock" not in p.name}


def interrupt(recipe, sign, after=6):
    """Start a run and send it a signal in the middle of fusing; gives its exit code and the ledger then."""
    out = recipe.parent / "out"
    command = [sys.executable, "-m", "stsfusion.cli", "run", str(recipe), "--quiet"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        if (out / ".stsfusion" / "ledger.sqlite").exists():
            try:
                done = [row for row in ledger_rows(out) if row[1] == "done"]
            except sqlite3.OperationalError:
                done = []
            if len(done) >= after:
                run.send_signal(sign)
                break
        time.sleep(0.01)
    code = run.wait(timeout=60)
    return code, [row for row in ledger_rows(out) if row[1] == "done"]


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 75)])
def test_stopped_and_run_again_gives_the_same_bytes(whole, write_project, tmp_path, sign, code):
    recipe = write_project(tmp_path)
    got, done = interrupt(recipe, sign)
    assert got == code
    assert 6 <= len(done) < 36, "the signal did not strike in the middle of fusing"
    out = tmp_path / "out"
    assert not (out / "fused.zarr").exists(), "readers saw a series that was half made"
    again = here("run", recipe)
    assert again.exit_code == 0, again.stderr
    after = {row[0]: row for row in ledger_rows(out)}
    assert all(after[row[0]] == row for row in done), "a finished tile was done again"
    assert bytes_of(out / "fused.zarr") == bytes_of(whole[0] / "fused.zarr")


def test_two_worker_processes_write_the_same_bytes(whole, write_project, tmp_path):
    recipe = write_project(tmp_path)
    done = here("run", recipe, "--set", "fuse.executor=local", "--set", "fuse.workers=2")
    assert done.exit_code == 0, done.stderr
    workers = {row[3] for row in ledger_rows(tmp_path / "out")}
    assert len(workers) == 2
    assert f":{os.getpid()}" not in str(workers)
    assert bytes_of(tmp_path / "out" / "fused.zarr") == bytes_of(whole[0] / "fused.zarr")


def test_other_tiles_give_the_same_values(whole, write_project, tmp_path):
    recipe = write_project(tmp_path)
    done = here("run", recipe, "--set", "fuse.tile=36", "--set", "fuse.shard=12", "-q")
    assert done.exit_code == 0, done.stderr
    one, other = (xr.open_zarr(folder / "fused.zarr").reflectance for folder in (whole[0], tmp_path / "out"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1.01e-4)


def test_dates_and_area(write_project, tmp_path):
    recipe = write_project(tmp_path)
    options = ("--dates", "2022-03", "--area", "500100,3999500,500400,3999800", "-q")
    done = here("run", recipe, *options)
    assert done.exit_code == 0, done.stderr
    series = xr.open_zarr(tmp_path / "out" / "fused.zarr")
    assert [str(t)[:10] for t in series.time.values] == ["2022-03-01", "2022-03-17"]
    assert float(series.x.min()) <= 500_105
    assert float(series.x.max()) >= 500_395
    assert series.sizes["x"] < 72


def test_a_dry_run_leaves_nothing(write_project, tmp_path):
    recipe = write_project(tmp_path)
    done = here("run", recipe, "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert "36 of 12 × 12 pixels" in done.stdout
    assert not (tmp_path / "out").exists()


def rewrite(recipe, **changes):
    data = yaml.safe_load(recipe.read_text())
    data.update(changes)
    recipe.write_text(yaml.safe_dump(data, sort_keys=False))


def spoil(recipe, role, change):
    """Rewrite one of the cubes after a change."""
    path = recipe.parent / f"{role}.nc"
    cube = xr.load_dataset(path, engine="h5netcdf")
    path.unlink()
    change(cube).to_netcdf(path, engine="h5netcdf")


def two_of_a_day(cube):
    times = cube.time.values.copy()
    times[1] = times[0]
    return cube.assign_coords(time=times)


def bare_nan(cube):
    cube["reflectance"] = cube.reflectance.where(cube.x > cube.x[3])
    cube.reflectance.encoding = {"_FillValue": None}
    return cube


BAD = {
    "a misspelt key": (lambda r: rewrite(r, fues={}), "Did you mean 'fuse'"),
    "a misspelt setting": (
        lambda r: rewrite(r, fuse={"method": {"name": "gsa", "rigde": 1}}),
        "line .*rigde(.|\n)*'ridge'",
    ),
    "a wrong type": (lambda r: rewrite(r, fuse={"method": "gsa", "tile": "large"}), "tile.*integer"),
    "no such method": (lambda r: rewrite(r, fuse={"method": "gsaa"}), "Did you mean 'gsa'"),
    "a missing file": (lambda r: (r.parent / "sharp.nc").unlink(), "sharp.nc"),
    "too little memory": (
        lambda r: rewrite(r, fuse={"method": "gsa", "tile": 12, "executor": "inline", "budget": "10 MB"}),
        "at most 0.01 GiB",
    ),
    "a missing role": (lambda r: rewrite(r, cubes={"rich": "rich.nc", "dense": "dense.nc"}), "'gsa'.*sharp"),
    "bands of another sensor": (lambda r: rewrite(r, roles={"sharp": "zy1-02d-vnic"}), "zy1-02d-vnic.*'a'"),
    "NaN that nobody declared": (lambda r: spoil(r, "rich", bare_nan), "NaN"),
    "two images of a day": (lambda r: spoil(r, "dense", two_of_a_day), "date|time|day"),
    "unsorted dates": (lambda r: spoil(r, "dense", lambda c: c.isel(time=[1, 0, 2, 3, 4])), "ris|sort"),
    "a grid that does not nest": (
        lambda r: spoil(r, "rich", lambda c: c.assign_coords(x=c.x + 3)),
        "aligned",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_leaves_nothing(write_project, tmp_path, case):
    damage, message = BAD[case]
    recipe = write_project(tmp_path)
    damage(recipe)
    done = here("run", recipe, "-q")
    assert done.exit_code == 2, done.stdout + done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_of_another_recipe_is_refused(whole, write_project, tmp_path):
    recipe = write_project(tmp_path).rename(tmp_path / "other.yaml")
    before = bytes_of(whole[0])
    done = here("run", recipe, "--set", f"output={whole[0]}")
    assert done.exit_code == 2
    assert "belongs" in done.stderr or "of the recipe 'small'" in done.stderr
    assert bytes_of(whole[0]) == before


def test_a_second_run_at_once_is_told_to_come_later(whole):
    from stsfusion.running.lock import Lock

    with Lock(whole[0] / ".stsfusion" / "lock"):
        done = here("run", whole[0].parent / "small.yaml")
    assert done.exit_code == 75
    assert f"process {os.getpid()}" in done.stderr
