"""A ledger forgets nothing it was told, and shows no other run's notes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from stsfusion.errors import LockedError, StoreError
from stsfusion.running import ledger as ledgers
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Failure, Success


def done(key, checksum="same"):
    return Success({"key": key, "checksum": checksum}, 0.5, "host:1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "work" / "ledger.sqlite"


def test_ends_are_counted_and_told_in_the_order_of_the_keys(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["z", "y", "x", "w"])
        ledger.record("x", done("x"))
        ledger.record("z", done("z"))
        ledger.record("w", Failure("MemoryError", "too big", "", 1.0, "host:2"))
        assert ledger.summary() == {"planned": 1, "done": 2, "failed": 1}
        assert ledger.records() == [{"key": k, "checksum": "same", "worker": "host:1"} for k in "zx"]
        assert ledger.failures() == {"w": "MemoryError: too big"}


def test_a_failed_key_can_be_done_later(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["x"])
        ledger.record("x", Failure("OSError", "no"))
        ledger.record("x", done("x"))
        assert ledger.failures() == {}
        assert ledger.summary() == {"planned": 0, "done": 1, "failed": 0}


def test_a_key_that_was_not_planned_is_refused(path):
    with Ledger.open(path, "a") as ledger, pytest.raises(StoreError, match="key 'x': expected a planned key"):
        ledger.record("x", done("x"))


def test_planning_again_keeps_the_ends(path):
    for _ in range(2):
        with Ledger.open(path, "a") as ledger:
            ledger.plan(["x", "y"])
            ledger.record("x", done("x"))
    with Ledger.open(path, "a") as ledger:
        assert ledger.summary() == {"planned": 1, "done": 1, "failed": 0}


def test_keys_of_an_earlier_plan_are_forgotten(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["v", "w", "x", "y"])
        ledger.record("v", Failure("OSError", "no"))
        for key in "wx":
            ledger.record(key, done(key))
        ledger.plan(["x", "z"])
        assert ledger.summary() == {"planned": 1, "done": 1, "failed": 0}
        assert [record["key"] for record in ledger.records()] == ["x"]
        assert ledger.failures() == {}
        with pytest.raises(StoreError, match="key 'y'"):
            ledger.record("y", done("y"))


def test_results_that_changed_are_planned_again(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["x", "y", "z"])
        ledger.record("x", done("x"))
        ledger.record("y", done("y", "old"))
        assert ledger.still_done(lambda key: "same") == {"x"}
        assert ledger.summary() == {"planned": 2, "done": 1, "failed": 0}
        assert ledger.still_done(lambda key: "same") == {"x"}


def test_another_run_begins_anew(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["x"])
        ledger.record("x", done("x"))
    with Ledger.open(path, "b") as ledger:
        assert ledger.summary() == {"planned": 0, "done": 0, "failed": 0}
    with Ledger.open(path, "a") as ledger:
        assert ledger.summary() == {"planned": 0, "done": 0, "failed": 0}


def test_looking_shows_this_run_only_and_changes_nothing(path):
    with Ledger.open(path, "a", readonly=True) as ledger:
        assert ledger.summary() == {"planned": 0, "done": 0, "failed": 0}
    assert not path.parent.exists()
    with Ledger.open(path, "a") as ledger:
        ledger.plan(["x"])
        ledger.record("x", done("x"))
    before = path.read_bytes()
    with Ledger.open(path, "a", readonly=True) as ledger:
        assert ledger.summary()["done"] == 1
        with pytest.raises(Exception, match="readonly"):
            ledger.plan(["y"])
    with Ledger.open(path, "b", readonly=True) as ledger:
        assert ledger.summary()["done"] == 0
    assert path.read_bytes() == before


def test_looking_while_a_run_writes(path):
    with Ledger.open(path, "a") as writer:
        writer.plan(["x", "y"])
        writer.record("x", done("x"))
        with Ledger.open(path, "a", readonly=True) as reader:
            assert reader.summary()["done"] == 1
            writer.record("y", done("y"))
            assert reader.summary()["done"] == 2


@pytest.mark.parametrize("readonly", [False, True])
def test_what_is_no_ledger_is_refused_and_left_alone(path, readonly):
    path.parent.mkdir()
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match=r"(?s)ledger .*not a database.*Remove the file"):
        Ledger.open(path, "a", readonly=readonly)
    assert path.read_text() == "not a database " * 100


@pytest.mark.parametrize("readonly", [False, True])
def test_who_meets_another_in_it_comes_later_and_removes_nothing(path, readonly, monkeypatch):
    monkeypatch.setattr(ledgers, "_PATIENCE", 0.05)
    with Ledger.open(path, "a") as ledger, sqlite3.connect(path, isolation_level=None) as other:
        ledger.plan(["x"])
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockedError, match="another process that has had it") as told:
            Ledger.open(path, "a", readonly=readonly)
        assert "Remove" not in str(told.value)
        for deed in (ledger.summary, ledger.records, ledger.failures, lambda: ledger.record("x", done("x"))):
            with pytest.raises(LockedError):
                deed()
        other.execute("ROLLBACK")
        ledger.record("x", done("x"))
        assert ledger.summary()["done"] == 1
    other.close()


class Failing:
    """A database of which SQLite says the same of everything."""

    def __init__(self, code):
        self.code = code

    def execute(self, *words):
        error = sqlite3.OperationalError("as SQLite says it")
        error.sqlite_errorcode = self.code
        raise error

    def close(self):
        pass


@pytest.mark.parametrize("readonly", [False, True])
def test_a_failing_disk_is_told_as_such(path, readonly, monkeypatch):
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(sqlite3, "connect", lambda *place, **said: Failing(sqlite3.SQLITE_IOERR_READ))
    with pytest.raises(OSError, match="Input/output error") as told:
        Ledger.open(path, "a", readonly=readonly)
    assert told.value.filename == str(path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_CORRUPT, "Remove the file"),
        (sqlite3.SQLITE_CANTOPEN, "can be read and written"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "can be read and written"),
        (sqlite3.SQLITE_ERROR, "move it elsewhere"),
    ],
)
def test_only_what_is_damaged_is_to_be_removed(path, monkeypatch, code, words):
    monkeypatch.setattr(sqlite3, "connect", lambda *place, **said: Failing(code))
    with pytest.raises(StoreError, match=words) as told:
        Ledger.open(path, "a")
    assert ("Remove" in str(told.value)) == (code == sqlite3.SQLITE_CORRUPT)


def test_what_is_damaged_after_it_was_opened_is_told_with_what_mends_it(path):
    with Ledger.open(path, "a") as ledger:
        ledger.plan([f"key {number:0200d}" for number in range(400)])
    whole = path.read_bytes()
    with Ledger.open(path, "a", readonly=True) as ledger:
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xff" * (len(whole) - 8192))
            file.flush()
            os.fsync(file.fileno())
        with pytest.raises(StoreError, match="Remove the file"):
            ledger.summary()


RUN = """
import sys
from pathlib import Path
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Success
with Ledger.open(Path(sys.argv[1]), "a") as ledger:
    keys = [f"k{i:05}" for i in range(100_000)]
    ledger.plan(keys)
    for key in keys:
        ledger.record(key, Success({"key": key, "checksum": key}, 0.0, ""))
        print(key, flush=True)
"""


def test_a_killed_run_has_forgotten_no_key_that_it_told(path):
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        told = [process.stdout.readline().strip() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
    with Ledger.open(path, "a") as ledger:
        known = ledger.still_done(lambda key: key)
        counts = ledger.summary()
    # A line may be cut off by the kill; its key is then on disk but not wholly told.
    told = [key for key in told if len(key) == 6]
    assert set(told) <= known
    assert len(known) <= len(told) + 1
    assert counts == {"planned": 100_000 - len(known), "done": len(known), "failed": 0}


def test_a_full_disk_is_an_error_of_files(path):
    with Ledger.open(path, "f1") as ledger:
        ledger.plan(["a"])
        pages = ledger.database.execute("PRAGMA page_count").fetchone()[0]
        ledger.database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match="No space left") as full:
            ledger.plan([f"{number:0200d}" for number in range(200)])
        assert full.value.filename == str(path)
        with pytest.raises(OSError, match="No space left"):
            ledger.record("a", Failure("x" * 100_000, "w", 1.0))
        assert ledger.summary() == {"planned": 1, "done": 0, "failed": 0}
