"""Mishaps: deaths at bad moments, damaged notes, two runs at once: the right series, or words."""

import os
import shutil
import signal
import time

import pytest
import xarray as xr
from dying import Death
from small_project import bytes_of, here

from stsfusion.cube.generations import exchange
from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.running.lock import Lock


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_project):
    """A run that nothing disturbed."""
    recipe = write_project(tmp_path_factory.mktemp("mishaps"), tile=36)
    assert here("run", recipe, "-q").exit_code == 0
    return recipe


@pytest.fixture
def copy(whole, tmp_path, write_project):
    """A copy of the run and its recipe, to be spoilt."""
    recipe = write_project(tmp_path, tile=36)
    shutil.copytree(whole.parent / "out", tmp_path / "out")
    for role in ("rich", "sharp", "dense"):
        shutil.copy2(whole.parent / f"{role}.nc", tmp_path / f"{role}.nc")
    assert here("run", recipe, "-q").exit_code == 0
    return recipe


def series(recipe):
    return recipe.parent / "out" / "fused.zarr"


def method_of(recipe):
    return xr.open_zarr(series(recipe)).attrs["method"]["name"]


@pytest.mark.parametrize("step", ["cubes", "fuse", "evaluate", "report"])
def test_dying_before_a_step_is_noted_never_passes_one_recipe_for_another(copy, monkeypatch, step):
    expected = bytes_of(series(copy))
    scores = (copy.parent / "out" / "scores.json").read_bytes()
    noted = Folder.mark

    def die(self, name, *words, **facts):
        if name == step:
            raise Death
        noted(self, name, *words, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "mark", die)
        other = ["--set", "fuse.method=bicubic", "--set", "area.bounds=[500000, 3999640, 500360, 4000000]"]
        with pytest.raises(Death):
            here("run", copy, "-q", "--overwrite", *other)
    done = here("run", copy, "-q", "--overwrite")
    assert done.exit_code == 0, done.output
    assert bytes_of(series(copy)) == expected
    assert (copy.parent / "out" / "scores.json").read_bytes() == scores
    assert method_of(copy) == "gsa"
    assert not list((copy.parent / "out").glob(".fused*"))


@pytest.mark.parametrize(
    "damage",
    {
        "notes cut short": lambda out: (out / ".stsfusion/steps.json").write_text('{"cubes": {"fi'),
        "no notes": lambda out: (out / ".stsfusion/steps.json").unlink(),
        "scores cut short": lambda out: (out / "scores.json").write_text('{"rows": ['),
        "no report": lambda out: (out / "report.html").unlink(),
        "a shard gone": lambda out: next((out / "fused.zarr/reflectance").rglob("0/0/0/0")).unlink(),
        "no series, weights cut": lambda out: [
            shutil.rmtree(out / "fused.zarr"),
            next((out / ".stsfusion").glob("weights*")).write_bytes(b"1234"),
        ],
        "an input gone": lambda out: shutil.rmtree(out / "cubes.zarr/rich"),
        "no plan": lambda out: shutil.rmtree(out / ".stsfusion/plan"),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_was_damaged_is_made_anew(copy, damage):
    expected = bytes_of(series(copy))
    damage[1](copy.parent / "out")
    done = here("run", copy, "-q")
    assert done.exit_code == 0, done.output
    assert bytes_of(series(copy)) == expected
    assert "Nothing to do" in here("run", copy).stdout


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_learning_it_says_how_to_go_on(write_project, tmp_path, monkeypatch, sign):
    recipe = write_project(tmp_path, tile=36)

    def long(*words):
        os.kill(os.getpid(), sign)
        time.sleep(30)

    # A test runner's worker may ignore Ctrl-C; a shell's does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(fusing, "fit", long)
            done = here("run", recipe)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.exit_code == 75, done.output
    assert "The same command goes on" in done.stdout
    assert here("run", recipe, "-q").exit_code == 0


def test_stopped_while_fusing_tiles_are_not_called_done(write_project, tmp_path, monkeypatch):
    recipe = write_project(tmp_path, tile=36)
    real = fusing.fuse_tile

    def interrupted(*words):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*words)

    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", interrupted)
        done = here("run", recipe, "--executor", "inline")
    assert done.exit_code == 75, done.output
    assert "Fusing tiles: stopped after" in done.stderr
    assert "Fusing tiles: done" not in done.stderr


def test_who_comes_too_early_takes_nothing_away(write_project, tmp_path):
    recipe = write_project(tmp_path, tile=36)
    folder = Folder(tmp_path / "out", "small", recipe)
    with Lock(folder.work / "lock"):
        folder.claim()
        assert here("run", recipe).exit_code == 75
        assert (folder.work / "owner.json").exists()


def test_a_recipe_of_the_same_name_from_elsewhere_is_refused(copy, whole):
    done = here("run", copy, "-q", "--set", f"output={whole.parent / 'out'}")
    assert done.exit_code == 2
    assert "a folder of the recipe 'small'" in done.stderr
    assert bytes_of(series(whole)) == bytes_of(series(copy))


def test_a_place_that_cannot_be_written_is_named(write_project, tmp_path):
    recipe = write_project(tmp_path, tile=36)
    (tmp_path / "file").write_text("")
    done = here("run", recipe, "-q", "--set", f"output={tmp_path / 'file' / 'out'}")
    assert done.exit_code == 2
    assert "file" in done.stderr
    assert "Traceback" not in done.output


def test_a_series_is_replaced_in_one_step(copy):
    """While it is replaced again and again, whoever opens it finds a whole one."""
    place = series(copy)
    spare = place.with_name("spare.zarr")
    shutil.copytree(place, spare)
    seen = set()
    for _ in range(20):
        exchange(spare, place)
        seen.add(xr.open_zarr(place).sizes["time"])
        assert spare.exists()
    assert seen == {5}
