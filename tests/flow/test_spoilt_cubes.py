"""Bits that change in a run's own copy of its input: nothing is made of them, and the right series comes."""

import json
import shutil

import pytest
from dying import dying
from small_project import bytes_of, here

from stsfusion.pipeline import making
from stsfusion.pipeline.folder import Folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_project):
    """A run that nothing disturbed."""
    recipe = write_project(tmp_path_factory.mktemp("spoilt"), tile=36)
    assert here("run", recipe, "-q").exit_code == 0
    return recipe


@pytest.fixture
def copy(whole):
    """The run, to be spoilt; it is put back afterwards."""
    kept = whole.parent / "kept"
    shutil.copytree(whole.parent / "out", kept)
    yield whole
    shutil.rmtree(whole.parent / "out")
    kept.rename(whole.parent / "out")


def out(recipe):
    return recipe.parent / "out"


def flip(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def a_shard(recipe, role="rich"):
    return next(
        path for path in (out(recipe) / f"cubes.zarr/{role}/reflectance/c/0").rglob("*") if path.is_file()
    )


SPOILS = {
    "a shard": lambda recipe: flip(a_shard(recipe)),
    "a mask": lambda recipe: flip(next((out(recipe) / "cubes.zarr/sharp/valid/c/0").rglob("0/0"))),
    "a coordinate": lambda recipe: flip(out(recipe) / "cubes.zarr/rich/wavelength/c/0"),
    "a document": lambda recipe: flip(out(recipe) / "cubes.zarr/zarr.json"),
    "the checksums": lambda recipe: flip(out(recipe) / "cubes.zarr/.checksums.json", 0.0),
    "a lost shard": lambda recipe: a_shard(recipe, "dense").unlink(),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_nothing_is_made_of_spoilt_cubes(copy, spoil):
    expected, cubes = bytes_of(out(copy) / "fused.zarr"), bytes_of(out(copy) / "cubes.zarr")
    spoil(copy)
    shutil.rmtree(out(copy) / "fused.zarr")
    done = here("run", copy)
    assert done.exit_code == 0, done.output
    assert "Input cubes had been damaged and were made again" in done.stdout
    assert bytes_of(out(copy) / "cubes.zarr") == cubes
    assert bytes_of(out(copy) / "fused.zarr") == expected
    assert "Nothing to do" in here("run", copy).stdout


def test_whole_cubes_are_looked_at_once_and_only_where_something_is_made(copy):
    assert "Checking" not in here("run", copy).output
    shutil.rmtree(out(copy) / "fused.zarr")
    done = here("run", copy)
    assert done.output.count("Checking the cubes: done") == 1
    assert "damaged" not in done.output
    shutil.rmtree(out(copy))
    assert "Checking" not in here("run", copy).output, "just made"


def test_what_was_made_of_them_before_a_kill_is_made_anew(copy):
    """Tiles and weights of a run that died may stem from the time after a bit had changed."""
    expected = bytes_of(out(copy) / "fused.zarr")
    shutil.rmtree(out(copy) / "fused.zarr")
    with dying(making, "_publish"):
        here("run", copy, "-q")
    staging = Folder(out(copy), "small", copy).stagings
    weights = list((out(copy) / ".stsfusion").glob("weights-*"))
    before = [path.stat().st_ino for path in (*staging, *weights)]
    assert len(before) == 2
    flip(a_shard(copy))
    done = here("run", copy)
    assert done.exit_code == 0, done.output
    assert [path.stat().st_ino for path in (out(copy) / "fused.zarr", *weights)] != before
    assert bytes_of(out(copy) / "fused.zarr") == expected
    assert "Learning (gsa): done" in done.output


def test_a_foreign_file_beside_the_cubes_costs_no_work(copy):
    (out(copy) / "cubes.zarr/rich/.DS_Store").write_bytes(b"?")
    inode = (out(copy) / "cubes.zarr").stat().st_ino
    done = here("run", copy)
    assert done.exit_code == 0, done.output
    assert "Reading the cubes" not in done.output
    assert (out(copy) / "cubes.zarr").stat().st_ino == inode
    assert "Nothing to do" in here("run", copy).stdout


def test_scores_are_not_of_spoilt_cubes(copy):
    (out(copy) / "scores.json").unlink()
    flip(a_shard(copy, "sharp"))
    done = here("run", copy)
    assert done.exit_code == 0, done.output
    assert "made again" in done.stdout


@pytest.mark.parametrize("text", ['{"cubes": 5}', '{"cubes": {"fingerprint": 1}, "fuse": []}'])
def test_notes_of_another_shape_are_no_notes(copy, text):
    expected = bytes_of(out(copy) / "fused.zarr")
    (out(copy) / ".stsfusion/steps.json").write_text(text)
    assert here("status", copy).exit_code == 0
    assert here("run", copy, "-q").exit_code == 0
    assert bytes_of(out(copy) / "fused.zarr") == expected


@pytest.mark.parametrize(
    "command, text",
    [(["run"], ""), (["update"], '{"attributes": {'), (["gc"], ""), (["run", "--overwrite"], "[]")],
)
def test_a_staged_note_that_cannot_be_read_stops_nobody(copy, command, text):
    expected = bytes_of(out(copy) / "fused.zarr")
    (out(copy) / "fused.zarr/.staged.json").write_text(text)
    done = here(command[0], copy, *command[1:])
    assert done.exit_code == 0, done.output
    assert bytes_of(out(copy) / "fused.zarr") == expected


def test_a_series_in_the_making_whose_note_cannot_be_read_is_begun_again(copy):
    expected = bytes_of(out(copy) / "fused.zarr")
    shutil.rmtree(out(copy) / "fused.zarr")
    with dying(making.fusing, "fuse_tiles"):
        here("run", copy, "-q")
    (staging,) = Folder(out(copy), "small", copy).stagings
    (staging / ".staged.json").write_text("{")
    assert here("run", copy, "-q").exit_code == 0
    assert bytes_of(out(copy) / "fused.zarr") == expected


def test_a_file_in_the_place_of_a_series_in_the_making_is_passed_over(copy):
    (out(copy) / ".fused-x.zarr").write_text("")
    assert here("gc", copy).exit_code == 0
    shutil.rmtree(out(copy) / "fused.zarr")
    assert here("run", copy, "-q").exit_code == 0
    assert json.loads((out(copy) / ".stsfusion/steps.json").read_text())["fuse"]


@pytest.mark.parametrize("words", [("status",), ("plan",), ("run", "--dry-run")], ids=" ".join)
def test_whoever_only_looks_says_what_mends_labels_that_cannot_be_read(copy, words):
    coordinate = out(copy) / "cubes.zarr/rich/wavelength/c/0"
    coordinate.write_bytes(b"noise" * 20)
    done = here(words[0], copy, *words[1:])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 0 or "Run the recipe again" in done.output
    assert coordinate.read_bytes() == b"noise" * 20
