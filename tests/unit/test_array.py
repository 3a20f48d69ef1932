"""Shares of an array, what its workers note, and who may be inside at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stsfusion.errors import LockedError, PlanError
from stsfusion.running.array import Share, Unbegun
from stsfusion.running.guest import Guest
from stsfusion.running.lock import Lock
from stsfusion.running.notes import Notebook, Notes
from stsfusion.running.outcome import Failure, Success

DONE = Success({"key": "a", "checksum": "1"}, 0.5, "host:1")
FAILED = Failure("ValueError", "no", "trace", 0.1, "host:2")


@given(st.lists(st.integers(), unique=True, max_size=40), st.integers(1, 12))
def test_every_key_is_in_exactly_one_share(keys, count):
    shares = [Share(number, count).among(keys) for number in range(1, count + 1)]
    assert sorted(key for share in shares for key in share) == sorted(keys)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "2/", "a/b", "-1/3", "1/0", "1 / 3"])
def test_workers_that_cannot_be_are_refused(text):
    with pytest.raises(PlanError, match=r"(?s)worker .*I from 1 to N.*from 1"):
        Share.parse(text)


def test_a_worker_knows_its_number():
    assert Share.parse(" 2/3 ") == Share(2, 3)
    assert str(Share(2, 3)) == "2/3"
    told = {f"SLURM_ARRAY_TASK_{name}": text for name, text in
            {"ID": "14", "MIN": "10", "COUNT": "4", "STEP": "2", "MAX": "16"}.items()}  # fmt: skip
    assert Share.of_environment(told) == Share(3, 4)
    plain = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "3"}
    assert Share.of_environment(plain) == Share(1, 3)
    assert Share.of_environment({}) is None
    assert Share.of_environment({"SLURM_JOB_ID": "14"}) is None


@pytest.mark.parametrize(
    "numbers", [(1, 2, 5), (2, 5), (1, 2, 3, 7), (0, 1, 3)], ids=lambda told: "-".join(map(str, told))
)
@pytest.mark.parametrize("step", ["", "1"])
def test_jobs_that_are_not_numbered_evenly_are_refused(numbers, step):
    """All of them: two with one share, or a share of nobody, would never end."""
    for own in numbers:
        said = {"ID": own, "MIN": numbers[0], "MAX": numbers[-1], "COUNT": len(numbers), "STEP": step}
        told = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in said.items()}
        with pytest.raises(PlanError, match=rf"job {own} of.*up to {numbers[-1]}\.\n.*--array=1-N"):
            Share.of_environment(told)


def test_a_job_that_is_beyond_the_last_is_refused():
    told = {f"SLURM_ARRAY_TASK_{name}": text for name, text in {"ID": "9", "MIN": "1", "COUNT": "3"}.items()}
    with pytest.raises(PlanError, match="job 9 of"):
        Share.of_environment(told)


def test_preparing_begins_no_key():
    told = []
    outcome = Unbegun().run(lambda key: 1 / 0, [1, 2], lambda *end: told.append(end))
    assert (outcome.left, outcome.interrupted, told) == ((1, 2), True, [])


def note(notes, share, *lines):
    book = Notebook.open(notes.path(share))
    for key, end in lines:
        book.record(key, end)
    book.close()


def test_notes_of_all_workers_are_merged(tmp_path):
    notes = Notes(tmp_path / "notes")
    assert notes.ends() == {}
    note(notes, Share(1, 12), ("a", DONE), ("b", FAILED))
    note(notes, Share(10, 12), ("b", DONE), ("c", FAILED))
    note(notes, Share(2, 12), ("a", FAILED))
    assert notes.ends() == {"a": DONE, "b": DONE, "c": FAILED}
    assert list(notes.tally().items()) == [("1/12", (1, 1)), ("2/12", (0, 1)), ("10/12", (1, 1))]


def test_a_line_that_a_death_cut_short_counts_as_not_done(tmp_path):
    notes, share = Notes(tmp_path), Share(1, 2)
    note(notes, share, ("a", DONE), ("b", DONE))
    whole = notes.path(share).read_bytes()
    for cut in range(len(whole) // 2 + 1, len(whole)):
        notes.path(share).write_bytes(whole[:cut])
        assert notes.ends() == {"a": DONE}
    note(notes, share, ("c", DONE))
    assert notes.ends() == {"a": DONE, "c": DONE}
    notes.path(share).write_bytes(b"\0\0\0\n[1]\n{}\n" + whole)
    assert set(notes.ends()) == {"a", "b"}


def test_two_workers_of_one_number_cannot_be(tmp_path):
    notes = Notes(tmp_path)
    one, two, twin = (notes.lock(Share(number, 3)) for number in (1, 2, 1))
    with one, two, pytest.raises(LockedError, match="no other run"), twin:
        raise AssertionError
    with notes.lock(Share(1, 3)):
        pass


def test_guests_keep_a_run_out_and_a_run_keeps_guests_out(tmp_path):
    path = tmp_path / "work" / "lock"
    with Guest(path), Guest(path), pytest.raises(LockedError), Lock(path):
        raise AssertionError
    with (
        Lock(path),
        pytest.raises(LockedError, match=r"no run that has it for itself, got one by pro"),
    ):
        Guest(path).__enter__()
    with Guest(path):
        pass


def test_a_guest_that_died_holds_nothing(tmp_path):
    path = tmp_path / "lock"
    code = f"""
import os, pathlib
from stsfusion.running.guest import Guest
Guest(pathlib.Path({str(path)!r})).__enter__()
print("in", flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "in\n"
    with Lock(path):
        pass
