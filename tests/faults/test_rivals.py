"""Two runs on one folder at once: one wins, the other is told to come later, and the bytes are right."""

import json
import random
import time

import pytest
from faults.judge import Judge, Reader
from faults.notes import notes_of
from faults.project import STARTS
from faults.tally import Strike

LATER = 75


def race(project, tally, number, *, twin=None, attempts=20):
    """One pair: draw until they met."""
    dice = random.Random(number)
    start, after = dice.choice(sorted(STARTS.items()))
    judge = Judge(project, tally, before=start, after=after)
    for attempt in range(attempts):
        out = project.fresh(start)
        with Reader(out / "fused.zarr") as reader:
            first = project.start(out, after, twin=twin, watch={"root": str(out)})
            time.sleep(dice.uniform(0.0, project.flights[after].seconds / 2))
            second = project.start(out, after, twin=twin, watch={"root": str(out)})
            codes = {first.wait(), second.wait()}
        tally.corrupt += [f"a reader met {words}" for words in reader.broken]
        tally.corrupt += [f"a reader saw a mixture {d}" for d in reader.seen if d not in judge.allowed]
        assert codes <= {0, LATER}, first.printed() + second.printed()
        assert 0 in codes, "neither of two runs went through"
        judge.is_whole(out, "after a race")
        if LATER not in codes:
            tally.drawn_again += 1
            continue
        winner, loser = (first, second) if first.code == 0 else (second, first)
        assert f"process {winner.pid}" in loser.printed() or "not said its name" in loser.printed()
        touched = {note.path for note in notes_of(loser.log) if note.deed != "read"}
        assert touched <= {".", ".stsfusion", ".stsfusion/lock"}, touched
        met = [note for note in notes_of(winner.log) if note.deed != "read"]
        seed = f"{number}.{attempt}"
        tally.strikes.append(Strike("rival pair", "notes", f"the loser met {winner.pid}", seed))
        assert met, "the winner did nothing"
        project.drop(out)
        return
    pytest.fail(f"{attempts} pairs in a row never met")


def test_of_two_runs_at_once_one_wins(project, tally):
    race(project, tally, 1)
    Judge(project, tally).acquit()
    assert tally.of("rival pair") == 1


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_of_many_pairs_one_wins(project, tally):
    for number in range(100, 155):
        race(project, tally, number)
    Judge(project, tally).acquit()
    assert tally.of("rival pair") == 55


@pytest.mark.parametrize("note", ['{"host": "h", "pid": 1, "since": "2020-01-01T00:00:00Z"}', '{"ho', ""])
def test_what_a_reboot_left_of_a_lock_holds_nobody_up(project, tally, note):
    out = project.fresh("new")
    (out / ".stsfusion" / "lock").touch()
    (out / ".stsfusion" / "lock.json").write_text(note)
    flight = project.run(out, "new")
    assert flight.code == 0, flight.printed()
    assert not note or "process 1" not in flight.printed()
    tally.strikes.append(Strike("lock left behind", "notes", json.dumps(note), "fixed"))
    Judge(project, tally).is_whole(out, "a lock left behind")
    Judge(project, tally).acquit()
