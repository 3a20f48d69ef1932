"""Whatever a command is doing when SIGTERM or Ctrl-C comes, and however often: 75, and one line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.cli.ending import STOPPED, asks_for_json

BEFORE = """
import atexit, os, signal, sys, threading, time

TERM, storm = signal.SIGTERM, threading.Event()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background

def hit(number=TERM):
    os.kill(os.getpid(), number)

def rain():
    storm.wait()
    while True:
        hit()
        time.sleep(0.002)

threading.Thread(target=rain, daemon=True).start()

class Struck:
    '''Strikes when a module is looked for.'''

    def find_spec(self, name, path=None, target=None):
        if name == where:
            self.strike()

    def __init__(self, strike):
        self.strike = strike

def when_read(module, strike=hit):
    global where
    where = module
    sys.meta_path.insert(0, Struck(strike))
"""
AFTER = """
from stsfusion.cli import main
main()
"""
WITHOUT = """
from stsfusion.cli import app
app()
"""


def run(before, *words, after=AFTER):
    command = [sys.executable, "-c", BEFORE + before + after, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


VERBS = {
    "status": ("none.yaml",),
    "gc": ("none.yaml",),
    "run": ("none.yaml",),
    "update": ("none.yaml",),
    "plan": ("none.yaml",),
    "verify": ("none.zarr",),
    "export": ("none.zarr", "--format", "cog"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_ended_with_one_line(verb):
    code, lines, said = run("when_read('numpy')", verb, *VERBS[verb], "--json")
    assert (code, [json.loads(line) for line in lines]) == (75, [{"code": 75, "words": STOPPED}]), said
    assert "Traceback" not in said


@pytest.mark.parametrize("first", ["stsfusion.cli.commands", "typer", "stsfusion.errors"])
def test_the_very_first_moments_count_too(first):
    for words, told in ((("methods", "--json"), 1), (("sensors",), 0)):
        code, lines, said = run(f"when_read({first!r})", *words)
        assert (code, len(lines), STOPPED in said) == (75, told, True)


def test_a_signal_that_comes_while_python_starts_ends_it_as_any_program():
    assert run("when_read('stsfusion.cli.ending')", "sensors", "--json")[:2] == (-15, [])
    said = " ".join(here("--help").stdout.split())
    assert "while Python starts, about the first tenth of a second, these end it as they end any" in said


TAKEN = """
def read():
    {how}
    hit(signal.SIGINT)

when_read('stsfusion.cube.verification', read)
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [("from stsfusion.running import slurm; slurm._jobqueue()", 75), ("import dask_jobqueue", 0)],
)
def test_ctrl_c_ends_a_run_that_knows_of_clusters(how, expected):
    """A library takes Ctrl-C for itself when it is imported, and ends the process with 0."""
    assert run(TAKEN.format(how=how), "verify", "none.zarr", "--json")[0] == expected


def test_a_storm_of_signals_changes_nothing():
    code, lines, said = run("when_read('numpy', storm.set)", "verify", "none.zarr", "--json")
    assert (code, [json.loads(line)["code"] for line in lines]) == (75, [75]), said


HANGS = """
from stsfusion.cli import ending
ending._SAME = 0.05

def hang():
    threading.Timer(0.2, hit, [signal.SIGINT]).start()
    try:
        hit()
    finally:
        time.sleep(30)

when_read('numpy', hang)
"""


def test_a_command_that_hangs_while_it_ends_is_ended_by_one_more():
    code, lines, said = run(HANGS, "verify", "none.zarr", "--json")
    assert (code, [json.loads(line)["code"] for line in lines]) == (75, [75]), said


@pytest.mark.parametrize("late", ["try:\n    main()\nfinally:\n    hit(); time.sleep(30)", "main()"])
def test_what_is_decided_stays_until_the_process_is_gone(late):
    rain_at_last = "atexit.register(lambda: (storm.set(), time.sleep(0.05)))"
    after = AFTER.replace("main()", late)
    for words, expected in (("--version", 0), ("export", 2)):
        assert run(rain_at_last, words, after=after)[0] == expected


def test_signals_that_someone_ignores_are_ignored():
    ignored = "signal.signal(TERM, signal.SIG_IGN)\nwhen_read('numpy')"
    code, lines, _ = run(ignored, "verify", "none.zarr", "--json")
    assert (code, len(lines), json.loads(lines[0])["code"]) == (2, 1, 2)


def test_who_does_not_heed_signals_dies_of_them():
    assert run("when_read('numpy')", "verify", "none.zarr", "--json", after=WITHOUT)[:2] == (-15, [])


def test_a_file_of_json_is_no_line_of_json():
    assert asks_for_json(["run", "demo", "--json"])
    assert not asks_for_json(["bench", "sts", "scene.nc", "--json", "rows.json"])


def here(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (("run", "demo", "--jsom", "--json"), "--jsom"),
        (("rum", "demo", "--json"), "rum"),
        (("verify", "--json"), "store"),
        (("plan", "demo", "--tile-seconds", "soon", "--json"), "--tile-seconds"),
        (("plan", "demo", "--tile-seconds", "inf", "--json"), "inf is no number of seconds"),
        (("plan", "demo", "--tile-seconds", "nan", "--json"), "--tile-seconds"),
        (("gc", "demo", "--keep", "--json"), "--keep"),
    ],
)
def test_words_that_nobody_understands_are_told_in_one_line(words, mistake):
    done = here(*words)
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (done.exit_code, said["code"]) == (2, 2)
    assert mistake in said["words"].lower()
    assert done.stderr
    assert here(*(word for word in words if word != "--json")).stdout == ""


def test_what_nobody_foresaw_is_told_in_one_line_and_goes_its_way(monkeypatch, tmp_path):
    def fail(*given, **more):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("stsfusion.cube.verification.verify", fail)
    done = here("verify", tmp_path, "--json")
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == {"code": 1, "words": "RuntimeError: shapes cannot be multiplied"}
    assert (done.exit_code, type(done.exception)) == (1, RuntimeError)
    monkeypatch.setattr("stsfusion.pipeline.recipe.load_recipe", fail)
    (line,) = here("update", "none.yaml", "--json").stdout.splitlines()
    assert json.loads(line) == json.loads(line) | {"code": 1, "command": "update", "recipe": "none.yaml"}


def test_its_traceback_is_seen():
    late = "def fail():\n    1 / 0\nwhen_read('numpy', fail)"
    code, lines, said = run(late, "verify", "none.zarr", "--json")
    assert (code, json.loads(lines[0])["code"], len(lines)) == (1, 1, 1)
    assert "Traceback" in said
    assert "ZeroDivisionError" in said.splitlines()[-1]
