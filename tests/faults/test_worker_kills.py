"""Workers and nannies that are killed or starved at their tiles: the run goes on, or says what was lost."""

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time

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


@contextlib.contextmanager
def cluster(folder, count, env):
    """A scheduler and workers with a nanny each, all of them processes; gives the scheduler's address."""
    note, path = folder / "scheduler.json", os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, **env, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    module, own = [sys.executable, "-m", "distributed.cli"], ["--no-dashboard", "--scheduler-file", str(note)]
    log = (folder / "cluster.txt").open("w")
    orders = [[f"{module[-1]}.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]]
    worker = ["--nworkers", "1", "--nthreads", "1", "--preload", "faults.preload", "--death-timeout", "120"]
    orders += [[f"{module[-1]}.dask_worker", *worker, "--local-directory", str(folder)]] * count
    begun = []
    try:
        for order in orders:
            begun.append(subprocess.Popen([*module[:2], *order, *own], env=env, stdout=log, stderr=log))
            deadline = time.monotonic() + 120
            while not note.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        while len([each for each in folder.glob("worker-*") if not each.suffix]) < count:
            assert time.monotonic() < deadline + 300, (folder / "cluster.txt").read_text()[-2000:]
            time.sleep(0.1)
        yield json.loads(note.read_text())["address"]
    finally:
        for process in reversed(begun):
            process.terminate()
        for process in begun:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


def kill_nanny(project, tally, number, wanted=1):
    """Nannies die at a random operation of their workers, which die with them; with all, the run does too."""
    dice = random.Random(number)
    judge = Judge(project, tally)
    for attempt in range(20):
        out = project.fresh()
        folder = out.with_suffix(".faults")
        each = {str(k): {"die": 9, "at": dice.randint(1, 40), "parent": True} for k in range(wanted)}
        options = orders_in(folder, out, each)
        with cluster(folder, 2, options["env"]) as address:
            patience = 600 if wanted == 1 else 20
            words = ("fuse.executor=address", f"fuse.address={address}", f"fuse.patience={patience}")
            flight = project.run(out, "new", *(piece for word in words for piece in ("--set", word)))
        found = deaths_of(folder)
        if not found:
            tally.drawn_again += 1
            project.drop(out)
            continue
        for death in found:
            seed = f"{number}.{attempt}: {each}"
            tally.strikes.append(Strike("nanny killed", death.phase, str(death), seed))
        point = f"nannies killed, {number}"
        judge.after_fault(out, point)
        if wanted == 1:
            assert flight.code == 0, f"ended {flight.code}\n{flight.printed()}"
        if flight.code == 0:
            judge.is_whole(out, point)
        else:
            assert flight.code in (2, 3), f"ended {flight.code}\n{flight.printed()}"
            assert re.search("workers: expected at least one", " ".join(flight.printed().split()))
            judge.goes_on(out, point)
        project.drop(out)
        return
    pytest.fail("twenty runs in a row ended before a nanny died")


def deny_memory(project, tally, number):
    """The system gives a worker no more address space at one of its tiles: words, never half a tile."""
    dice = random.Random(number)
    judge = Judge(project, tally)
    out = project.fresh()
    folder = out.with_suffix(".faults")
    tile, room = dice.choice(("0/0", "0/1", "1/0", "1/1")), dice.randrange(1, 200) << 20
    greed = {"grow": f"reflectance/c/0/0/{tile}", "room": room}
    flight = project.run(out, "new", *LOCAL, **orders_in(folder, out, {str(k): greed for k in range(20)}))
    hungry = [n for log in folder.glob("worker-*.log") for n in notes_of(log) if n.deed == "grows"]
    for note in hungry:
        tally.strikes.append(Strike("worker denied memory", "tile", str(note), f"{number}: {room} left"))
    assert hungry, "nobody was denied anything"
    judge.after_fault(out, f"a worker denied memory at {tile}")
    if flight.code == 0:  # tried again by a worker that had what it needs
        judge.is_whole(out, f"a worker denied memory at {tile}")
    else:
        assert flight.code == 3, f"ended {flight.code}\n{flight.printed()}"
        assert re.search("(?i)memory|WorkerLost", project.told(out)), project.told(out)
        judge.goes_on(out, f"a worker denied memory at {tile}")
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
@pytest.mark.timeout(3000)
def test_a_killed_worker_costs_nothing(project, tally):
    kill_workers(project, tally, 0, 1)
    Judge(project, tally).acquit()
    assert tally.of("worker killed") == 1


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_many_killed_workers_cost_nothing(project, tally):
    for number in range(100, 126):
        kill_workers(project, tally, number, 2)
    Judge(project, tally).acquit()
    assert tally.of("worker killed") >= 50


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_starved_workers_cost_their_tile_alone(project, tally):
    for number in range(4):
        starve_worker(project, tally, number)
    Judge(project, tally).acquit()
    assert tally.of("worker starved") >= 10


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_workers_that_are_denied_memory_say_so(project, tally):
    for number in range(10):
        deny_memory(project, tally, number)
    Judge(project, tally).acquit()
    assert tally.of("worker denied memory") >= 10


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_killed_nanny_costs_its_worker_alone(project, tally):
    kill_nanny(project, tally, 0)
    Judge(project, tally).acquit()
    assert tally.of("nanny killed") == 1


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_many_killed_nannies_cost_nothing(project, tally):
    for number in range(100, 110):
        kill_nanny(project, tally, number, wanted=1 + number % 2)
    Judge(project, tally).acquit()
    assert tally.of("nanny killed") >= 10
