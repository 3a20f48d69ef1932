"""`bench stf`: what is hidden, what methods are given, what is written, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.errors import CubeError, MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.methods import create
from stsfusion.pipeline import benchtable, contest
from stsfusion.pipeline.contest import COST
from stsfusion.pipeline.stf import bench_stf
from stsfusion.pipeline.stfscene import read_fine_and_coarse
from stsfusion.pipeline.stfstage import StfStage

ROWS, COLS, RATIO = 24, 32, 4
DAYS = [0, 16, 40, 56]
ROW = ["method", "subset", "cc", "sam", "psnr", "ssim", "rmse", "ergas", "fit_s", "fuse_s", "peak_mb"]


def scene(path: Path, **changes) -> Path:
    """Four dates of three bands: fields that ripen, as counts; a coarse sensor, and the same resampled."""
    y, x = np.mgrid[:ROWS, :COLS]
    fields = np.random.default_rng(0).random((ROWS // 3 + 1, COLS // 3 + 1))[y // 3, x // 3]
    level = 0.1 + 0.3 * fields[None] * (1 + 0.01 * np.array(DAYS)[:, None, None] * np.sin(x / 9.0)[None])
    fine = np.stack([level, 0.7 * level + 0.05, 0.4 - 0.5 * level], 1)
    low = fine.reshape(4, 3, ROWS // RATIO, RATIO, COLS // RATIO, RATIO).mean((3, 5))
    cubes = {
        "reflectance": (("time", "band", "y", "x"), np.round(fine * 1e4).astype(np.int16)),
        "modis": (("time", "band", "yc", "xc"), np.round(low * 1e4).astype(np.int16)),
        "resampled": (
            ("time", "band", "y", "x"),
            np.round(low.repeat(RATIO, 2).repeat(RATIO, 3) * 1e4).astype(np.int16),
        ),
    } | changes
    file = xr.Dataset(cubes).assign_coords(
        time=pd.to_datetime("2001-05-24") + pd.to_timedelta(DAYS, "D"),
        wavelength=("band", [560.0, 660.0, 830.0]),
    )
    for name in cubes:
        file[name].attrs |= {"scale_factor": 1e-4, "nodata": -9999}
    file.to_netcdf(path / "series.nc", engine="h5netcdf")
    return path / "series.nc"


@pytest.fixture
def series(tmp_path):
    return scene(tmp_path)


def test_rows_say_how_honest_stated_deviations_are(series):
    stage = StfStage(read_fine_and_coarse(series, "modis"), 1)
    truth = torch.from_numpy(stage.scene.fine.values)
    size = 0.001 + 0.02 * torch.rand(truth.shape, generator=torch.Generator().manual_seed(0))
    off = size * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    answer = Answer(truth + off, torch.ones(4, 1, ROWS, COLS, dtype=torch.uint8), size)
    (row,) = stage.judge(answer)["rows"]
    assert 0.87 < row["coverage90"] < 0.93
    assert 0.4 < row["sigma_rank"] < 0.7
    (bold,) = stage.judge(replace(answer, deviations=0.1 * size))["rows"]
    assert bold["coverage90"] < 0.3
    (silent,) = stage.judge(replace(answer, deviations=None))["rows"]
    assert not {"coverage90", "sigma_rank"} & set(silent)
    said = [{"method": "sure", **row}, {"method": "silent", **silent}]
    board = benchtable.table({"protocol": stage.said, "rows": [each | dict.fromkeys(COST) for each in said]})
    assert "rank of σ" in [str(column.header) for column in board.columns]


@pytest.mark.parametrize(("coarse", "ratio"), [("modis", 4), ("resampled", 1)])
def test_the_fine_image_of_the_date_is_hidden_and_nothing_else(series, coarse, ratio):
    stage = StfStage(read_fine_and_coarse(series, coarse), 1)
    problem = stage.problem
    assert problem.truth is None
    assert problem.rich is None
    assert problem.sharp.dates == [0, 2, 3]
    assert problem.dense.dates == [0, 1, 2, 3]
    assert (problem.sharp.ratio, problem.dense.ratio) == (1, ratio)
    assert problem.dense.view.spatial.known is False
    fine = read_fine_and_coarse(series, coarse).fine.values
    assert torch.equal(problem.sharp.data, torch.from_numpy(fine[[0, 2, 3]]))
    assert problem.target.days.tolist() == DAYS
    values = torch.from_numpy(fine)
    perfect = Answer(values, torch.ones(4, 1, ROWS, COLS, dtype=torch.uint8))
    assert stage.judge(perfect)["rows"][0]["rmse"] == 0.0
    values = values.clone()
    values[[0, 2, 3]] = torch.nan
    assert stage.judge(replace(perfect, values=values))["rows"][0]["rmse"] == 0.0


def test_rows_file_and_resuming(series, tmp_path, monkeypatch):
    said = []
    options = {"json_path": tmp_path / "stf.json", "cache_dir": tmp_path / "cache"}
    first = bench_stf(series, 1, ["coarsedelta", "efast"], progress=lambda *s: said.append(s), **options)
    assert [list(row) for row in first["rows"]] == [ROW] * 2
    assert [(row["method"], row["subset"]) for row in first["rows"]] == [
        ("coarsedelta", "missing"),
        ("efast", "missing"),
    ]
    assert [row["time"] for row in first["per_date"]] == ["2001-06-09"] * 2
    assert first["per_date"][0]["date"] == 1
    assert first["protocol"]["predict"] == 1
    assert (first["protocol"]["coarse"], first["protocol"]["ratio"]) == ("modis", 4)
    assert json.loads((tmp_path / "stf.json").read_text()) == first
    assert first["rows"][0]["rmse"] < 0.02
    assert ("efast", 0.9, "fusing") in said
    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("done again"))
    assert bench_stf(series, 1, ["coarsedelta", "efast"], **options) == first
    for other in ({"predict": 2}, {"predict": 1, "coarse": "resampled"}):
        with pytest.raises(pytest.fail.Exception, match="done again"):
            bench_stf(series, methods=["efast"], **other, **options)


def test_the_hidden_image_decides_the_key_and_not_the_question(series, tmp_path):
    scene_ = read_fine_and_coarse(series, "modis")
    other = scene_.fine.values.copy()
    other[1] += 0.01
    stages = [
        StfStage(each, 1) for each in (scene_, replace(scene_, fine=replace(scene_.fine, values=other)))
    ]
    assert torch.equal(stages[0].problem.sharp.data, stages[1].problem.sharp.data)
    method = create("coarsedelta")
    assert stages[0].key(method) != stages[1].key(method)


def test_gaps_are_said_and_not_scored(series):
    scene_ = read_fine_and_coarse(series, "modis")
    valid = scene_.fine.valid.copy()
    valid[1, :, :4, :4], valid[0, 2, 8, 8] = False, False
    stage = StfStage(replace(scene_, fine=replace(scene_.fine, valid=valid)), 1)
    assert stage.problem.sharp.valid.shape == (3, 3, ROWS, COLS)
    assert not stage.problem.sharp.valid[0, 2, 8, 8]
    values = torch.from_numpy(scene_.fine.values).clone()
    values[1, :, :4, :4] = torch.nan
    judged = stage.judge(Answer(values, torch.ones(4, 1, ROWS, COLS, dtype=torch.uint8)))
    assert judged["rows"][0]["rmse"] == 0.0


def test_the_command_prints_a_table(series, tmp_path):
    words = [
        "bench",
        "stf",
        series,
        "--predict",
        2,
        "--methods",
        "coarsedelta",
        "--cache",
        tmp_path / "cache",
    ]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "2001-07-03 from 'modis'" in done.output
    assert "coarsedelta" in done.output


@pytest.mark.parametrize(
    ("changes", "asked", "said"),
    [
        ({}, {"coarse": "modid"}, "expected a variable 'modid', got variables"),
        ({}, {"predict": 4}, "expected an index from 0 to 3, got 4"),
        ({}, {"predict": -1}, "expected an index from 0 to 3, got -1"),
        (
            {"modis": (("time", "band", "yc", "xc"), np.ones((4, 3, 5, 8), np.int16))},
            {},
            "pixels a whole number of times as large, got 5 × 8.*cover the fine ones exactly",
        ),
        (
            {"modis": (("time", "band", "yc", "xc"), np.ones((4, 3, 6, 16), np.int16))},
            {},
            "pixels a whole number of times as large, got 6 × 16",
        ),
        ({"modis": (("time", "yc", "xc"), np.ones((4, 6, 8), np.int16))}, {}, "expected dims"),
        (
            {"modis": (("time", "band", "yc", "xc"), np.full((4, 3, 6, 8), -9999, np.int16))},
            {},
            "expected numbers, got gaps everywhere",
        ),
    ],
)
def test_bad_input_is_refused_before_any_work(tmp_path, monkeypatch, changes, asked, said):
    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("started"))
    asked = {"predict": 1, "methods": ["coarsedelta"], "cache_dir": tmp_path} | asked
    with pytest.raises(CubeError, match=f"(?s){said}"):
        bench_stf(scene(tmp_path, **changes), **asked)


def test_a_hidden_date_without_a_fine_image_and_a_single_date_are_refused(series):
    whole = read_fine_and_coarse(series, "modis")
    valid = whole.fine.valid.copy()
    valid[1] = False
    with pytest.raises(CubeError, match="expected a fine image to score against"):
        StfStage(replace(whole, fine=replace(whole.fine, valid=valid)), 1)
    once = replace(
        whole.fine, values=whole.fine.values[:1], valid=valid[:1], times=("2001-05-24",), days=np.zeros(1)
    )
    with pytest.raises(CubeError, match="expected two dates at least"):
        StfStage(replace(whole, fine=once), 0)


def test_methods_that_need_more_are_refused(series, tmp_path):
    with pytest.raises(MethodError, match=r"'gsa'.*no more than sharp and dense.*rich and sharp"):
        bench_stf(series, 1, ["gsa"], cache_dir=tmp_path)
    with pytest.raises(MethodError, match="Did you mean 'efast'"):
        bench_stf(series, 1, ["efasd"], cache_dir=tmp_path)


def test_real_landsat_and_modis(tmp_path):
    folder = Path(os.environ.get("STSFUSION_DATA", Path(__file__).parents[3] / "shared" / "data"))
    file = folder / "scenes" / "boreas_west.nc"
    if not file.is_file():
        pytest.skip(f"no {file}")
    result = bench_stf(file, 1, ["coarsedelta"], cache_dir=tmp_path)
    (row,) = result["rows"]
    assert row["rmse"] < 0.012
    assert result["protocol"]["times"][1] == "2001-07-11"
