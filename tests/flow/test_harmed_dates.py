"""Published dates that a disk has lost: nothing is built on them, and what is not made again stays noted."""

import json
import shutil

import pytest
import yaml
from dying import Death, dying
from nightly import FIRST_DATES, deliver, night, place, recipe_in, shown
from small_project import bytes_of, here

from stsfusion.cube.generations import Generations
from stsfusion.cube.publication import Publication
from stsfusion.cube.store import CubeStore
from stsfusion.pipeline import fusing

pytestmark = pytest.mark.usefixtures("quick")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose(path):
    path.unlink()


def shorten(path):
    path.write_bytes(path.read_bytes()[:-9])


THREE = {0: 0, 4: 0, 8: 0}


def appending(folder, days=THREE):
    """A series whose dates change no other: what comes after them is added in place."""
    deliver(folder, {"rich": days})
    return recipe_in(folder, "bicubic", 0, roles=("rich",))


def shard_of(folder, date):
    return next(path for path in (place(folder) / f"reflectance/c/{date}").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("harm", "more"),
    [(lose, {6: 0}), (shorten, {12: 0}), (lose, {})],
    ids=["lost, a late date", "cut short, a new date", "lost, nothing new"],
)
def test_dates_that_a_disk_has_lost_are_made_again_before_others_are_added(tmp_path, harm, more):
    recipe = appending(tmp_path, {0: 0, 4: 0})
    assert night(recipe).exit_code == 0
    deliver(tmp_path, {"rich": THREE})
    assert night(recipe).exit_code == 0
    kept = shard_of(tmp_path, 1).stat().st_ino
    harm(shard_of(tmp_path, 0))
    deliver(tmp_path, {"rich": {**THREE, **more}})
    done = here("update", recipe, "--json", "-q")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["damaged"] == ["2022-03-01"]
    assert said["dates"] == {"asked": 3 + len(more), "new": len(more), "changed": 1}
    assert said["tiles"]["done"] == 1 + len(more), "what is whole was made again"
    assert here("verify", place(tmp_path), "-q").exit_code == 0
    status = json.loads(here("status", recipe, "--json").stdout)
    assert (status["tiles planned"], status["tiles done"]) == (0, 1 + len(more))
    assert shard_of(tmp_path, 1).stat().st_ino == kept
    whole = tmp_path / "whole"
    whole.mkdir()
    assert here("run", appending(whole, {**THREE, **more}), "-q", "--learned", place(tmp_path)).exit_code == 0
    assert bytes_of(place(tmp_path)) == bytes_of(place(whole))
    assert "Nothing to do" in here("update", recipe).stdout


@pytest.mark.parametrize("more", [{6: 0}, {12: 0}], ids=["late", "new"])
def test_a_bit_that_changed_within_a_file_is_told_of_however_the_series_grows(tmp_path, more):
    recipe = appending(tmp_path)
    assert night(recipe).exit_code == 0
    flip(shard_of(tmp_path, 0))
    deliver(tmp_path, {"rich": {**THREE, **more}})
    assert night(recipe).exit_code == 0
    found = json.loads(here("verify", place(tmp_path), "--json", "-q").stdout)
    assert [damage["what"] for damage in found["damages"]] == ["changed"]


def test_without_checksums_no_date_is_taken_for_whole(tmp_path):
    recipe = appending(tmp_path)
    assert night(recipe).exit_code == 0
    (place(tmp_path) / ".checksums.json").unlink()
    before = bytes_of(place(tmp_path))
    deliver(tmp_path, {"rich": {**THREE, 12: 0}})
    done = night(recipe)
    assert done.exit_code == 2
    assert ".checksums.json" in done.stderr
    assert bytes_of(place(tmp_path)) == before
    assert here("run", recipe, "-q", "--overwrite").exit_code == 0
    assert here("verify", place(tmp_path), "-q").exit_code == 0


@pytest.mark.parametrize("harm", [lose, flip])
def test_a_publication_that_is_finished_after_a_kill_forgets_no_damage(tmp_path, harm):
    """Dead between the moment of truth and the checksums, of which those before are then still known."""
    recipe = appending(tmp_path)
    assert night(recipe).exit_code == 0
    deliver(tmp_path, {"rich": {**THREE, 12: 0}})
    note = Publication._note

    def die(self, *words):
        if self.path == place(tmp_path):
            raise Death
        note(self, *words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Publication, "_note", die)
        with pytest.raises(Death):
            here("update", recipe, "-q")
    harm(shard_of(tmp_path, 0))
    CubeStore(place(tmp_path)).recover()
    assert shown(place(tmp_path))[0] == [0, 4, 8, 12]
    assert here("verify", place(tmp_path), "-q").exit_code == 3


def killed_while_letting_go(monkeypatch, recipe, *words):
    """A run that dies once the new series is in place and the old one half deleted."""

    def die(_, old, **__):
        shutil.rmtree(old / "reflectance" / "c" / "2")
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(Generations, "shelve", die)
        with pytest.raises(Death):
            here(*words, recipe, "-q")


@pytest.mark.parametrize("words", [("update",), ("run", "--overwrite")])
def test_what_a_lost_date_was_mended_in_place_of_never_comes_back(tmp_path, monkeypatch, words):
    """Both have one identity: a kill leaves the old one where the next mending would look for its own."""
    recipe = appending(tmp_path)
    assert night(recipe).exit_code == 0
    whole = bytes_of(place(tmp_path))
    lose(shard_of(tmp_path, 0))
    killed_while_letting_go(monkeypatch, recipe, *words)
    assert list((tmp_path / "out").glob(".fused-*.zarr")), "nothing was left beside"
    lose(shard_of(tmp_path, 1))
    done = here(*words, str(recipe), "--json", "-q")
    assert done.exit_code == 0, done.output
    assert here("verify", str(place(tmp_path)), "-q").exit_code == 0
    assert bytes_of(place(tmp_path)) == whole
    assert not list((tmp_path / "out").glob(".fused-*.zarr"))


def test_a_finished_series_that_a_disk_changed_before_it_took_its_place_is_made_again(tmp_path):
    recipe = appending(tmp_path)
    assert night(recipe).exit_code == 0
    whole = bytes_of(place(tmp_path))
    lose(shard_of(tmp_path, 0))
    with dying(Generations, "succeed"):
        here("update", recipe, "-q")
    (staged,) = (tmp_path / "out").glob(".fused-*.zarr")
    flip(next(path for path in (staged / "reflectance/c/2").rglob("*") if path.is_file()))
    assert here("update", str(recipe), "-q").exit_code == 0
    assert here("verify", str(place(tmp_path)), "-q").exit_code == 0
    assert bytes_of(place(tmp_path)) == whole


@pytest.mark.parametrize(
    ("file", "harm", "what"), [("basis/c/0/0", lose, "missing"), ("sigma_weights/c/0/0", flip, "changed")]
)
def test_a_compact_series_does_not_grow_without_what_its_maps_are_expanded_by(tmp_path, file, harm, what):
    deliver(tmp_path, FIRST_DATES)
    recipe = recipe_in(tmp_path, "jointlr")
    asked = yaml.safe_load(recipe.read_text())
    asked["fuse"]["product"] = "compact"
    recipe.write_text(yaml.safe_dump(asked))
    assert night(recipe).exit_code == 0
    whole = (place(tmp_path) / file).read_bytes()
    harm(place(tmp_path) / file)
    before = bytes_of(place(tmp_path))
    deliver(tmp_path, {role: {**days, 16: 0} for role, days in FIRST_DATES.items()})
    done = night(recipe)
    assert done.exit_code == 2, done.output
    assert f"got {file} ({what})" in done.stderr
    assert "Restore them from a copy" in done.stderr
    assert "--overwrite" in done.stderr
    assert bytes_of(place(tmp_path)) == before
    (place(tmp_path) / file).write_bytes(whole)
    assert night(recipe).exit_code == 0
    assert here("verify", place(tmp_path), "-q").exit_code == 0


def test_a_series_that_was_cut_off_once_it_could_be_read_is_not_made_twice(tmp_path, monkeypatch):
    recipe, sweep = appending(tmp_path), Publication._sweep

    def die(self):
        if self.path.name.startswith(".fused-") and self.cut_off:
            raise Death
        sweep(self)

    with monkeypatch.context() as patch:
        patch.setattr(Publication, "_sweep", die)
        with pytest.raises(Death):
            night(recipe)
    assert not place(tmp_path).exists()

    def again(*_, **__):
        pytest.fail("tiles that were finished are made again")

    monkeypatch.setattr(fusing, "fuse_tiles", again)
    assert night(recipe).exit_code == 0
    assert shown(place(tmp_path))[0] == [0, 4, 8]
    assert here("verify", str(place(tmp_path)), "-q").exit_code == 0
