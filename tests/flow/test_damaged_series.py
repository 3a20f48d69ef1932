"""A published series that was damaged: no run takes it for nothing, and none deletes it."""

import numpy as np
import pytest
import xarray as xr
from nightly import FIRST_DATES as FIRST
from nightly import deliver, night, one_version, place, recipe_in, shown
from small_project import here

from stsfusion.pipeline import making
from stsfusion.pipeline.folder import Folder


@pytest.fixture(autouse=True)
def steady():
    with one_version():
        yield


@pytest.fixture
def recipe(tmp_path):
    """A published series of a method that learns nothing."""
    made = recipe_in(tmp_path, "lineartime", 1)
    deliver(tmp_path, FIRST)
    assert night(made).exit_code == 0
    return made


def cut_short(root):
    root.write_bytes(root.read_bytes()[:1000])


def of_no_series(root):
    root.write_text("{}")


@pytest.mark.parametrize("harm", [cut_short, of_no_series, lambda root: root.unlink()])
def test_a_series_that_cannot_be_opened_is_not_taken_for_none(recipe, harm):
    series = place(recipe.parent)
    values = shown(series)[1]
    whole = (series / "zarr.json").read_bytes()
    harm(series / "zarr.json")
    deliver(recipe.parent, {**FIRST, "dense": {0: 0, 8: 0, 12: 0}})
    for words in (["update", recipe, "--refit"], ["run", recipe, "--set", "fuse.method=bicubic"]):
        done = here(*words, "-q")
        assert done.exit_code == 2, done.output
        assert "damaged or gone" in done.stderr
        assert "--overwrite" in done.stderr
    assert "cannot be opened" in here("status", recipe).output
    (series / "zarr.json").write_bytes(whole)
    np.testing.assert_array_equal(shown(series)[1], values)


def test_what_is_replaced_all_the_same_is_kept(recipe):
    series = place(recipe.parent)
    whole = (series / "zarr.json").read_bytes()
    values = shown(series)[1]
    cut_short(series / "zarr.json")
    done = here("run", recipe, "--set", "fuse.method=bicubic", "--overwrite", "-q")
    assert done.exit_code == 0, done.output
    house = Folder(recipe.parent / "out", "nightly", recipe).generations
    (kept,) = house.damaged()
    (kept / "zarr.json").write_bytes(whole)
    np.testing.assert_array_equal(shown(kept)[1], values)
    assert "damaged series" in here("gc", recipe, "--dry-run").output
    assert here("gc", recipe).exit_code == 0
    assert house.damaged() == []


def test_it_is_kept_when_the_run_dies_before_it_is_put_away(recipe, monkeypatch):
    series = place(recipe.parent)
    cut_short(series / "zarr.json")

    class Death(BaseException):
        pass

    def die(*words, **more):
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr("stsfusion.cube.generations.Generations.shelve", die)
        with pytest.raises(Death):
            here("run", recipe, "--set", "fuse.method=bicubic", "--overwrite", "-q")
    assert xr.open_zarr(series).sizes["time"] == 4
    assert here("run", recipe, "--set", "fuse.method=bicubic", "-q").exit_code == 0
    assert len(Folder(recipe.parent / "out", "nightly", recipe).generations.damaged()) == 1


def test_what_is_half_made_is_not_taken_for_a_damaged_series(recipe, monkeypatch):
    class Death(BaseException):
        pass

    def die(*words, **more):
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(making.fusing, "fuse_tiles", die)
        with pytest.raises(Death):
            here("run", recipe, "--set", "fuse.method=bicubic", "--overwrite", "-q")
    assert list((recipe.parent / "out").glob(".fused-*"))
    assert night(recipe).exit_code == 0
    assert Folder(recipe.parent / "out", "nightly", recipe).generations.damaged() == []
