"""`bench sts` from a NetCDF truth to its table: what it writes, resumes, survives and keeps from methods."""

from __future__ import annotations

import io
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import xarray as xr
from rich.console import Console

from stsfusion.errors import CubeError, MethodError
from stsfusion.forward.padding import pad_to_multiple
from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.answer import Answer
from stsfusion.methods import create
from stsfusion.pipeline import contest, trial
from stsfusion.pipeline.benchmark import bench_sts
from stsfusion.pipeline.benchtable import table, watching
from stsfusion.pipeline.contest import default_cache, failures
from stsfusion.pipeline.stage import SeriesStage
from stsfusion.pipeline.truth import read_truth

ROW = ["method", "subset", "cc", "sam", "psnr", "ssim", "rmse", "ergas", "fit_s", "fuse_s", "peak_mb"]
ROWS, COLS = 26, 23

GUEST = '''
import os, signal
from dataclasses import dataclass
import torch
from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card, FusionMethod

@dataclass
class Guest(FusionMethod):
    """A method that lives elsewhere and behaves as it is told."""

    act: str = "grey"

    @property
    def card(self):
        return Card(name="guest", title="guest", source="stsfusion", needs=("rich",), fits="no")

    def fuse(self, problem):
        print("methods may print")
        if self.act == "raise":
            raise MethodError("guest", got="a bad day")
        if self.act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time, _, y, x = problem.target.shape
        level = 0.3 if problem.truth is None else problem.truth
        values = torch.zeros(problem.target.shape) + level
        if self.act == "nan":
            values[0] = torch.nan
        if self.act == "short":
            values, time = values[1:], time - 1
        return Answer(values, torch.ones(time, 1, y, x, dtype=torch.uint8))
'''


@pytest.fixture
def guest(tmp_path, monkeypatch):
    """A method of another package, found through its entry point."""
    home = tmp_path / "site"
    (home / "guest-1.0.dist-info").mkdir(parents=True)
    (home / "guest-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n"
    )
    (home / "guest-1.0.dist-info" / "entry_points.txt").write_text(
        "[stsfusion.methods]\nguest = guest_method:Guest\n"
    )
    (home / "guest_method.py").write_text(GUEST)
    monkeypatch.syspath_prepend(str(home))


def _counts(seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLS] / 6.0
    nm = np.linspace(430, 900, 12)
    leaf, soil = 0.05 + 0.4 / (1 + np.exp((710 - nm) / 15)), 0.1 + 0.2 * (nm - 430) / 470
    cover = [0.5 + 0.4 * np.sin(y + t) * np.cos(x - t / 2) for t in range(5)]
    cover = np.clip(np.stack(cover) + 0.02 * rng.standard_normal((5, ROWS, COLS)), 0, 1)[:, None]
    cube = cover * leaf[:, None, None] + (1 - cover) * soil[:, None, None]
    return np.round(cube * 1e4).astype(np.int16), nm


@pytest.fixture
def truth(tmp_path):
    """5 dates × 12 bands × 26 × 23: sizes that neither 3 nor 2 divides."""
    counts, nm = _counts()
    cube = xr.DataArray(counts, dims=("time", "band", "y", "x"), attrs={"scale_factor": 1e-4, "nodata": -1})
    days = pd.to_datetime("2022-01-01") + pd.to_timedelta([0, 20, 45, 60, 90], "D")
    cube.to_dataset(name="reflectance").assign_coords(time=days, wavelength=("band", nm)).to_netcdf(
        tmp_path / "truth.nc", engine="h5netcdf"
    )
    return tmp_path / "truth.nc"


def test_rows_dates_file_table_and_resuming(truth, tmp_path, monkeypatch, trial_process):
    said = []
    options = {"json_path": tmp_path / "out" / "b.json", "cache_dir": tmp_path / "cache"}
    first = bench_sts(
        truth, ["bicubic", "gsa:ridge=1e-3"], Protocol(), progress=lambda *s: said.append(s), **options
    )
    assert [list(row) for row in first["rows"]] == [ROW] * 6
    assert [row["subset"] for row in first["rows"]] == ["all", "observed", "missing"] * 2
    assert [row["method"] for row in first["rows"]] == ["bicubic"] * 3 + ["gsa:ridge=1e-3"] * 3
    assert [row["subset"] for row in first["per_date"][:5]] == ["observed", "missing"] * 2 + ["observed"]
    assert first["per_date"][1]["time"] == "2022-01-21"
    assert first["protocol"]["rich_dates"] == [0, 2, 4]
    assert first["protocol"]["truth_shape"] == {"dates": 5, "bands": 12, "rows": ROWS, "cols": COLS}
    assert json.loads((tmp_path / "out" / "b.json").read_text()) == first
    assert failures(first["rows"]) == []
    assert all(row["fuse_s"] > 0 and row["peak_mb"] >= 0 for row in first["rows"])
    assert ("gsa:ridge=1e-3", 0.9, "fusing") in said

    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("done again"))
    assert bench_sts(truth, ["bicubic", "gsa:ridge=1e-3"], Protocol(), **options) == first
    with pytest.raises(pytest.fail.Exception, match="done again"):
        bench_sts(truth, ["bicubic"], Protocol(seed=1), **options)
    with pytest.raises(pytest.fail.Exception, match="done again"):
        bench_sts(truth, ["gsa:ridge=1e-2"], Protocol(), **options)

    drawn = io.StringIO()
    Console(file=drawn, width=160).print(table(first))
    assert "gsa:ridge=1e-3" in drawn.getvalue()
    assert f"{first['rows'][2]['sam']:.3f}" in drawn.getvalue()


def test_a_failing_method_gets_a_row_and_the_run_goes_on(truth, tmp_path, guest, trial_process):
    acts = ["raise", "die", "nan", "short", "grey"]
    result = bench_sts(truth, [f"guest:act={act}" for act in acts], Protocol(), cache_dir=tmp_path / "cache")
    errors = {row["method"]: row["error"] for row in result["rows"] if "error" in row}
    assert failures(result["rows"]) == [f"guest:act={act}" for act in acts[:-1]]
    assert "a bad day" in errors["guest:act=raise"]
    assert "killed by signal 9 (out of memory?)" in errors["guest:act=die"]
    assert "got NaN or infinity" in errors["guest:act=nan"]
    assert "expected an Answer of (5, 12, 30, 24), got (4, 12, 30, 24)" in errors["guest:act=short"]
    assert [row["subset"] for row in result["rows"][4:]] == ["all", "observed", "missing"]
    # A method that was shown the truth would have given it back.
    assert result["rows"][4]["rmse"] > 0.01
    assert len(list((tmp_path / "cache").glob("*.json"))) == 1
    Console(file=io.StringIO()).print(table(result))


def test_the_truth_is_not_in_what_a_process_is_given(truth, monkeypatch):
    stage = SeriesStage(read_truth(truth), Protocol())
    given = []

    def peek(folder: Path, tick):
        given.append((folder / trial._TASK).read_bytes())
        (folder / trial._FAULT).write_text("seen enough")
        return 1

    monkeypatch.setattr(trial, "_watch", peek)
    with pytest.raises(MethodError, match="seen enough"):
        trial.attempt(stage.problem, {"name": "bicubic"})
    question, settings, _ = pickle.loads(given[0])
    assert settings == {"name": "bicubic"}
    assert question.truth is None
    rows = stage.problem.truth.numpy()[:, :, 5]
    assert not any(row.tobytes() in given[0] for date in rows for row in date)
    assert question.rich.data.numpy()[0, 3].tobytes() in given[0]


def test_an_interrupted_caller_leaves_no_process(truth, trial_process):
    def interrupt(done, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trial.attempt(SeriesStage(read_truth(truth), Protocol()).problem, {"name": "bicubic"}, interrupt)
    mine = psutil.Process().children(recursive=True)
    assert not [child for child in mine if "stsfusion.pipeline.trial" in child.cmdline()]


def test_scores_are_those_of_the_original_extent(truth):
    stage = SeriesStage(read_truth(truth), Protocol())
    assert stage.problem.target.shape == (5, 12, 30, 24)
    perfect = pad_to_multiple(torch.from_numpy(stage.truth.values), 6)
    assert torch.equal(perfect, stage.problem.truth)
    spoilt = perfect.clone()
    spoilt[:, :, ROWS:], spoilt[:, :, :, COLS:] = 9.0, 9.0
    scores = stage.scores(Answer(spoilt, torch.ones(5, 1, 30, 24, dtype=torch.uint8)))
    assert scores.average("all").values["rmse"] == 0.0
    assert scores.average("missing").dates == 2


def test_gaps_of_the_truth_are_not_scored_and_not_believed(truth):
    whole = read_truth(truth)
    valid = whole.valid.copy()
    valid[2, :, 9:12, 6:9] = False
    holed = replace(whole, valid=valid, values=np.where(valid, whole.values, 0).astype(np.float32))
    stage = SeriesStage(holed, Protocol())
    rich, dense = stage.problem.rich, stage.problem.dense
    assert not rich.valid[1, :, 3, 2].any()
    assert not dense.valid[2, :, 5, 3].any()
    assert rich.valid[[0, 2]].all()
    assert rich.valid[1, :, 7, 6].all()
    level = whole.values[2, 4][valid[2, 4]].mean()
    assert stage.problem.truth[2, 4, 10, 7] == pytest.approx(level, rel=1e-5)
    answer = pad_to_multiple(torch.from_numpy(whole.values), 6)
    answer[2, :, 9:12, 6:9] = torch.nan
    scores = stage.scores(Answer(answer, torch.ones(5, 1, 30, 24, dtype=torch.uint8)))
    assert scores.average("all").values["rmse"] == 0.0


def test_another_truth_file_of_the_same_content_is_the_same_scene(truth):
    stage, series = SeriesStage(read_truth(truth), Protocol()), read_truth(truth)
    renamed = SeriesStage(replace(series, name="other.nc"), Protocol())
    changed = SeriesStage(replace(series, values=series.values + np.float32(1e-4)), Protocol())
    method = create("bicubic")
    assert stage.key(method) == renamed.key(method)
    assert stage.key(method) != changed.key(method)
    assert stage.said["truth_sha256"] == renamed.said["truth_sha256"] != changed.said["truth_sha256"]


def test_what_cannot_work_is_refused_before_any_work(truth, tmp_path, monkeypatch):
    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("started"))
    with pytest.raises(MethodError, match="Did you mean 'bicubic'"):
        bench_sts(truth, ["gsa", "bicubik"], Protocol(), cache_dir=tmp_path)
    with pytest.raises(MethodError, match=r"setting 'rigde'.*\nDid you mean 'ridge'"):
        bench_sts(truth, ["gsa:rigde=1"], Protocol(), cache_dir=tmp_path)
    with pytest.raises(CubeError, match="no such file"):
        bench_sts(tmp_path / "none.nc", ["gsa"], Protocol(), cache_dir=tmp_path)


def test_the_cache_is_the_users_and_a_damaged_row_is_done_again(truth, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / "stsfusion" / "bench"
    done = []
    monkeypatch.setattr(contest, "_compete", lambda *_: done.append(1) or {"rows": [{}], "per_date": []})
    for _ in range(2):
        bench_sts(truth, ["bicubic"], Protocol())
    assert len(done) == 1
    (kept,) = default_cache().glob("*.json")
    kept.write_text('{"rows": [')
    bench_sts(truth, ["bicubic"], Protocol())
    assert len(done) == 2
    assert [os.path.splitext(path)[1] for path in default_cache().iterdir()] == [".json"]


def test_watching_draws_a_bar_for_each_method():
    drawn = io.StringIO()
    with watching(Console(file=drawn, width=80, force_terminal=True)) as watch:
        watch("gsa", 0.2, "regression")
        watch("gsa", 1.0, "done")
    assert "gsa" in drawn.getvalue()
    assert "done" in drawn.getvalue()
