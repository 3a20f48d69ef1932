"""What operators ask: what will it take, fuse these tiles, try those again that failed, in words or JSON."""

import errno
import json
import os
import shutil

import pytest
from nightly import FIRST_DATES, deliver, one_version, place, recipe_in
from small_project import bytes_of, here

from stsfusion.pipeline import fusing


@pytest.fixture(scope="module", autouse=True)
def steady():
    with one_version():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was asked for everything at once."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = recipe_in(folder, "lineartime", None)
    deliver(folder, FIRST_DATES)
    assert here("run", recipe, "-q").exit_code == 0
    return recipe


@pytest.fixture
def fresh(whole, tmp_path):
    """The same before it ran."""
    for name in ("nightly.yaml", "rich.nc", "sharp.nc", "dense.nc"):
        shutil.copy2(whole.parent / name, tmp_path / name)
    return recipe_in(tmp_path, "lineartime", None)


def told(*words):
    done = here(*words, "--json")
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


def test_a_plan_says_what_it_takes_and_leaves_nothing(fresh):
    before = sorted(fresh.parent.rglob("*"))
    code, said = told("plan", fresh, "--tile-seconds", "9", "--tiles")
    assert code == 0
    assert said == said | {"tiles": 4, "tile": [12, 12], "published": 4, "new": 4, "known_from": "stated"}
    assert said["hours"] == pytest.approx(4 * 9 / 3600)
    assert len(said["keys"]) == 4
    assert said["read"] > 0
    assert 0 < said["disk"] < said["memory"]
    code, said = told("plan", fresh, "--sample")
    assert said["known_from"] == "a timed tile"
    assert 0 < said["tile_seconds"] < 60
    assert sorted(fresh.parent.rglob("*")) == before


def test_a_plan_knows_what_the_last_run_took(whole):
    _, said = told("plan", whole)
    assert said["known_from"] == "the last run"
    assert (said["new"], said["changed"], said["tiles"], said["hours"], said["written"]) == (0, 0, 0, 0.0, 0)
    assert said["disk"] > 0
    assert "0 s with 1 worker," in " ".join(here("plan", whole, "-q").stdout.split())


def test_a_plan_counts_who_would_work(fresh):
    asked = ("fuse.executor=slurm", "fuse.slurm.jobs=100", "fuse.slurm.processes=4")
    words = [word for text in asked for word in ("--set", text)]
    _, said = told("plan", fresh, "--tile-seconds", "3600", *words)
    assert (said["workers"], said["hours"]) == (400, 4 / 400)
    assert told("plan", fresh, "--tile-seconds", "7", "--set", "fuse.workers=1")[1]["learns"] is False
    assert here("plan", fresh, "--tile-seconds", "-3").exit_code == 2


def test_a_plan_of_an_update_counts_what_the_update_makes(tmp_path):
    recipe = recipe_in(tmp_path, "gsa", 1)
    deliver(tmp_path, FIRST_DATES)
    assert told("plan", recipe)[1]["learns"]
    assert here("run", recipe, "-q").exit_code == 0
    log = (tmp_path / "out/.stsfusion/log.jsonl").read_bytes()
    deliver(tmp_path, {**FIRST_DATES, "dense": {**FIRST_DATES["dense"], 20: 0}})
    plan = told("plan", recipe, "--sample")[1]
    assert (tmp_path / "out/.stsfusion/log.jsonl").read_bytes() == log, "a plan is no run"
    assert not plan["learns"]
    code, done = told("update", recipe)
    assert code == 0
    assert (plan["new"], plan["changed"], plan["exact"]) == (1, done["dates"]["changed"], False)
    assert plan["tiles"] == done["tiles"]["planned"] < 5 * 4
    deliver(tmp_path, {**FIRST_DATES, "dense": {**FIRST_DATES["dense"], 20: 1}})
    assert told("plan", recipe)[1]["tiles"] == 0, "dates alone do not tell"
    assert "processed anew" in " ".join(here("plan", recipe, "-q").stdout.split())


def test_chosen_tiles_first_then_the_rest(whole, fresh):
    _, keys = told("plan", fresh, "--tiles")
    one, other, *_ = keys["keys"]
    code, said = told("run", fresh, "--tiles", f"{one},{other}")
    assert code == 0
    assert said["tiles"] == {"planned": 4, "done": 2, "failed": 0, "left": 2}
    assert not place(fresh.parent).exists()
    code, said = told("run", fresh, "--tiles", "t0-4.y0-12.x0-13")
    assert code == 2
    assert one in said["words"]
    code, said = told("run", fresh)
    assert (code, said["tiles"]["done"]) == (0, 4)
    assert said["dates"] == {"asked": 4, "new": 4, "changed": 0}
    assert "every date anew" in said["words"], "nobody set how many neighbours a date is made from"
    again = told("run", fresh, "--overwrite", "--set", "fuse.neighbours=1")[1]
    assert again["dates"] == {"asked": 4, "new": 0, "changed": 4}
    assert "every date anew" not in again["words"]
    assert told("run", fresh, "--overwrite")[0] == 0
    assert bytes_of(place(fresh.parent)) == bytes_of(place(whole.parent))


def test_tiles_that_failed_are_tried_again_alone(whole, fresh, monkeypatch):
    _, keys = told("plan", fresh, "--tiles")
    bad, lost = keys["keys"][1], keys["keys"][2]
    fuse, asked = fusing.fuse_tile, []

    def failing(folder, stamp, key):
        asked.append(key)
        if key == bad:
            raise OSError("no light today")
        return fuse(folder, stamp, key)

    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", failing)
        code, said = told("run", fresh, "--tiles", f"{bad},{keys['keys'][0]}")
        quietly = here("run", fresh, "-q", "--retry-failed")
    assert (quietly.exit_code, quietly.stdout) == (3, "")
    assert "no light today" in quietly.stderr, "a run that fails is not silent, however quiet"
    assert code == 3
    assert said["failures"] == [{"tile": bad, "why": said["failures"][0]["why"]}]
    assert "no light today" in said["failures"][0]["why"]
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fuse_tile", lambda f, s, key: (asked.append(key), fuse(f, s, key))[1])
        code, said = told("run", fresh, "--retry-failed")
        assert (code, asked) == (0, [bad])
        assert said["tiles"] == {"planned": 4, "done": 2, "failed": 0, "left": 2}
        assert told("run", fresh)[0] == 0
    assert lost in asked
    assert bytes_of(place(fresh.parent)) == bytes_of(place(whole.parent))


def test_who_is_locked_out_is_told_in_json_too(whole):
    from stsfusion.running.lock import Lock

    with Lock(whole.parent / "out" / ".stsfusion" / "lock"):
        _, said = told("run", whole)
        assert said == said | {"code": 75, "command": "run", "recipe": str(whole), "output": said["output"]}
        assert len(said["run"]) == 12
        assert told("update", whole)[0] == 75
        assert told("gc", whole)[0] == 75


def test_status_tells_of_the_run_at_work(fresh, monkeypatch):
    seen, fuse = [], fusing.fuse_tile

    def watched(folder, stamp, key):
        lines = here("status", fresh, "--json").stdout
        seen.append(json.loads(lines))
        return fuse(folder, stamp, key)

    monkeypatch.setattr(fusing, "fuse_tile", watched)
    assert here("run", fresh, "-q").exit_code == 0
    assert f"process {os.getpid()} on" in seen[0]["at work"]
    assert seen[0]["fuse"] == seen[0]["report"] == "not done yet"
    assert (seen[2]["tiles planned"], seen[2]["tiles done"]) == (2, 2)
    assert "tiles a minute" in seen[2]["pace"]
    assert seen[2]["time left"].startswith("about ")
    after = json.loads(here("status", fresh, "--json").stdout)
    assert not {"at work", "pace", "time left"} & after.keys()


def test_a_recipe_that_is_not_there_is_named_in_json(tmp_path):
    code, said = told("update", tmp_path / "none.yaml")
    assert code == 2
    assert said == said | {"code": 2, "command": "update", "recipe": str(tmp_path / "none.yaml")}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_with_place_and_bytes_and_the_log_ends(fresh, monkeypatch, error):
    def full(*words, **more):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("stsfusion.pipeline.steps.take_in", full)
    code, said = told("run", fresh)
    assert code == 2
    assert os.strerror(error) in said["words"]
    assert str(fresh.parent / "out") in said["words"]
    assert "bytes) of" in said["words"]
    assert "--set output=" in said["words"]
    assert said == said | {"command": "run", "recipe": str(fresh)}
    log = (fresh.parent / "out/.stsfusion/log.jsonl").read_text().splitlines()
    last = json.loads(log[-1])
    assert (last["event"], last["code"], last["run"]) == ("end", 2, said["run"])


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), MemoryError()])
def test_what_nobody_foresaw_is_told_in_json_and_the_log_ends(fresh, monkeypatch, error):
    def fail(*words, **more):
        raise error

    monkeypatch.setattr("stsfusion.pipeline.renewal.learn", fail)
    done = here("run", fresh, "--json")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert done.exception is error
    assert said == said | {"code": 1, "command": "run", "recipe": str(fresh)}
    assert said["words"].startswith(type(error).__name__)
    log = (fresh.parent / "out/.stsfusion/log.jsonl").read_text().splitlines()
    last = json.loads(log[-1])
    assert (last["event"], last["code"], last["run"]) == ("end", 1, said["run"])
    assert "in fail" in last["trace"]


def test_nothing_to_do_touches_nothing(whole):
    def stamps():
        found = (whole.parent / "out").rglob("*")
        return {p: p.stat().st_mtime_ns for p in found if p.is_file() and "lock" not in p.name}

    before = stamps()
    code, said = told("update", whole)
    assert (code, said["worked"], said["dates"]) == (0, False, {"asked": 4, "new": 0, "changed": 0})
    assert stamps() == before


def test_the_same_recipe_by_another_path_or_from_another_folder_is_the_same(fresh, monkeypatch):
    monkeypatch.chdir(fresh.parent)
    assert told("run", fresh.name)[0] == 0
    (fresh.parent / "beside").mkdir()
    for folder, recipe in ((".", fresh), ("beside", fresh), ("beside", f"../{fresh.name}")):
        monkeypatch.chdir(fresh.parent / folder)
        assert told("status", recipe)[1]["cubes"].startswith("done in")
        assert told("plan", recipe)[1]["exact"]
        assert told("run", recipe)[1]["worked"] is False


def test_damage_is_mended_by_what_the_series_says_of_itself(whole, fresh):
    """Neither notes nor ledger are needed to know that a series is the one that is asked for."""
    shutil.copytree(whole.parent / "out", fresh.parent / "out")
    expected = bytes_of(place(fresh.parent))
    for name in ("steps.json", "ledger.sqlite"):
        (fresh.parent / "out" / ".stsfusion" / name).unlink()
    assert here("update", fresh, "-q").exit_code == 0
    next((place(fresh.parent) / "reflectance").rglob("0/0/0/0")).unlink()
    assert here("update", fresh, "-q").exit_code == 0
    assert bytes_of(place(fresh.parent)) == expected
