"""Full disks and files that may not grow: words, the old series untouched, and on it goes afterwards."""

import contextlib
import errno
import os
import random
import re
import shutil
import subprocess

import pytest
from faults.judge import Judge
from faults.notes import notes_of
from faults.project import STARTS, series_of
from faults.tally import Strike

ENDS = {2, 3}
"""Exit codes of a run that could not write: wrong place, or some tiles failed."""

SAID = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}


def refuse(project, tally, number):
    """From a random operation on, one or more of those that take room fail."""
    dice = random.Random(number)
    start, after = dice.choice(sorted(STARTS.items()))
    judge = Judge(project, tally, before=start, after=after)
    last = notes_of(project.flights[after].log)[-1].count
    for attempt in range(20):
        out = project.fresh(start)
        at, times, error = dice.randint(1, last), dice.choice([1, 3, 10**6]), dice.choice(sorted(SAID))
        flight = project.run(out, after, watch={"root": str(out), "errno": error, "at": at, "times": times})
        point = next((n for n in notes_of(flight.log) if n.deed == errno.errorcode[error]), None)
        if point is None:
            tally.drawn_again += 1
            project.drop(out)
            continue
        seed = f"{number}.{attempt} from {at}, {times} times"
        tally.strikes.append(Strike("disk full", point.phase, str(point), seed))
        judge.after_fault(out, str(point))
        if flight.code == 0:  # what was refused was there already, such as a folder
            judge.is_whole(out, str(point))
            project.drop(out)
            return
        assert flight.code in ENDS, f"{point}: ended {flight.code}\n{flight.printed()}"
        assert "Traceback" not in flight.printed(), f"{point}\n{flight.printed()}"
        told = flight.printed() if flight.code == 2 else project.told(out)
        assert SAID[error] in " ".join(told.split()), f"{point}\n{told}"
        judge.goes_on(out, str(point))
        project.drop(out)
        return
    pytest.fail("twenty attempts in a row found no operation to refuse")


def limit(project, tally, number):
    """No file may grow beyond a random size: the system itself cuts a write short."""
    dice = random.Random(number)
    judge = Judge(project, tally, before="old", after="renewed")
    sizes = sorted({p.stat().st_size for p in project.kept["renewed"].rglob("*") if p.is_file()})
    for attempt in range(20):
        out = project.fresh("old")
        most = dice.choice([size for size in sizes if size > 1]) - 1
        flight = project.run(out, "renewed", limit=most)
        if flight.code == 0:
            tally.drawn_again += 1
            project.drop(out)
            continue
        words = " ".join(flight.printed().split())
        point = f"a file of more than {most} bytes: {words[:120]}"
        tally.strikes.append(Strike("file size limited", "any", point, f"{number}.{attempt}"))
        judge.after_fault(out, point)
        assert flight.code in ENDS, f"{point}: ended {flight.code}\n{words}"
        if most > 2000:  # else the words themselves did not find room
            assert re.search(r"File too large|full|ledger\.sqlite: Input/output error", words), words
            assert "Traceback" not in words, flight.printed()
        judge.goes_on(out, point)
        project.drop(out)
        return
    pytest.fail("twenty attempts in a row found every file small enough")


@contextlib.contextmanager
def small_disk(place, kilobytes):
    """A file system of its own, for who may mount one."""
    place.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(place)]
    if (
        os.geteuid()
        or not shutil.which("mount")
        or subprocess.run(["mount", *options], check=False).returncode
    ):
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(project, tally, number):
    """A real disk of too few kilobytes."""
    dice = random.Random(number)
    need = sum(p.stat().st_size + 4096 for p in project.kept["new"].rglob("*") if p.is_file()) // 1024
    for attempt in range(20):
        kilobytes = dice.randint(8, need)
        place = project.folder / f"disk-{number}-{attempt}"
        with small_disk(place, kilobytes):
            out = place / "out"
            flight = project.run(out, "new", watch={"root": str(out)})
            words = " ".join(flight.printed().split())
            done = notes_of(flight.log)
            foreseen = "free" in words and "room for what is written" not in words
            if flight.code == 0 or not done or foreseen:
                tally.drawn_again += 1
                continue
            point = done[-1]
            seed = f"{number}.{attempt} {kilobytes} kB"
            tally.strikes.append(Strike("small disk", point.phase, str(point), seed))
            assert flight.code in ENDS, f"{point}: ended {flight.code}\n{flight.printed()}"
            assert re.search("No space left on device|full", words), words
            assert "Traceback" not in words, flight.printed()
            if series_of(out / "fused.zarr") not in Judge(project, tally).allowed:
                tally.corrupt.append(f"{point}: half a series is shown")
            subprocess.run(["mount", "-o", f"remount,size={8 * need}k", str(place)], check=True)
            Judge(project, tally).goes_on(out, str(point))
            return
    pytest.fail("twenty disks in a row were large enough")


@pytest.mark.parametrize("fault", [refuse, limit])
def test_a_full_disk_is_said_and_the_run_goes_on(project, tally, fault):
    fault(project, tally, 1)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 1


@pytest.mark.slow
@pytest.mark.timeout(10_000)
@pytest.mark.parametrize("fault", [refuse, limit, fill])
def test_many_full_disks_are_said_and_the_runs_go_on(project, tally, fault):
    for number in range(100, 125):
        fault(project, tally, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 25
