"""Storage that fails now and then, is slow, or forgets a bit: the right bytes in the end, or words."""

import errno
import random

import pytest
from faults.forgetting import forget_a_bit
from faults.judge import Judge
from faults.notes import notes_of
from faults.project import STARTS
from faults.tally import Strike

SHARES = (0.01, 0.002)
"""Of all operations, those that fail; the fewer, the further a run comes."""


def fail_now_and_then(project, tally, number, least):
    """Some of at least so many operations fail, reading or writing, over several runs; then none does."""
    dice = random.Random(number)
    start, after = dice.choice(sorted(STARTS.items()))
    judge = Judge(project, tally, before=start, after=after)
    out, operations = project.fresh(start), 0
    for attempt in range(100):
        seed = number * 1000 + attempt
        watch = {"root": str(out), "errno": errno.EIO, "share": SHARES[attempt % 2], "seed": seed}
        flight = project.run(out, after, watch=watch)
        notes = notes_of(flight.log)
        operations += len(notes)
        for note in notes:
            if note.deed == "EIO":
                tally.strikes.append(Strike("operation failed", note.phase, str(note), f"{seed}"))
        assert flight.code in (0, 2, 3), f"ended {flight.code}\n{flight.printed()}"
        assert "Traceback" not in flight.printed(), flight.printed()
        judge.after_fault(out, f"a failing disk, {seed}")
        if flight.code == 0:
            judge.is_whole(out, f"a failing disk, {seed}")
            project.drop(out)
            out = project.fresh(start)
        else:
            assert any(note.deed == "EIO" for note in notes), flight.printed()
        if operations >= least:
            break
    judge.goes_on(out, f"a disk that failed, {number}")
    project.drop(out)
    return operations


def test_a_disk_that_fails_now_and_then_gives_the_right_bytes_in_the_end(project, tally):
    fail_now_and_then(project, tally, 1, least=300)
    Judge(project, tally).acquit()
    assert tally.strikes


def test_a_slow_disk_gives_the_right_bytes(project, tally):
    out = project.fresh()
    flight = project.run(out, "new", watch={"root": str(out), "pause": 0.002, "seed": 5})
    assert flight.code == 0, flight.printed()
    Judge(project, tally).is_whole(out, "a slow disk")
    Judge(project, tally).acquit()
    assert len(notes_of(flight.log)) > 300, "nothing was slowed down"


def test_a_bit_that_was_forgotten_is_found_before_the_run_goes_on(project, tally):
    forget_a_bit(project, tally, 0)
    Judge(project, tally).acquit()


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_disks_that_fail_now_and_then_give_the_right_bytes_in_the_end(project, tally):
    operations = [fail_now_and_then(project, tally, number, least=1000) for number in range(100, 150)]
    Judge(project, tally).acquit()
    assert min(operations) >= 1000
    assert len(tally.strikes) > 50
    assert {"ingest", "tile", "publication", "notes"} <= tally.phases


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_bits_that_were_forgotten_are_found(project, tally):
    for number in range(100, 130):
        forget_a_bit(project, tally, number)
    Judge(project, tally).acquit()
