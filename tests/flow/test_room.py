"""Memory and disk are asked for what is left to be made, and for nothing where nothing is."""

import json
import shutil
from collections import namedtuple

import pytest
from dying import Death
from nightly import FIRST_DATES, deliver, one_version, place, recipe_in, shown
from small_project import bytes_of, here

from stsfusion.cube.publication import Publication
from stsfusion.engine import need
from stsfusion.pipeline import fusing, room, steps

Usage = namedtuple("Usage", "total used free")
DATE = 24 * 24 * (2 * 8 + 3)
"""Bytes of a date of the series before compression: 8 bands, quality and masks."""

LATER = {**FIRST_DATES, "dense": {**FIRST_DATES["dense"], 20: 0}}


@pytest.fixture(scope="module", autouse=True)
def steady():
    with one_version():
        yield


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes the disk says that it has left."""

    def only(count):
        monkeypatch.setattr(need.shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - count, count))

    return only


@pytest.fixture
def no_memory(monkeypatch):
    """A machine on which something else takes all the memory."""
    monkeypatch.setattr(need.psutil, "virtual_memory", lambda: namedtuple("Memory", "available")(0))


@pytest.fixture
def fresh(tmp_path):
    """Four dates that nobody has fused."""
    deliver(tmp_path, FIRST_DATES)
    return recipe_in(tmp_path, "lineartime", 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    deliver(folder, FIRST_DATES)
    recipe = recipe_in(folder, "lineartime", 1)
    assert here("run", recipe, "-q").exit_code == 0
    return recipe


@pytest.fixture
def made(whole, tmp_path):
    """The same, published."""
    shutil.copytree(whole.parent, tmp_path, dirs_exist_ok=True)
    return recipe_in(tmp_path, "lineartime", 1)


def told(*words):
    done = here(*words, "--json")
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


def stopped(recipe, monkeypatch, after, *words):
    """A run that dies when so many tiles are done."""
    fuse, count = fusing.fuse_tile, []

    def deadly(*told):
        count.append(told)
        if len(count) > after:
            raise Death
        return fuse(*told)

    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", deadly)
        with pytest.raises(Death):
            here(*(words or ("run",)), recipe, "-q")


def test_a_finished_series_asks_for_nothing(whole, free, no_memory):
    free(0)
    for verb in ("run", "update"):
        code, said = told(verb, whole)
        assert (code, said["worked"]) == (0, False), said
    code, said = told("status", whole)
    assert (code, said["series"]) == (0, "4 dates published")
    assert told("plan", whole)[1]["tiles"] == 0
    assert here("run", whole, "--dry-run").exit_code == 0
    assert told("status", whole, "--set", "fuse.budget=300 MB")[0] == 0
    assert told("run", whole, "--set", "fuse.budget=300 MB")[0] == 0
    (whole.parent / "out" / "scores.json").unlink()
    code, said = told("run", whole)
    assert (code, "Scoring" in said["steps"]) == (0, True)


@pytest.mark.parametrize("words", [("run",), ("run", "--dry-run"), ("plan",), ("update",)])
def test_what_does_not_fit_is_refused_before_anything_is_left(fresh, free, words):
    before = sorted(fresh.parent.rglob("*"))
    free(4 * DATE - 1)
    code, said = told(words[0], fresh, *words[1:])
    assert code == 2
    assert "room for 0.0 MiB (before compression)" in said["words"]
    free(4 * DATE)
    code, said = told(words[0], fresh, *words[1:], "--set", "fuse.budget=300 MB")
    assert code == 2
    assert "at most 0.28 GiB in each of 1 worker(s)" in said["words"]
    assert sorted(fresh.parent.rglob("*")) == before


@pytest.mark.parametrize("limit", ["disk", "memory"])
def test_it_is_refused_before_learning(fresh, free, monkeypatch, limit):
    """Where no cubes of the user's own could be planned on before these were read."""
    monkeypatch.setattr(steps, "plan_early", lambda run: None)
    free(4 * DATE - (limit == "disk"))
    budget = ("--set", "fuse.budget=300 MB") if limit == "memory" else ()
    assert told("run", fresh, "--set", "fuse.method=gsa", *budget)[0] == 2
    assert not list(fresh.parent.rglob("weights-*"))


def test_a_run_that_goes_on_asks_for_the_tiles_that_are_left(fresh, whole, free, monkeypatch):
    stopped(fresh, monkeypatch, 3)
    left = DATE * 4 * 12 * 12 // 24**2
    count = sum(1 for line in told("plan", fresh, "--tiles")[1]["keys"] if line)
    free(left * (count - 3) - 1)
    code, said = told("run", fresh)
    assert code == 2, "tiles of which nothing is known but their size"
    free(left * (count - 3))
    assert here("run", fresh, "--dry-run").exit_code == told("plan", fresh)[0] == 0
    code, said = told("run", fresh)
    assert (code, said["tiles"]["done"]) == (0, count)
    assert bytes_of(place(fresh.parent)) == bytes_of(place(whole.parent))


def test_tiles_that_are_done_tell_how_well_the_others_compress(fresh, free, monkeypatch):
    stopped(fresh, monkeypatch, 1)
    monkeypatch.setattr(room, "_held", lambda path: 100 if path.exists() else 0)
    keys = told("plan", fresh, "--tiles")[1]["keys"]
    free(100 * (len(keys) - 1) - 1)
    code, said = told("run", fresh)
    assert code == 2
    assert "(by what is written already)" in said["words"]
    free(100 * (len(keys) - 1))
    assert told("run", fresh)[0] == 0


def test_tiles_that_went_with_their_store_are_asked_for_again(fresh, free, monkeypatch):
    stopped(fresh, monkeypatch, 1)
    assert told("gc", fresh)[1]["removed"]
    free(4 * DATE - 1)
    assert told("run", fresh)[0] == 2
    free(4 * DATE)
    assert told("run", fresh)[0] == 0


def test_what_other_settings_left_half_done_comes_free(fresh, free, monkeypatch):
    stopped(fresh, monkeypatch, 1)
    held = sum(room._held(path) for path in (fresh.parent / "out").glob(".fused-*.zarr"))
    assert held > 1000
    free(max(0, 4 * DATE - held))
    assert told("run", fresh, "--set", "fuse.method=bicubic")[0] == 0


def test_an_update_asks_for_the_dates_that_it_makes(made, free):
    """The new date and the last one, which has another neighbour now; the others are linked to."""
    deliver(made.parent, LATER)
    free(2 * DATE - 1)
    before = bytes_of(place(made.parent))
    for verb in ("plan", "update"):
        code, said = told(verb, made)
        assert code == 2
        assert "room for" in said["words"]
    assert told("status", made)[0] == 0
    assert bytes_of(place(made.parent)) == before
    free(2 * DATE)
    assert told("plan", made)[0] == 0
    code, said = told("update", made)
    assert (code, said["dates"]) == (0, {"asked": 5, "new": 1, "changed": 1})


def test_dates_that_are_added_in_place_ask_for_themselves(tmp_path, free, monkeypatch):
    recipe = recipe_in(tmp_path, "bicubic", 0, roles=("rich",))
    deliver(tmp_path, {"rich": {0: 0, 4: 0}})
    assert here("run", recipe, "-q").exit_code == 0
    deliver(tmp_path, {"rich": {0: 0, 4: 0, 8: 0}})
    coarse = DATE // 3**2
    free(coarse - 1)
    assert told("update", recipe)[0] == 2
    free(coarse)
    stopped(recipe, monkeypatch, 0, "update")
    assert Publication(place(tmp_path)).pending
    assert told("update", recipe)[0] == 0
    assert shown(place(tmp_path))[0] == [0, 4, 8]


@pytest.mark.parametrize("early", [True, False])
def test_a_tile_that_is_not_there_is_refused_before_anything_is_read_or_learned(fresh, monkeypatch, early):
    if not early:
        monkeypatch.setattr(steps, "plan_early", lambda run: None)
    code, said = told("run", fresh, "--tiles", "t0-4.y0-12.x0-13", "--set", "fuse.method=gsa")
    assert code == 2
    assert "such as" in said["words"]
    assert not list(fresh.parent.rglob("weights-*"))
    assert (fresh.parent / "out").exists() is not early
    assert here("run", fresh, "--tiles", "t0-4.y0-12.x0-13", "--dry-run").exit_code == 2


def test_a_series_that_does_not_tell_its_origin_is_shown_as_what_it_is(made):
    root = place(made.parent) / "zarr.json"
    document = json.loads(root.read_text())
    del document["attributes"]["made_from"]
    root.write_text(json.dumps(document))
    assert "published, but damaged: zarr.json" in told("status", made)[1]["series"]
    (root.parent / ".checksums.json").unlink()  # nobody can tell any more that it was another
    said = told("status", made)[1]
    assert "published" in said["series"]
    assert "does not say what it was made from" in said["series"]
    code, refused = told("update", made)
    assert code == 2
    assert "does not say what it was made from" in refused["words"]
