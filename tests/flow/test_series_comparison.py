"""A recipe that compares methods on series, from a truth to the page: rows, dates, parts of the spectrum."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.image import imread
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.errors import CubeError, MethodError, ProblemError, RecipeError
from stsfusion.pipeline import contest
from stsfusion.pipeline.comparerun import Comparing
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.seriescomparing import SeriesComparison
from stsfusion.pipeline.steps import DONE, FAILED, run_recipe

RECIPE = """\
compare_series:
  series: [season.nc]
  methods: [lineartime, {name: chain, first: coarsedelta, then: {name: gsa, psf: given}}]
  about: coarsedelta+gsa:psf=given
  profile: full
report: {title: Two ways through a season}
output: out
"""

ROWS, COLS = 24, 30
DAYS = [0, 20, 45, 60, 90]


def truth(folder):
    """Five dates of twelve bands from 430 to 2300 nm: fields between soil and leaf."""
    y, x = np.mgrid[:ROWS, :COLS] / 6.0
    nm = np.array([430, 480, 550, 610, 670, 720, 790, 860, 940, 1250, 1650, 2300.0])
    leaf, soil = 0.05 + 0.4 / (1 + np.exp((710 - nm) / 15)) - 0.1 * (nm > 1400), 0.1 + 0.1 * (nm - 430) / 1000
    cover = [0.5 + 0.4 * np.sin(y + t) * np.cos(x - t / 2) for t in range(5)]
    noise = 0.03 * np.random.default_rng(0).standard_normal((1, ROWS, COLS))
    cover = np.clip(np.stack(cover) + noise, 0, 1)[:, None]
    cube = xr.DataArray(
        cover * leaf[:, None, None] + (1 - cover) * soil[:, None, None], dims=("time", "band", "y", "x")
    )
    days = pd.to_datetime("2022-01-01") + pd.to_timedelta(DAYS, "D")
    file = cube.astype("float32").to_dataset(name="reflectance")
    file.assign_coords(time=days, wavelength=("band", nm)).to_netcdf(folder / "season.nc", engine="h5netcdf")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, for copies."""
    folder = tmp_path_factory.mktemp("whole")
    truth(folder)
    (folder / "tables.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, ["run", "tables.yaml", "-q"])
    assert result.exit_code == DONE, result.output
    return folder


@pytest.fixture
def folder(whole, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "run", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path / "run"


def again(*assignments):
    return run_recipe(*load_recipe("tables.yaml", assignments), quiet=True)


def scores(folder):
    return json.loads((folder / "out" / "scores.json").read_text())


def no_trial(*_):
    pytest.fail("a row that is done was done again")


def test_rows_are_by_method_subset_and_part(folder):
    result = scores(folder)
    subsets = [
        f"{dates}{part}" for part in ("", "/vnir", "/swir") for dates in ("all", "observed", "missing")
    ]
    names = ["lineartime", "coarsedelta+gsa:psf=given"]
    assert [(row["method"], row["subset"]) for row in result["rows"]] == [
        (name, subset) for name in names for subset in subsets
    ]
    found = {(row["method"], row["subset"]): row for row in result["rows"]}
    assert found[names[1], "missing"]["sam"] < 0.7 * found[names[0], "missing"]["sam"]
    assert len(result["per_date"]) == 2 * 5 * 3
    assert [each["time"] for each in result["by_band"]] == ["2022-03-02"] * 2
    assert len(result["by_band"][0]["psnr"]) == 12


def test_the_page_has_the_papers_tables(folder):
    page = (folder / "out" / "report.html").read_text()
    result = scores(folder)
    for row in result["rows"]:
        if "/" not in row["subset"]:
            assert all(f">{row[name]:.{digits}f}<" in page for name, digits in (("cc", 4), ("psnr", 2)))
    for row in result["per_date"]:
        if "/" not in row["subset"]:
            assert f">{row['sam']:.2f}<" in page
    for words in ("All dates, VNIR", "Missed dates, SWIR", "SAM (°) by date", "Dates that it missed"):
        assert words in page
    assert "is first in" in page
    assert "Two ways through a season" in page
    pictures = sorted((folder / "out" / "pictures").glob("*.png"))
    assert len(pictures) == 4
    assert all(imread(picture).std() > 0 for picture in pictures)


def test_what_is_done_is_not_done_again(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    assert "Nothing to do" in again().words
    shutil.rmtree(folder / "out" / "pictures")
    assert again().code == DONE
    assert "Done" in again("report.title=Other").words


def test_a_method_that_fails_is_said(folder, monkeypatch):
    def attempt(question, settings, *rest):
        raise MethodError(f"method '{settings['name']}'", got="out of luck")

    monkeypatch.setattr(contest, "attempt", attempt)
    end = again("compare_series.methods=[lineartime, bicubic]", "compare_series.about=bicubic")
    assert (end.code, "bicubic" in end.words) == (FAILED, True)
    page = (folder / "out" / "report.html").read_text()
    assert "season.nc, bicubic" in page
    assert "out of luck" in page


def test_dry_run_and_status(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    said = CliRunner().invoke(app, ["run", "tables.yaml", "--dry-run"]).output
    assert "2 methods and settings on 1 series, profile 'full'" in said
    assert "season.nc, 5 dates × 12 bands × 24 × 30 pixels" in said
    assert "2, of which 2 are done" in said
    assert CliRunner().invoke(app, ["status", "tables.yaml"]).output.count("done in") == 2


def test_the_quick_profile_looks_at_the_middle_of_the_packaged_season(folder):
    recipe, file = load_recipe(
        "tables.yaml", ["compare_series.series=[indian-pines]", "compare_series.profile=quick"]
    )
    found = SeriesComparison.of(recipe.compare_series, file.parent)
    assert found.stages[0].truth.values.shape == (7, 200, 96, 96)
    assert found.stages[0].truth.times[0] == "2021-12-13"


def test_a_changed_truth_is_noticed(folder):
    recipe, file = load_recipe("tables.yaml")
    run = Comparing(recipe, file, None)
    before = run.marks
    xr.load_dataset("season.nc", engine="h5netcdf").isel(x=slice(1, None)).to_netcdf(
        "season.nc", engine="h5netcdf"
    )
    assert run.marks[0] != before[0]


@pytest.mark.parametrize(
    ("assignment", "error", "said"),
    [
        ("compare_series.series=[none.nc]", CubeError, "no such file"),
        ("compare_series.protocol.rich_dates=[0, 9]", ProblemError, "distinct indices from 0 to 4"),
        (
            "compare_series.methods=[gsa, gsa]",
            RecipeError,
            "compare_series.methods: expected each method once",
        ),
        ("compare_series.methods=[gsaa]", RecipeError, "Did you mean 'gsa'"),
        ("fuse.method=gsa", RecipeError, "'report' and 'output' alone beside 'compare_series'"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(folder, monkeypatch, assignment, error, said):
    monkeypatch.setattr(contest, "attempt", no_trial)
    with pytest.raises(error, match=said):
        again(assignment, "output=new")
    assert not (folder / "new").exists()
