"""A published series that was damaged: no run takes it for nothing, and none deletes it."""

import numpy as np
import pytest
import xarray as xr
from dying import dying
from nightly import FIRST_DATES as FIRST
from nightly import deliver, night, one_version, place, recipe_in, shown
from small_project import bytes_of, here

from stsfusion.pipeline import making
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.learnt import FILE


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


def test_it_is_kept_when_the_run_dies_before_it_is_put_away(recipe):
    series = place(recipe.parent)
    cut_short(series / "zarr.json")
    with dying("stsfusion.cube.generations.Generations.shelve"):
        here("run", recipe, "--set", "fuse.method=bicubic", "--overwrite", "-q")
    assert xr.open_zarr(series).sizes["time"] == 4
    assert here("run", recipe, "--set", "fuse.method=bicubic", "-q").exit_code == 0
    assert len(Folder(recipe.parent / "out", "nightly", recipe).generations.damaged()) == 1


def test_what_is_half_made_is_not_taken_for_a_damaged_series(recipe):
    with dying(making.fusing, "fuse_tiles"):
        here("run", recipe, "--set", "fuse.method=bicubic", "--overwrite", "-q")
    assert list((recipe.parent / "out").glob(".fused-*"))
    assert night(recipe).exit_code == 0
    assert Folder(recipe.parent / "out", "nightly", recipe).generations.damaged() == []


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damage_that_only_reading_finds_is_mended_when_that_is_asked_for(recipe):
    series = place(recipe.parent)
    expected = bytes_of(series)
    flip(next((series / "reflectance").rglob("0/0/0/0")))
    found = here("verify", series, "-q")
    assert found.exit_code == 3
    assert "--overwrite" in found.output
    assert here("run", recipe, "--overwrite", "-q").exit_code == 0
    assert bytes_of(series) == expected
    assert here("verify", series, "-q").exit_code == 0
    inode = series.stat().st_ino
    assert here("run", recipe, "--overwrite", "-q").exit_code == 0
    assert series.stat().st_ino == inode, "what is whole is not made anew"


def test_foreign_files_are_told_of_and_nothing_is_made_anew_for_them(recipe):
    series = place(recipe.parent)
    (series / "reflectance/c/.DS_Store").write_bytes(b"?")
    found = here("verify", series, "-q")
    assert found.exit_code == 3
    assert "remove the unknown files" in found.output
    inode = series.stat().st_ino
    assert "Nothing to do" in here("update", recipe).stdout
    assert series.stat().st_ino == inode


def test_what_was_learned_is_restored_where_the_run_still_has_it(tmp_path):
    recipe = recipe_in(tmp_path, "gsa", 1)
    deliver(tmp_path, FIRST)
    assert night(recipe).exit_code == 0
    learned = place(tmp_path) / FILE
    whole = learned.read_bytes()
    learned.write_bytes(whole[:-10])
    assert here("verify", place(tmp_path), "-q").exit_code == 3
    assert here("gc", recipe).exit_code == 0
    deliver(tmp_path, {**FIRST, "dense": {**FIRST["dense"], 16: 0}})
    done = night(recipe)
    assert done.exit_code == 0, done.output
    assert learned.read_bytes() == whole
    assert here("verify", place(tmp_path), "-q").exit_code == 0
    deliver(tmp_path, {**FIRST, "dense": {**FIRST["dense"], 16: 0, 20: 0}})
    assert night(recipe).exit_code == 0
    assert here("gc", recipe).exit_code == 0
    assert list((tmp_path / "out/.stsfusion").glob("weights-*")), "it is what the series was made with"


def lose(path):
    path.unlink()


def test_a_series_whose_coordinates_are_damaged_is_told_with_the_file_and_what_helps(recipe):
    series = place(recipe.parent)
    deliver(recipe.parent, {**FIRST, "dense": {**FIRST["dense"], 16: 0}})
    for file, harm, what in (
        ("time/c/0", lose, "missing"),
        ("time/c/0", flip, "changed"),
        ("band/c/0", lose, "missing"),
    ):
        whole = (series / file).read_bytes()
        harm(series / file)
        told = " ".join(here("status", recipe).output.split())
        assert f"damaged: {file} ({what})" in told
        assert "restore these files" in told
        assert "zarr.json" not in told
        done = here("update", recipe, "-q")
        assert done.exit_code == 2, done.output
        assert f"{file} ({what})" in done.stderr
        assert "--overwrite" in done.stderr
        (series / file).write_bytes(whole)
    assert night(recipe).exit_code == 0
    lose(series / "time/c/0")
    assert here("run", recipe, "--overwrite", "-q").exit_code == 0
    assert here("verify", series, "-q").exit_code == 0


def test_a_series_that_does_not_say_what_it_was_made_from_is_not_called_damaged(recipe):
    (place(recipe.parent) / "time/c/0").unlink()
    (place(recipe.parent) / ".checksums.json").write_text("{}")
    told = " ".join(here("status", recipe).output.split())
    assert "does not say what it was made from" in told
