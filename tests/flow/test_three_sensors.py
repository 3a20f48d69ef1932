"""The recipe for three cubes of a user's own: the series, and its scores one scale coarser, dates hidden."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from small_project import cube_of, here

from stsfusion.testing import tiny_problem

CHEAP = (
    "roles.sharp.sensor=null",
    "roles.dense.sensor=null",
    "fuse.method={name: chain, first: coarsedelta, then: {name: gsa, psf: box}}",
    "fuse.tile=72",
    "fuse.executor=inline",
    "fit.tiles=1",
    "fit.size=72",
    "evaluate.compare=[lineartime]",
    "report.pictures=false",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished run on three small cubes."""
    folder = tmp_path_factory.mktemp("three")
    problem = tiny_problem(size=72)
    words = list(CHEAP)
    for role in problem.observations:
        cube_of(problem, role).to_netcdf(folder / f"{role}.nc", engine="h5netcdf")
        words.append(f"cubes.{role}={folder}/{role}.nc")
    words.append(f"output={folder}/out")
    done = here("run", "dataset-2", "-q", *(word for text in words for word in ("--set", text)))
    assert done.exit_code == 0, done.stderr
    return folder / "out"


def test_every_dense_date_is_published(out):
    series = xr.open_zarr(out / "fused.zarr")
    assert dict(series.sizes) == {"time": 5, "band": 20, "y": 72, "x": 72}
    assert np.isfinite(series.reflectance).all()


def test_scores_are_of_dates_seen_and_hidden(out):
    scores = json.loads((out / "scores.json").read_text())
    found = {(row["method"], row["subset"]): row for row in scores["rows"]}
    assert list(found) == [
        (method, subset) for method in ("coarsedelta+gsa", "lineartime") for subset in ("coarser", "hidden")
    ]
    assert found["coarsedelta+gsa", "hidden"]["rmse"] < found["lineartime", "hidden"]["rmse"]
    assert found["coarsedelta+gsa", "hidden"]["dates"] == 1
    days = [(row["date"], row["subset"]) for row in scores["per_date"] if row["method"] == "lineartime"]
    assert days == [
        ("2022-03-01", "observed"),
        ("2022-04-02", "observed"),
        ("2022-05-04", "observed"),
        ("2022-04-02", "missing"),
    ]
    assert {row["role"] for row in scores["without_truth"]} == {"rich", "sharp", "dense"}


def test_the_page_shows_them(out):
    page = (out / "report.html").read_text()
    assert "dates hidden from the hyperspectral and the fine sensor" in page
    assert "coarsedelta+gsa" in page
    assert "one scale coarser, where the hyperspectral image is the truth" in page
