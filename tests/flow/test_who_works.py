"""Who looks at a folder while workers of an array are at work is told of them, and of what is left."""

import json

import pytest
import yaml
from nightly import FIRST_DATES, deliver, recipe_in
from small_project import here

from stsfusion.pipeline import arrayrun
from stsfusion.pipeline.folder import Folder
from stsfusion.running.lock import Holder


@pytest.fixture
def recipe(tmp_path):
    deliver(tmp_path, FIRST_DATES)
    path = recipe_in(tmp_path, "bicubic")
    said = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**said, "fuse": {**said["fuse"], "executor": "array"}}))
    return path


def status(recipe):
    return json.loads(here("status", recipe, "--json").stdout)


def test_workers_of_an_array_are_seen_by_all_others(recipe, monkeypatch):
    assert here("run", recipe, "-q", "--worker", "prepare").exit_code == 0
    assert "at work" not in status(recipe)
    real, seen, told = arrayrun.fuse_tile, [], []

    def watched(*given):
        seen.append(status(recipe))
        if len(seen) == 1:
            told.extend(here(verb, recipe, *more) for verb, more in (("gc", ()), ("run", ("-q",))))
        return real(*given)

    monkeypatch.setattr(arrayrun, "fuse_tile", watched)
    assert here("run", recipe, "-q", "--worker", "1/2").exit_code == 0
    me = Holder.me()
    assert seen[0]["at work"].startswith(f"workers of an array, 1/2: process {me.pid} on {me.host} since 20")
    assert (seen[0]["fuse"], seen[0]["worker 1/2"]) == ("not done yet", "0 done, 0 failed, at work")
    assert not {"pace", "time left"} & seen[0].keys()
    assert "tiles a minute" in seen[-1]["pace"]
    assert seen[-1]["time left"].startswith("about ")
    for done in told:
        words = " ".join(done.stderr.split())
        assert (done.exit_code, "one by workers of an array, 1/2: process" in words) == (75, True), words
    after = status(recipe)
    assert not {"at work", "pace", "time left"} & after.keys()
    assert after["worker 1/2"].endswith(" done, 0 failed")


def test_a_status_is_of_one_moment(recipe, monkeypatch):
    """A run that goes on meanwhile may note a further step at any time."""
    real, looks = Folder.marks, []
    assert here("run", recipe, "-q").exit_code == 0

    def growing(folder):
        looks.append(folder)
        found = real(folder)
        return found if len(looks) > 1 else {step: found[step] for step in ("cubes", "fit", "fuse")}

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "marks", growing)
        said = status(recipe)
    assert said["fuse"].startswith("done in")
    assert said["evaluate"] == said["report"] == "to do"
    assert status(recipe)["evaluate"].startswith("done in")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [(RuntimeError("no room"), 1, "no room"), (KeyboardInterrupt(), 75, "Stopped")],
)
def test_a_worker_says_how_it_ended_whatever_ends_it(recipe, monkeypatch, error, code, words):
    assert here("run", recipe, "-q", "--worker", "prepare").exit_code == 0

    def fail(*given, **more):
        raise error

    monkeypatch.setattr(arrayrun.Inline, "run", fail)
    done = here("run", recipe, "-q", "--worker", "1/2", "--json")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (done.exit_code, said["code"], said["recipe"]) == (code, code, str(recipe))
    assert words in said["words"]
    last = json.loads((recipe.parent / "out/.stsfusion/log.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["code"], last["run"]) == ("end", code, said["run"])
