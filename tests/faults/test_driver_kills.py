"""Drivers that are killed: the same command goes on to the same bytes."""

import os
import random
import signal
import time

import pytest
from faults.judge import Judge, Reader, done_tiles
from faults.notes import count_of, notes_of, struck
from faults.project import STARTS
from faults.tally import Strike
from faults.watch import DEEDS


def kill_from_outside(project, judge, dice, name, out):
    """Kill a run from outside, some random milliseconds after a random operation; whether it struck."""
    after = dice.randrange(2, notes_of(project.flights[judge.after].log)[-1].count)
    late = dice.uniform(0.0, 0.02)
    flight = project.start(out, judge.after, watch={"root": str(out)})
    while not flight.ended.wait(0.001) and count_of(flight.log) < after:
        pass
    time.sleep(late)
    flight.kill(signal.SIGKILL)
    point = struck(flight.log) if flight.wait() == -signal.SIGKILL else None
    if point is not None:
        note_strike(judge, "driver killed from outside", point, f"{name}: {after} + {late:.4f} s")
    return point


def kill_at_operation(project, judge, dice, name, out, sign=signal.SIGKILL):
    """Let a run die just before one of the operations that an undisturbed one makes, in rare phases too."""
    deeds = [note for note in notes_of(project.flights[judge.after].log) if note.deed in DEEDS][1:]
    phase = dice.choice(sorted({note.phase for note in deeds}))
    at = dice.choice([note.count for note in deeds if note.phase == phase])
    flight = project.run(out, judge.after, watch={"root": str(out), "die": int(sign), "at": at})
    point = struck(flight.log) if flight.code == -sign else None
    if point is not None:
        note_strike(judge, "driver killed at an operation", point, f"{name} at {at}")
    return point


def note_strike(judge, kind, point, seed):
    judge.tally.strikes.append(Strike(kind, point.phase, str(point), seed))


def kill_and_go_on(project, tally, number, kill):
    """One fault: draw until it strikes, look, go on, look again."""
    dice = random.Random(number)
    start = dice.choice(sorted(STARTS))
    judge = Judge(project, tally, before=start, after=STARTS[start])
    for attempt in range(20):
        out = project.fresh(start)
        with Reader(out / "fused.zarr") as reader:
            point = kill(project, judge, dice, f"{number}.{attempt}", out)
            if point is None:
                tally.drawn_again += 1
                continue
            judge.after_fault(out, str(point))
            judge.goes_on(out, str(point))
        tally.corrupt += [f"{point}: a reader met {words}" for words in reader.broken]
        tally.corrupt += [f"{point}: a reader saw a mixture" for d in reader.seen if d not in judge.allowed]
        if start and None in reader.seen:
            tally.lost.append(f"{point}: for a while a reader saw no series")
        project.drop(out)
        return
    pytest.fail("twenty kills in a row struck nothing")


@pytest.mark.parametrize(("kill", "number"), [(kill_from_outside, 0), (kill_at_operation, 1)])
def test_a_killed_driver_goes_on_to_the_same_bytes(project, tally, kill, number):
    """One begins with nothing, the other with a published series."""
    kill_and_go_on(project, tally, number, kill)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 1


@pytest.mark.slow
@pytest.mark.timeout(20_000)
@pytest.mark.parametrize("kill", [kill_from_outside, kill_at_operation])
def test_hundreds_of_killed_drivers_go_on_to_the_same_bytes(project, tally, kill):
    for number in range(100, 205):
        kill_and_go_on(project, tally, number, kill)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 105
    assert {"ingest", "tile", "ledger", "publication", "notes"} <= tally.phases


def terminate(project, tally, number):
    """SIGTERM at a random operation: the run ends in time and says so; no finished tile is done twice."""
    dice = random.Random(number)
    judge = Judge(project, tally)
    deeds = notes_of(project.flights["new"].log)
    for attempt in range(20):
        out = project.fresh()
        at = dice.randint(2, deeds[-1].count)
        flight = project.run(out, "new", watch={"root": str(out), "die": int(signal.SIGTERM), "at": at})
        point = next((note for note in notes_of(flight.log) if note.deed == "SIGTERM"), None)
        if point is None or flight.code == 0:
            tally.drawn_again += 1
            continue
        assert flight.code == os.EX_TEMPFAIL, f"{point}: {flight.code}\n{flight.printed()}"
        assert notes_of(flight.log)[-1].second - point.second < 30, "it took longer than the grace period"
        note_strike(judge, "driver asked to end", point, f"{number}.{attempt} at {at}")
        judge.after_fault(out, str(point))
        done = done_tiles(out)
        again = project.run(out, "new", watch={"root": str(out)})
        assert again.code == 0, again.printed()
        judge.is_whole(out, str(point))
        redone = [note for note in notes_of(again.log) if note.deed == "note"]
        assert len(redone) <= 1 + 4 - len(done), f"{point}: finished tiles were done again"
        project.drop(out)
        return
    pytest.fail("twenty signals in a row struck nothing")


def test_a_driver_that_is_asked_to_end_does_and_goes_on(project, tally):
    terminate(project, tally, 0)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 1


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_many_drivers_that_are_asked_to_end_do_and_go_on(project, tally):
    for number in range(100, 130):
        terminate(project, tally, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 30
