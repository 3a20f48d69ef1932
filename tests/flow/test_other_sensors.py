"""Recipes for fewer than three sensors: no hyperspectral images, no sharp ones, one series alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import yaml
from small_project import cube_of, here

from stsfusion.testing import tiny_problem

QUESTIONS = {
    "multispectral": ({"multispectral": True}, ("sharp", "dense"), "efast", 4),
    "no sharp one": ({"ratios": (3, 1)}, ("rich", "dense"), "jointlr", 20),
    "one alone": ({"ratios": (1, 2)}, ("rich",), "jointlr", 20),
}


def run(folder, options, roles, method):
    """A recipe of these cubes, run."""
    problem = tiny_problem(size=48, **options)
    for role in roles:
        cube_of(problem, role).to_netcdf(folder / f"{role}.nc", engine="h5netcdf")
    recipe = {
        "cubes": {role: f"{role}.nc" for role in roles},
        "roles": {role: {"psf": "gaussian"} for role in roles},
        "fuse": {"method": method, "tile": 24, "executor": "inline"},
        "evaluate": {"compare": [], "coarser": True},
        "output": str(folder / "out"),
    }
    (folder / "some.yaml").write_text(yaml.safe_dump(recipe))
    return here("run", str(folder / "some.yaml"), "-q")


@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_there_is_is_fused_tile_by_tile(tmp_path, question):
    options, roles, method, bands = QUESTIONS[question]
    done = run(tmp_path, options, roles, method)
    assert done.exit_code == 0, done.stderr
    series = xr.open_zarr(tmp_path / "out" / "fused.zarr")
    assert series.sizes["band"] == bands
    assert (series.sizes["y"], series.sizes["x"]) == (48, 48)
    assert np.isfinite(series.reflectance).all()
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {row["role"] for row in scores["without_truth"]} == set(roles)
    assert bool(scores["rows"]) == ("coarser_window" in scores) == (question == "no sharp one")
    assert "quicklook" in " ".join(path.name for path in (tmp_path / "out").iterdir())


def test_a_method_that_needs_a_sharp_series_says_which_it_could_be(tmp_path):
    options, roles, _, _ = QUESTIONS["no sharp one"]
    done = run(tmp_path, options, roles, "gsa")
    assert done.exit_code == 2
    assert "Give a cube as 'sharp' (the finest that you have)" in done.stderr
