"""A series that is brought up to date night by night is the one that a single run would have made."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from dying import Death, dying
from nightly import FIRST_DATES as FIRST
from nightly import deliver, killed_night, night, one_version, place, recipe_in, shown, watched
from small_project import bytes_of, here

from stsfusion.cube.verification import verify
from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder


@pytest.fixture(scope="module", autouse=True)
def steady():
    with one_version():
        yield


def grown(seen, **roles):
    """What has come in, with these days more; a day that was there is processed anew."""
    more = {role: dict(days) for role, days in seen.items()}
    for role, days in roles.items():
        for day in days:
            more[role][day] = more[role].get(day, -1) + 1
    return more


NIGHTS = [
    ("nothing new", {}),
    ("a dense date", {"dense": [16]}),
    ("two dates at once", {"dense": [20, 24]}),
    ("a hyperspectral date", {"rich": [24], "sharp": [24]}),
    ("a late dense scene", {"dense": [6]}),
    ("a duplicate delivery", {}),
    ("a night that is killed", {"dense": [28, 32]}),
    ("the night after it", {}),
    ("a reprocessed scene", {"dense": [16]}),
    ("a late scene before the first", {"dense": [-3]}),
]


def run_nights(folder, method, neighbours):
    """Ten nights; gives what has come in, and the deeds of each."""
    recipe = recipe_in(folder, method, neighbours)
    seen, told = FIRST, {}
    deliver(folder, seen)
    assert here("run", recipe, "-q").exit_code == 0
    with watched(place(folder)) as (wrong, looks):
        for name, more in NIGHTS:
            seen = grown(seen, **more)
            deliver(folder, seen)
            before = bytes_of(place(folder))
            if name == "a duplicate delivery":
                with twice(folder / "dense.nc"):
                    done = night(recipe)
                assert done.exit_code == 2, done.output
                assert "one image a day" in done.stderr or "ris" in done.stderr or "unique" in done.stderr
                assert bytes_of(place(folder)) == before
            elif name == "a night that is killed":
                assert killed_night(recipe, after=3) == -9
                assert shown_days(folder) == told["last"], "readers saw dates that were not whole"
            else:
                done = night(recipe)
                assert done.exit_code == 0, done.output
                if not more and name == "nothing new":
                    assert bytes_of(place(folder)) == before
            told[name] = len(Folder(folder / "out", "nightly", recipe).generations.older())
            told["last"] = shown_days(folder)
    assert not wrong, wrong[:3]
    assert len(looks) > 5, "nobody watched"
    return recipe, seen, told


def shown_days(folder):
    return shown(place(folder))[0]


@contextmanager
def twice(path):
    """A file in which the last date stands twice."""
    whole = path.with_suffix(".whole")
    shutil.move(path, whole)
    cube = xr.load_dataset(whole, engine="h5netcdf")
    order = [*range(cube.sizes["time"]), cube.sizes["time"] - 1]
    cube.isel(time=order).to_netcdf(path, engine="h5netcdf")
    yield
    shutil.move(whole, path)


def attributes(series):
    return dict(xr.open_zarr(series).attrs)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nights")
    return folder, *run_nights(folder, "gsa", 1)


def test_ten_nights_end_with_what_one_run_makes(nights, tmp_path):
    folder, _, seen, _ = nights
    whole = recipe_in(tmp_path, "gsa", 1)
    deliver(tmp_path, seen)
    done = here("run", whole, "-q", "--learned", place(folder))
    assert done.exit_code == 0, done.output
    (days, values, qa), (other_days, other, other_qa) = shown(place(folder)), shown(place(tmp_path))
    assert days == other_days == sorted(seen["dense"])
    np.testing.assert_array_equal(values, other)
    np.testing.assert_array_equal(qa, other_qa)
    assert attributes(place(folder)) == attributes(place(tmp_path))
    assert bytes_of(place(folder)) == bytes_of(place(tmp_path))
    assert not verify(place(folder)).damages


def test_only_what_changes_the_past_makes_a_generation(nights):
    _, _, _, told = nights
    assert told["nothing new"] == 0
    assert told["a late dense scene"] == 1
    assert told["a late scene before the first"] == 1, "two generations stay"


def test_dates_that_stay_are_the_very_files_of_before(nights):
    folder, recipe, _, _ = nights
    (old,) = Folder(folder / "out", "nightly", recipe).generations.older()
    new, inodes = place(folder), {p.stat().st_ino for p in old.rglob("*") if p.is_file()}
    shared = [p for p in (new / "reflectance").rglob("*") if p.is_file() and p.stat().st_ino in inodes]
    assert len(shared) >= 4 * 6, "dates were written again that did not change"


def test_run_after_an_update_leaves_the_series_alone(nights):
    folder, recipe, _, _ = nights
    before = bytes_of(place(folder))
    done = here("run", recipe, "-q")
    assert done.exit_code == 0, done.output
    assert bytes_of(place(folder)) == before
    assert "Nothing to do" in here("update", recipe).stdout


def test_old_generations_go_when_told_and_the_series_stays(nights):
    folder, recipe, _, _ = nights
    before = bytes_of(place(folder))
    said = json.loads(here("gc", recipe, "--keep", "1", "--dry-run", "--json").stdout)
    (old,) = Folder(folder / "out", "nightly", recipe).generations.older()
    assert Path(said["removed"][0]["path"]).name == old.name
    assert here("gc", recipe, "--keep", "1").exit_code == 0
    assert Folder(folder / "out", "nightly", recipe).generations.older() == []
    assert bytes_of(place(folder)) == before
    assert not verify(place(folder)).damages
    assert here("gc", recipe, "--keep", "0").exit_code == 2
    assert "Nothing to do" in here("gc", recipe).stdout


def test_the_journal_tells_of_every_night(nights):
    folder, _, _, _ = nights
    lines = [json.loads(line) for line in (folder / "out/.stsfusion/log.jsonl").read_text().splitlines()]
    published = [line for line in lines if line["event"] == "published"]
    assert [line["dates"] for line in published] == [4, 5, 7, 7, 8, 10, 10, 11]
    killed = {line["run"] for line in lines} - {line["run"] for line in lines if line["event"] == "end"}
    tiles = [line for line in lines if line["event"] == "tile" and line["run"] in killed]
    assert len(killed) == 1
    assert len(tiles) == 3, "the tiles of the night that was killed"


@pytest.fixture
def small(tmp_path):
    """A series by a method that learns nothing."""
    recipe = recipe_in(tmp_path, "lineartime", 1)
    deliver(tmp_path, FIRST)
    assert night(recipe).exit_code == 0, "without a series an update runs the recipe"
    return recipe


def test_what_is_published_is_only_replaced_when_that_is_said(small):
    folder = small.parent
    before = bytes_of(place(folder))
    for setting in ("fuse.method=bicubic", "fuse.neighbours=2"):
        done = night(small, "--set", setting)
        assert done.exit_code == 2
        assert "other settings" in done.stderr
    deliver(folder, {**FIRST, "dense": {0: 0, 8: 0, 12: 0, 16: 0}})
    for words in ((), ("--refit",)):
        done = night(small, *words)
        assert done.exit_code == 2
        assert "without input: 2022-03-05" in done.stderr
        assert "bring their input back, or say" in done.stderr
        narrow = night(small, *words, "--set", "fuse.dates=[2022-03-01, 2022-03-13]")
        assert narrow.exit_code == 2
        assert "no longer asks for: 2022-03-09; dates without input: 2022-03-05" in narrow.stderr
        assert "ask for them too ('fuse.dates', --dates) and bring their input back" in narrow.stderr
    deliver(folder, grown(FIRST, dense=[16]))
    done = here("run", small, "-q")
    assert done.exit_code == 2
    assert "stsfusion update" in done.stderr
    assert bytes_of(place(folder)) == before
    done = here("run", small, "--overwrite", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said == said | {"code": 0, "command": "run", "worked": True}
    assert said["tiles"]["planned"] == said["tiles"]["done"]
    assert shown_days(folder) == [0, 4, 8, 12, 16]


def test_a_publication_cut_off_before_the_old_one_was_shelved_is_finished(small):
    folder = small.parent
    deliver(folder, grown(FIRST, dense=[2]))
    with dying("stsfusion.cube.generations.Generations.shelve"):
        here("update", small, "-q")
    left = list((folder / "out").glob(".fused-*"))
    assert len(left) == 1
    assert shown_days(folder) == [0, 2, 4, 8, 12]
    assert night(small).exit_code == 0
    assert not left[0].exists()
    (old,) = Folder(folder / "out", "nightly", small).generations.older()
    assert shown(old)[0] == [0, 4, 8, 12]


def test_dates_that_change_no_other_are_added_in_place(tmp_path, monkeypatch):
    """Cut off half way they are not seen, and begun anew when more has come in the next night."""
    recipe = recipe_in(tmp_path, "bicubic", 0, roles=("rich",))
    deliver(tmp_path, {"rich": {0: 0, 4: 0}})
    assert night(recipe).exit_code == 0
    inode, fuse, count = place(tmp_path).stat().st_ino, fusing.fuse_tile, []

    def deadly(*words):
        count.append(words)
        if len(count) == 2:
            raise Death
        return fuse(*words)

    deliver(tmp_path, {"rich": {0: 0, 4: 0, 8: 0, 10: 0}})
    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", deadly)
        with pytest.raises(Death):
            here("update", recipe, "-q")
    assert shown_days(tmp_path) == [0, 4]
    assert not verify(place(tmp_path)).damages
    deliver(tmp_path, {"rich": {0: 0, 4: 0, 8: 1, 10: 0, 12: 0}})
    assert night(recipe, "--retry-failed").exit_code == 0, "none of the new dates' tiles has failed before"
    days, values, _ = shown(place(tmp_path))
    assert days == [0, 4, 8, 10, 12]
    assert np.isfinite(values).all()
    assert place(tmp_path).stat().st_ino == inode
    assert Folder(tmp_path / "out", "nightly", recipe).generations.older() == []
    whole = tmp_path / "whole"
    whole.mkdir()
    deliver(whole, {"rich": {0: 0, 4: 0, 8: 1, 10: 0, 12: 0}})
    again = recipe_in(whole, "bicubic", 0, roles=("rich",))
    assert here("run", again, "-q", "--learned", place(tmp_path)).exit_code == 0
    assert bytes_of(place(tmp_path)) == bytes_of(place(whole))


@pytest.mark.slow
def test_another_version_is_told_of_and_can_be_accepted(small, monkeypatch):
    folder = small.parent
    monkeypatch.setattr("stsfusion.__version__", "99.0")
    deliver(folder, grown(FIRST, dense=[16]))
    done = night(small)
    assert done.exit_code == 2
    assert "another version" in done.stderr
    assert night(small, "--across-versions").exit_code == 0
    assert shown_days(folder) == [0, 4, 8, 12, 16]


@pytest.mark.slow
def test_refit_learns_anew_and_keeps_the_generation_before(tmp_path):
    recipe = recipe_in(tmp_path, "gsa", 1)
    deliver(tmp_path, FIRST)
    assert night(recipe).exit_code == 0
    learned = attributes(place(tmp_path))["weights_sha256"]
    deliver(tmp_path, grown(FIRST, dense=[16, 20], rich=[20], sharp=[20]))
    assert night(recipe).exit_code == 0
    assert attributes(place(tmp_path))["weights_sha256"] == learned, "what was learned is frozen"
    assert night(recipe, "--refit").exit_code == 0
    assert attributes(place(tmp_path))["weights_sha256"] != learned
    (old,) = Folder(tmp_path / "out", "nightly", recipe).generations.older()
    assert attributes(old)["weights_sha256"] == learned


@pytest.mark.slow
@pytest.mark.parametrize(("method", "neighbours"), [("lineartime", None), ("gsa", None), ("gsa", 2)])
def test_ten_nights_of_other_methods(tmp_path, method, neighbours):
    nights, whole = tmp_path / "nights", tmp_path / "whole"
    nights.mkdir()
    whole.mkdir()
    _, seen, _ = run_nights(nights, method, neighbours)
    deliver(whole, seen)
    done = here("run", recipe_in(whole, method, neighbours), "-q", "--learned", place(nights))
    assert done.exit_code == 0, done.output
    assert bytes_of(place(nights)) == bytes_of(place(whole))
