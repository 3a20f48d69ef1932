"""Workers that are killed or starved at their tiles: the run goes on, or says which tiles were lost."""

import json
import random
import re

import pytest
from faults.judge import Judge, done_tiles
from faults.notes import notes_of
from faults.tally import Strike

LOCAL = ("--set", "fuse.executor=local", "--set", "fuse.workers=2")


def orders_in(folder, out, each):
    """Faults of the workers of one run, by the order in which they begin; gives what the run is told."""
    folder.mkdir()
    (folder / "orders.json").write_text(json.dumps({"root": str(out), "each": each}))
    preload = {"distributed.worker.preload": ["faults.preload"]}
    return {"env": {"FAULTS": str(folder)}, "dask": preload}


def deaths_of(folder):
    """The operation at which each dead worker died."""
    notes = [note for log in sorted(folder.glob("worker-*.log")) for note in notes_of(log)]
    return [note for note in notes if note.deed == "SIGKILL"]


def kill_workers(project, tally, number, wanted):
    """One run whose first workers die at a random operation each; it must not notice, or end and go on."""
    dice = random.Random(number)
    judge = Judge(project, tally)
    out = project.fresh()
    folder = out.with_suffix(".faults")
    each = {str(k): {"die": 9, "at": dice.randint(1, 40)} for k in range(wanted)}
    flight = project.run(out, "new", *LOCAL, **orders_in(folder, out, each))
    found = deaths_of(folder)
    for death in found:
        tally.strikes.append(Strike("worker killed", death.phase, str(death), f"{number}: {each}"))
    judge.after_fault(out, f"workers killed, {number}")
    assert flight.code in (0, 3), f"ended {flight.code}\n{flight.printed()}"
    assert found, "no worker died"
    if flight.code == 3:
        assert "WorkerLost" in flight.printed() or done_tiles(out), flight.printed()
        judge.goes_on(out, f"workers killed, {number}")
    else:
        judge.is_whole(out, f"workers killed, {number}")
    project.drop(out)


def starve_worker(project, tally, number):
    """One tile takes all memory in whichever worker it is tried: it alone is given up, with words."""
    judge = Judge(project, tally)
    out = project.fresh()
    folder = out.with_suffix(".faults")
    tile = ("0/0", "0/1", "1/0", "1/1")[number % 4]
    greed = {str(k): {"grow": f"reflectance/c/0/0/{tile}"} for k in range(20)}
    options = orders_in(folder, out, greed)
    flight = project.run(out, "new", *LOCAL, "--set", "fuse.budget=900 MB", **options)
    hungry = [n for log in folder.glob("worker-*.log") for n in notes_of(log) if n.deed == "grows"]
    for note in hungry:
        tally.strikes.append(Strike("worker starved", "tile", str(note), f"{number}"))
    assert flight.code == 3, f"ended {flight.code}\n{flight.printed()}"
    assert len(hungry) == 3, "tried as often as it may be"
    assert len(done_tiles(out)) == 3, "the other tiles are done"
    assert re.search("WorkerLost", project.told(out)), project.told(out)
    judge.after_fault(out, f"a starved worker at {tile}")
    judge.goes_on(out, f"a starved worker at {tile}")
    project.drop(out)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(project, tally):
    kill_workers(project, tally, 0, 1)
    Judge(project, tally).acquit()
    assert tally.of("worker killed") == 1


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_killed_workers_cost_nothing(project, tally):
    for number in range(100, 126):
        kill_workers(project, tally, number, 2)
    Judge(project, tally).acquit()
    assert tally.of("worker killed") >= 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_starved_workers_cost_their_tile_alone(project, tally):
    for number in range(4):
        starve_worker(project, tally, number)
    Judge(project, tally).acquit()
    assert tally.of("worker starved") >= 10
