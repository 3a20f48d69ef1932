"""Tasks that overlap in one worker process: they do, and deaths and limits still strike the right ones."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from stsfusion.running.executor import Failure, Local, Success
from stsfusion.running.line import advance


def staged(key, folder, seconds=(0.05, 0.1, 0.05)):
    """Reads, works and writes; notes when. Some keys are bad in one of the stages."""
    note = Path(folder) / f"{key}.txt"
    for stage, its in enumerate(seconds):
        if stage:
            advance()
        with note.open("a") as file:
            file.write(f"{os.getpid()} {stage} {time.monotonic()}\n")
        if key == f"kills in {stage}":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60 if key == f"hangs in {stage}" else its)
    return key


def notes(folder, key):
    lines = (Path(folder) / f"{key}.txt").read_text().splitlines()
    return [(pid, int(stage), float(when)) for pid, stage, when in map(str.split, lines)]


def run(keys, folder, *, workers=1, **rules):
    ends = {}
    work = functools.partial(staged, folder=str(folder))
    started = time.monotonic()
    Local(workers=workers, memory="1 GB", **rules).run(work, keys, ends.__setitem__)
    assert set(ends) == set(keys)
    assert time.monotonic() - started < 60
    return ends


def test_the_next_task_is_read_and_the_last_one_written_while_one_works(tmp_path):
    ends = run([str(i) for i in range(8)], tmp_path)
    assert all(isinstance(end, Success) for end in ends.values())
    whens = [{stage: when for _, stage, when in notes(tmp_path, i)} for i in range(8)]
    ahead = [after[0] < before[2] for before, after in itertools.pairwise(whens)]
    assert sum(ahead) >= 6, "the next task was read only after the last one had been worked on"
    behind = [after[1] < before[2] + 0.05 for before, after in itertools.pairwise(whens)]
    assert sum(behind) >= 6, "the next task was worked on only after the last one had been written"


@pytest.mark.parametrize("stages", [(1,), pytest.param((0, 1, 2), marks=pytest.mark.slow)])
def test_a_task_that_kills_its_process_is_found_and_those_beside_it_are_not_blamed(tmp_path, stages):
    killers = [f"kills in {stage}" for stage in stages]
    keys = [key for pair in zip("abc", killers, strict=False) for key in pair]
    ends = run([*keys, "d"], tmp_path, retries=1)
    failed = {key: end.kind for key, end in ends.items() if isinstance(end, Failure)}
    assert failed == dict.fromkeys(killers, "WorkerLost")
    assert ends["kills in 1"].text == "its process died 2 times; is the memory too small?"


@pytest.mark.parametrize("stage", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_task_that_hangs_is_ended_and_those_that_wait_for_it_are_not(tmp_path, stage):
    keys = ["a", f"hangs in {stage}", "b", "c", "d"]
    ends = run(keys, tmp_path, limit=1.5, retries=0)
    failed = {key: end.kind for key, end in ends.items() if isinstance(end, Failure)}
    assert failed == {f"hangs in {stage}": "TimeLimit"}
