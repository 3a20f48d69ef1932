"""A recipe that asks for a compact series: killed, updated and verified like any other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import yaml
from small_project import bytes_of, here
from test_run import interrupt

import stsfusion
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.pipeline.product import size_of

METHOD = {"name": "stsnet", "steps": 0, "rank": 6, "branches": False}


def asked(write_project, folder, dates=None, **fuse):
    """The small project by stsnet, all of its dense dates or the first few; gives its recipe."""
    path = write_project(folder, tile=24)
    recipe = yaml.safe_load(path.read_text())
    recipe["fuse"] |= {"method": METHOD, "product": "compact", **fuse}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    if dates is not None:
        cut(folder, dates)
    return path


def cut(folder, dates):
    """Leave the first dates of the dense sensor, and put the others aside."""
    (folder / "dense.nc").rename(folder / "all.nc")
    with xr.open_dataset(folder / "all.nc", engine="h5netcdf", mask_and_scale=False) as whole:
        whole.isel(time=slice(0, dates)).to_netcdf(folder / "dense.nc", engine="h5netcdf")


@pytest.fixture(scope="module")
def series(write_project, tmp_path_factory):
    """A compact series that was made in one go."""
    recipe = asked(write_project, tmp_path_factory.mktemp("compact"))
    done = here("run", recipe)
    assert done.exit_code == 0, done.stderr
    assert "stsfusion.open_cube(" in done.stdout
    return recipe.parent / "out" / "fused.zarr"


def test_everything_finds_all_bands_in_it(series):
    store = CubeStore(series)
    values, known = store.read("", store.spec("").window)
    assert values.shape == (5, 20, 72, 72)
    assert known.mean() > 0.9
    own = stsfusion.open_cube(series)
    np.testing.assert_array_equal(own.values, np.where(known, values, np.nan))
    assert verify(series).damages == ()
    assert "compact" in here("info", series).stdout
    assert "stsfusion.open_cube(" in (series.parent / "report.html").read_text()


def test_a_plan_tells_the_room_that_maps_take(series, write_project, tmp_path):
    """Known where the method has learned: from a timed tile, or from the series that is there."""
    fresh = asked(write_project, tmp_path)
    told = [
        json.loads(here("plan", recipe, *words, "--json").stdout.splitlines()[-1])
        for recipe, words in ((fresh, ()), (fresh, ("--sample",)), (series.parents[1] / fresh.name, ()))
    ]
    unknown, sampled, known = (each["disk"] for each in told)
    assert unknown is None
    assert "not known before the method has learned" in " ".join(here("plan", fresh, "-q").stdout.split())
    assert {each["full"] for each in told} == {5 * 72 * 72 * (2 * 20 + 3)}
    assert known == size_of(CubeStore(series).spec(""))
    assert sampled == known < told[0]["full"]


@pytest.mark.slow
def test_killed_and_run_again_it_has_the_same_bytes(series, write_project, tmp_path):
    recipe = asked(write_project, tmp_path)
    code, done = interrupt(recipe, 9, after=3)
    assert code == -9
    assert 3 <= len(done) < 9, "the signal did not strike in the middle of fusing"
    again = here("run", recipe)
    assert again.exit_code == 0, again.stderr
    assert bytes_of(tmp_path / "out" / "fused.zarr") == bytes_of(series)


def test_a_new_date_is_added_to_it_by_the_same_spectra(write_project, tmp_path):
    recipe = asked(write_project, tmp_path, dates=4)
    assert here("run", recipe, "-q").exit_code == 0
    store = CubeStore(tmp_path / "out" / "fused.zarr")
    before, old = store.factors(""), store.spec("")
    (tmp_path / "all.nc").replace(tmp_path / "dense.nc")
    done = here("update", recipe, "-q")
    assert done.exit_code == 0, done.stderr
    assert store.factors("") == before
    assert store.spec("").times[:-1] == old.times
    assert verify(store.path).damages == ()
    assert store.read("", store.spec("").window)[1][-1].mean() > 0.9


@pytest.mark.parametrize("words", [("plan",), ("run", "--dry-run"), ("run",)], ids=" ".join)
def test_a_method_that_answers_in_full_is_told_before_anything_is_done(write_project, tmp_path, words):
    recipe = asked(write_project, tmp_path, method="gsa")
    done = here(words[0], recipe, *words[1:])
    assert done.exit_code == 2
    assert "a method whose answers are factored: jointlr or stsnet" in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()
