"""Who is at work in a folder: a run, or workers of an array, as the operating system knows it."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack

import pytest

from stsfusion.errors import LockedError
from stsfusion.pipeline.crew import Crew, lock_of
from stsfusion.pipeline.folder import Folder
from stsfusion.running.array import Share
from stsfusion.running.guest import Guest
from stsfusion.running.notes import Notes


@pytest.fixture
def folder(tmp_path):
    found = Folder(tmp_path / "out", "small", tmp_path / "small.yaml")
    found.work.mkdir(parents=True)
    return found


def working(folder, *names):
    """Workers of these names are at work."""
    there, notes = ExitStack(), Notes(folder.notes("0123456789abcdef"))
    there.enter_context(Guest(folder.work / "lock"))
    for name in names:
        there.enter_context(notes.lock(Share.parse(name)))
    return there


def test_nobody_is_there(folder):
    crew = Crew.of(folder)
    assert (bool(crew), str(crew), crew.since) == (False, "", None)


def test_a_run_is_there_alone(folder):
    with lock_of(folder):
        crew = Crew.of(folder)
        assert (crew.run.pid, crew.workers) == (os.getpid(), {})
        assert crew.since == crew.run.since
        with pytest.raises(LockedError, match=rf"one by process {os.getpid()} on "), lock_of(folder):
            pass
    assert not Crew.of(folder)


def test_workers_are_named_in_their_order_and_the_first_began_first(folder):
    with working(folder, "10/12", "9/12"):
        note = folder.notes("0123456789abcdef") / "9-of-12.lock.json"
        note.write_text(json.dumps({"host": "node", "pid": 7, "since": "2026-03-01T02:00:00Z"}))
        crew = Crew.of(folder)
        assert list(crew.workers) == ["9/12", "10/12"]
        said = "workers of an array, 9/12: process 7 on node since 2026-03-01T02:00:00Z; 10/12: process "
        assert str(crew).startswith(said)
        assert crew.since == "2026-03-01T02:00:00Z"
        with pytest.raises(LockedError, match="one by workers of an array, 9/12: process 7"), lock_of(folder):
            pass
    assert not Crew.of(folder), "locks and notes are still there, workers are not"


def test_a_run_that_died_is_not_taken_for_the_workers_that_came_after_it(folder):
    left = {"host": "elsewhere", "pid": 1, "since": "2020"}
    (folder.work / "lock.json").write_text(json.dumps(left))
    with working(folder, "1/2"):
        assert Crew.of(folder).run is None
        with pytest.raises(LockedError, match="workers of an array, 1/2"), lock_of(folder):
            pass
    with Guest(folder.work / "lock"), pytest.raises(LockedError, match="elsewhere"), lock_of(folder):
        pass


def test_of_many_workers_a_few_are_named(folder):
    with working(folder, *(f"{number}/9" for number in range(1, 8))):
        assert str(Crew.of(folder)).count("process") == 4
        assert str(Crew.of(folder)).endswith("; and 3 more")
