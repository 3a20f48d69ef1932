"""A recipe that compares methods, from scenes to the page: rows, pictures, resuming, failures, status."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread
from pairscenes import NM, textured
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.errors import CubeError, MethodError
from stsfusion.pipeline import comparing, contest
from stsfusion.pipeline.comparerun import Comparing
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.steps import DONE, FAILED, run_recipe
from stsfusion.pipeline.trial import Trial

RECIPE = """\
compare:
  scenes: [field.nc]
  ratio: 3
  psfs: ["gaussian:1"]
  methods: [bicubic, gsa]
  about: gsa
report: {title: Two methods}
output: out
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, for copies."""
    folder = tmp_path_factory.mktemp("whole")
    values = textured(26, 25, 16)[0].numpy().astype("float32")
    cube = xr.DataArray(values, dims=("band", "y", "x"))
    file = cube.to_dataset(name="reflectance").assign_coords(wavelength=("band", np.linspace(*NM, 16)))
    file.to_netcdf(folder / "field.nc", engine="h5netcdf")
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


def test_rows_pictures_and_page_are_there(folder):
    result = scores(folder)
    assert [(row["method"], row["assumed"]) for row in result["rows"]] == [
        ("bicubic", ""),
        ("gsa", ""),
        ("gsa:psf=gaussian", "gaussian"),
    ]
    assert result["rows"][1]["psnr"] > result["rows"][0]["psnr"] + 3
    assert all(row["scene"] == "field" and row["fuse_s"] >= 0 for row in result["rows"])
    means = [np.mean(each["psnr"]) for each in result["by_band"]]
    assert means == pytest.approx([row["psnr"] for row in result["rows"]], abs=0.05)
    pictures = sorted((folder / "out" / "pictures").glob("*.png"))
    sections = {picture.name[4:].rsplit("-field", 1)[0] for picture in pictures}
    assert sections == {
        "colour-composites",
        "rmse-maps",
        "mrae-maps",
        "sam-maps",
        "psnr-by-band",
        "point-spread-functions",
    }
    assert all(imread(picture).std() > 0 for picture in pictures)


def test_the_page_says_what_was_won_and_lost(folder):
    page = (folder / "out" / "report.html").read_text()
    result = scores(folder)
    for row in result["rows"]:
        assert f">{row['psnr']:.2f}<" in page
        assert f">{row['mrae']:.4f}<" in page
    assert "Two methods" in page
    assert "gsa is first in" in page
    assert "the middle 63 × 63 pixels" in page
    assert "methods: [bicubic, gsa]" in page
    assert "http" not in page.replace("http-equiv", "").split("<style>")[0]


def test_footprints_are_the_true_the_estimated_and_the_assumed_one(folder):
    found = {each["method"]: np.array(each["weights"]) for each in scores(folder)["kernels"]}
    assert list(found) == ["truth", "gsa", "gsa:psf=gaussian"]
    assert found["truth"].shape == found["gsa:psf=gaussian"].shape == (3, 3)
    assert found["gsa"].sum() == pytest.approx(1.0, abs=1e-4)
    middle = len(found["gsa"]) // 2
    near = found["gsa"][middle - 1 : middle + 2, middle - 1 : middle + 2]
    assert np.abs(near - found["truth"]).max() < 0.05


def test_what_is_done_is_not_done_again(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    monkeypatch.setattr(comparing.Comparison, "of", no_trial)
    assert "Nothing to do" in again().words
    before = (folder / "out" / "scores.json").stat().st_mtime_ns
    assert "Done" in again("report.title=Other").words
    assert "Other" in (folder / "out" / "report.html").read_text()
    assert (folder / "out" / "scores.json").stat().st_mtime_ns == before


def test_rows_are_kept_when_pictures_are_drawn_anew(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    shutil.rmtree(folder / "out" / "pictures")
    before = scores(folder)
    assert again().code == DONE
    assert scores(folder) == before
    assert len(list((folder / "out" / "pictures").glob("*.png"))) == 6
    assert again("report.pictures=false").code == DONE
    assert "data:image" not in (folder / "out" / "report.html").read_text()


def test_a_method_that_fails_is_said_and_tried_again(folder, monkeypatch):
    real, tried = contest.attempt, []

    def attempt(question, settings, *rest) -> Trial:
        tried.append(settings["name"])
        raise MethodError(f"method '{settings['name']}'", got="out of luck")

    monkeypatch.setattr(contest, "attempt", attempt)
    end = again("compare.methods=[bicubic, gsa, sfimhs]", "compare.assumed=[]")
    assert (end.code, tried) == (FAILED, ["sfimhs"])
    assert "sfimhs" in end.words
    page = (folder / "out" / "report.html").read_text()
    assert "field, gaussian:1, sfimhs" in page
    assert "out of luck" in page
    assert "Failed, and not shown: sfimhs" in page
    assert scores(folder)["rows"][2]["psnr"] is None
    again("compare.methods=[bicubic, gsa, sfimhs]", "compare.assumed=[]")
    assert tried == ["sfimhs", "sfimhs"]
    assert real is not attempt


def test_a_dry_run_counts_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    run = CliRunner().invoke(app, ["run", "tables.yaml", "--dry-run", "--set", "compare.psfs=[box]"])
    assert (run.exit_code, "3, of which 0 are done" in run.output) == (DONE, True)
    run = CliRunner().invoke(app, ["run", "tables.yaml", "--dry-run"])
    assert "field, 16 bands × 26 × 25 pixels, ratio 3" in run.output
    assert "3, of which 3 are done" in run.output


def test_status_tells_what_is_left(folder):
    said = CliRunner().invoke(app, ["status", "tables.yaml"]).output
    assert said.count("done in") == 2
    said = CliRunner().invoke(app, ["status", "tables.yaml", "--set", "compare.psfs=[box]"]).output
    assert said.count("to do anew") == 2


def test_quick_networks_run_under_the_first_footprint_alone(folder):
    asked = Compare(scenes=("field.nc",), methods=("gsa", "usdn"), psfs=("box", "gaussian:1"), assumed=())
    found = comparing.Comparison.of(asked, folder)
    assert [[row.label for row in found.rows_of(stage)] for stage in found.stages] == [
        ["gsa", "usdn"],
        ["gsa"],
    ]
    full = comparing.Comparison.of(asked.model_copy(update={"profile": "full"}), folder)
    assert full.trials == 4


def test_scenes_that_cannot_be_used_are_refused_before_any_work(folder, monkeypatch):
    monkeypatch.setattr(contest, "attempt", no_trial)
    with pytest.raises(CubeError, match="scene none"):
        again("compare.scenes=[none.nc]", "output=new")
    (folder / "more").mkdir()
    shutil.copy(folder / "field.nc", folder / "more" / "field.nc")
    with pytest.raises(CubeError, match="scenes of different names"):
        again("compare.scenes=[field.nc, more/field.nc]", "output=new")
    with pytest.raises(CubeError, match="without a real multispectral image"):
        comparing.Comparison.of(Compare(pair="ali", methods=("gsa",)), folder)
    assert not (folder / "new").exists()


def test_a_changed_scene_is_noticed(folder):
    recipe, file = load_recipe("tables.yaml")
    run = Comparing(recipe, file, None)
    before = run.marks
    xr.load_dataset("field.nc", engine="h5netcdf").isel(x=slice(1, None)).to_netcdf(
        "field.nc", engine="h5netcdf"
    )
    assert run.marks[0] != before[0]
