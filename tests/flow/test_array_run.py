"""Workers without a scheduler, in any order, lost or killed, end with the bytes of one process."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml
from nightly import FIRST_DATES, deliver, one_version, recipe_in, shown
from small_project import bytes_of, here

from stsfusion import methods
from stsfusion.pipeline import arrayrun, ourcode
from stsfusion.running.executor import Inline
from stsfusion.running.guest import Guest
from stsfusion.running.lock import Lock
from stsfusion.running.notes import Notes
from stsfusion.running.outcome import Failure, Success

ARRAY = ("--executor", "array", "--set", "fuse.patience=0", "-q")


@pytest.fixture(scope="module")
def inline(tmp_path_factory, write_project):
    """The series of one process."""
    recipe = cheap(write_project(tmp_path_factory.mktemp("inline"), 18))
    assert here("run", recipe, "-q").exit_code == 0
    return bytes_of(recipe.parent / "out" / "fused.zarr")


@pytest.fixture
def recipe(write_project, tmp_path):
    return cheap(write_project(tmp_path, 18))


def cheap(recipe):
    """The same project by a method that needs no time."""
    said = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**said, "fuse": {**said["fuse"], "method": "bicubic", "workers": 1}}))
    return recipe


def series(recipe):
    return recipe.parent / "out" / "fused.zarr"


def notes(recipe):
    """What workers of the only series noted."""
    (folder,) = [path for path in (recipe.parent / "out/.stsfusion/workers").iterdir() if path.is_dir()]
    return Notes(folder)


def worker(recipe, name, *more):
    return here("run", recipe, *ARRAY, "--worker", name, *more)


def test_the_last_worker_publishes(recipe, inline, monkeypatch):
    early = worker(recipe, "2/3")
    assert early.exit_code == 75
    assert not (recipe.parent / "out").exists()
    for name in ("1/3", "3/3"):
        done = worker(recipe, name)
        assert done.exit_code == 0, done.output
        assert not series(recipe).exists()
    assert notes(recipe).tally() == {"1/3": (6, 0), "3/3": (5, 0)}
    fused, real = [], arrayrun.fuse_tile
    monkeypatch.setattr(arrayrun, "fuse_tile", lambda *given: fused.append(given[2]) or real(*given))
    (staging,) = (recipe.parent / "out").glob(".fused-*.zarr")
    shard = max((path for path in (staging / "reflectance/c").rglob("*") if path.is_file()), key=str)
    shard.write_bytes(b"broken" + shard.read_bytes()[6:])
    for name in ("1/3", "3/3"):
        assert worker(recipe, name).exit_code == 0
    assert len(fused) == 1, "a tile that was done was done again, or one that was broken was not"
    done = worker(recipe, "2/3")
    assert done.exit_code == 0, done.output
    assert len(fused) == 6
    assert bytes_of(series(recipe)) == inline
    assert not (recipe.parent / "out/.stsfusion/workers").exists()
    late = here("run", recipe, *ARRAY[:-1], "--worker", "3/3")
    assert (late.exit_code, "is published; nothing to do" in late.output) == (0, True)


def test_workers_that_must_not_work_are_sent_away(recipe):
    alone = here("run", recipe, "--worker", "2/3")
    assert (alone.exit_code, "Say --executor array too" in alone.output) == (2, True), "it did all work"
    early = here("run", recipe, *ARRAY[:-1], "--worker", "2/3")
    assert early.exit_code == 75
    assert "nothing is prepared for it, and nobody is preparing it. Begin worker 1/3" in early.output
    assert worker(recipe, "prepare").exit_code == 0
    assert worker(recipe, "2/3", "--set", "fuse.tile=36").exit_code == 75, "another recipe's work was taken"
    folder = recipe.parent / "out" / ".stsfusion"
    name = json.loads((folder / "workers/prepared.json").read_text())["series"][:12]
    with Lock(folder / "workers" / name / "2-of-3.lock"):
        twin = worker(recipe, "2/3")
        assert (twin.exit_code, "no other run" in twin.output) == (75, True)
    with Guest(folder / "lock"):
        assert here("run", recipe, "-q").exit_code == 75, "a run went on among workers"
    with Lock(folder / "lock"), pytest.MonkeyPatch.context() as hurry:
        hurry.setattr(arrayrun, "_LEAVING", 0.0)
        assert worker(recipe, "2/3").exit_code == 75, "a worker went in during a run"


def test_work_that_was_taken_back_is_prepared_anew(recipe, inline):
    log = recipe.parent / "out/.stsfusion/log.jsonl"
    said = json.loads(worker(recipe, "prepare", "--json").stdout)
    end = json.loads(log.read_text().splitlines()[-1])
    assert said == said | {"code": 0, "worked": True, "run": end["run"], "words": end["words"]}
    assert (end["event"], end["code"]) == ("end", 0)
    assert "workers may begin; 16 of 16 tiles left for them" in said["words"]
    assert worker(recipe, "1/2").exit_code == 0
    assert "a series that was not finished" in " ".join(here("gc", recipe).stdout.split())
    early = here("run", recipe, *ARRAY[:-1], "--worker", "2/2")
    assert (early.exit_code, "nothing is prepared for it" in early.output) == (75, True), early.output
    assert worker(recipe, "1/2").exit_code == 0
    (staging,) = (recipe.parent / "out").glob(".fused-*.zarr")
    staging.rename(staging.with_name("elsewhere"))
    assert worker(recipe, "2/2").exit_code == 75, "a worker began what someone has taken away"
    staging.with_name("elsewhere").rename(staging)
    assert worker(recipe, "2/2").exit_code == 0
    assert bytes_of(series(recipe)) == inline


def test_a_worker_fuses_the_tiles_that_are_asked_for_alone(recipe, inline):
    real, tried = arrayrun.fuse_tile, []
    said = json.loads(here("plan", recipe, "--tiles", "--json").stdout)["keys"]
    mine, theirs = said[0::2], said[1::2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrayrun, "fuse_tile", lambda *given: tried.append(given[2]) or real(*given))
        done = here("run", recipe, *ARRAY[:-1], "--worker", "1/2", "--tiles", f"{mine[3]},{theirs[0]}")
        assert (done.exit_code, tried) == (0, [mine[3]]), done.output
        assert "done as asked; 7 of its tiles are left" in done.output
        wrong = worker(recipe, "1/2", "--tiles", "t0-1.y0-12.x0-13")
        assert (wrong.exit_code, "no such tile" in wrong.output, len(tried)) == (2, True, 1), wrong.output
        patch.setattr(arrayrun, "fuse_tile", lambda *given: 1 / 0 if given[2] == mine[0] else real(*given))
        assert worker(recipe, "1/2", "--tiles", f"{mine[0]},{mine[1]}").exit_code == 3
        tried.clear()
        patch.setattr(arrayrun, "fuse_tile", lambda *given: tried.append(given[2]) or real(*given))
        assert worker(recipe, "2/2", "--retry-failed").exit_code == 0, "it has none that failed"
        assert worker(recipe, "1/2", "--retry-failed").exit_code == 0
        assert tried == [mine[0]]
    assert notes(recipe).tally() == {"1/2": (3, 0), "2/2": (0, 0)}
    assert worker(recipe, "1/2").exit_code == 0
    with pytest.MonkeyPatch.context() as stopping:
        run = Inline.run
        stopping.setattr(Inline, "run", lambda *given: replace(run(*given), interrupted=True))
        stopped = here("run", recipe, *ARRAY[:-1], "--worker", "2/2")
        assert (stopped.exit_code, "stopped with 0 of its tiles left" in stopped.output) == (75, True)
    assert not series(recipe).exists(), "it was told to stop, and went on to publish"
    assert worker(recipe, "2/2").exit_code == 0
    assert bytes_of(series(recipe)) == inline


def test_a_worker_of_other_code_is_sent_away_until_all_have_one(recipe, inline):
    assert worker(recipe, "prepare").exit_code == 0
    theirs = json.loads((recipe.parent / "out/.stsfusion/plan/plan.json").read_text())["code"]
    with pytest.MonkeyPatch.context() as upgraded:
        upgraded.setattr("stsfusion.__version__", "99.0")
        done = worker(recipe, "1/2")
        assert done.exit_code == 2, done.output
        ours = ourcode.our_code(methods.create("bicubic"))
        assert theirs != ours
        assert all(words in done.stderr for words in (theirs[:12], ours[:12], "--worker prepare"))
        assert notes(recipe).ends() == {}
        assert worker(recipe, "prepare").exit_code == 0
        for name in ("1/2", "2/2"):
            assert worker(recipe, name).exit_code == 0
    made = bytes_of(series(recipe))
    assert {name: held for name, held in made.items() if "/c/" in name and name[0] != "."} == {
        name: held for name, held in inline.items() if "/c/" in name and name[0] != "."
    }


def test_what_a_lost_worker_left_and_what_failed_is_done_by_the_run_that_ends_it(recipe, inline, monkeypatch):
    real, tried = arrayrun.fuse_tile, []

    def sick(folder, series, key):
        tried.append(key)
        if len(tried) == 3:
            raise MemoryError("not today")
        return real(folder, series, key)

    def hangs(folder, series, key):
        tried.append(key)
        if len(tried) == 3:
            time.sleep(60)
        return real(folder, series, key)

    assert worker(recipe, "prepare").exit_code == 0
    with pytest.MonkeyPatch.context() as hanging:
        hanging.setattr(arrayrun, "fuse_tile", hangs)
        late = here("run", recipe, *ARRAY, "--set", "fuse.wall=4", "--worker", "2/3")
    assert (late.exit_code, len(tried)) == (3, 5), "a tile that hung held a worker up, or its others"
    assert notes(recipe).tally() == {"2/3": (4, 1)}
    assert [end.kind for end in notes(recipe).ends().values() if isinstance(end, Failure)] == ["TimeLimit"]
    tried.clear()
    with pytest.MonkeyPatch.context() as illness:
        illness.setattr(arrayrun, "fuse_tile", sick)
        bad = here("run", recipe, *ARRAY[:-1], "--worker", "1/3")
    assert (bad.exit_code, "1 of its tiles failed" in bad.output) == (3, True)
    for name, value in {"ID": "7", "MIN": "5", "COUNT": "8"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert here("run", recipe, *ARRAY).exit_code == 0
    assert notes(recipe).tally() == {"1/3": (5, 1), "2/3": (4, 1), "3/8": (1, 0)}, (
        "SLURM's number was not heeded"
    )
    shown = here("status", recipe, "--set", "fuse.executor=array").output
    assert all(words in shown for words in ("worker 1/3", "5 done, 1 failed", "not today"))
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    assert not series(recipe).exists(), "a series with a hole was published"
    ends = notes(recipe).ends().values()
    good, bad = (sum(isinstance(end, kind) for end in ends) for kind in (Success, Failure))
    again = here("run", recipe, "--executor", "inline", "--retry-failed", "--json")
    told = json.loads(again.stdout)["tiles"]
    assert again.exit_code == 0, again.output
    assert told == {"planned": 16, "done": good + bad, "failed": 0, "left": 16 - good - bad}
    ended = here("run", recipe, *ARRAY)
    assert ended.exit_code == 0, ended.output
    assert bytes_of(series(recipe)) == inline


def test_a_worker_of_an_update_that_came_first_comes_again_when_it_is_prepared(tmp_path):
    recipe = recipe_in(tmp_path, "bicubic")

    def night(name):
        done = here("update", recipe, *ARRAY[:-1], "--worker", name)
        return done.exit_code, done.output

    with one_version():
        deliver(tmp_path, FIRST_DATES)
        assert here("run", recipe, "-q").exit_code == 0
        code, said = night("2/2")
        assert (code, "is published; nothing to do" in said, "open it" in said) == (0, True, True)
        deliver(tmp_path, {**FIRST_DATES, "dense": {**FIRST_DATES["dense"], 16: 0, 20: 0}})
        code, said = night("2/2")
        assert (code, "nothing is prepared for it" in said) == (75, True), said
        with pytest.MonkeyPatch.context() as torn:  # read, and the series not made yet
            torn.setattr("stsfusion.pipeline.steps.renew", lambda *given: 1 / 0)
            here("update", recipe, "-q")
        code, said = night("2/2")
        assert (code, "nothing is prepared for it" in said) == (75, True), said
        code, said = night("1/2")
        assert (code, "its tiles are done" in said) == (0, True), said
        assert "open it" not in said, "the series of before was shown as what was asked for"
        assert "report " not in said
        assert shown(series(recipe))[0] == [0, 4, 8, 12]
        code, said = night("2/2")
        assert (code, "open it" in said) == (0, True), said
        assert shown(series(recipe))[0] == [0, 4, 8, 12, 16, 20]


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing_that_it_noted(recipe, inline):
    assert worker(recipe, "prepare").exit_code == 0
    command = [sys.executable, "-m", "stsfusion.cli", "run", str(recipe), *ARRAY, "--worker", "1/1"]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(notes(recipe).ends()) >= 3:
                process.kill()
                break
        except ValueError:
            pass
        time.sleep(0.005)
    assert process.wait(timeout=60) == -signal.SIGKILL
    noted = set(notes(recipe).ends())
    assert 3 <= len(noted) < 16, "the signal did not strike in the midst"
    tried, real = [], arrayrun.fuse_tile
    with pytest.MonkeyPatch.context() as watching:
        watching.setattr(arrayrun, "fuse_tile", lambda *given: tried.append(given[2]) or real(*given))
        ended = worker(recipe, "1/1")
    assert ended.exit_code == 0, ended.output
    assert len(tried) == 16 - len(noted)
    assert not noted & set(tried), "a tile that was noted was done again"
    assert bytes_of(series(recipe)) == inline
