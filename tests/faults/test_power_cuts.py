"""Power cuts: whatever a disk has lost, a reader finds the old series or the new one, and the run goes on."""

import random

import pytest
from faults.judge import Judge
from faults.powercut import Disk, Outage
from faults.project import STARTS
from faults.recording import Recording
from faults.tally import Strike
from faults.watch import phase_of


@pytest.fixture(scope="module")
def recorded(project):
    """Recordings of a run from nothing and of one in place of old settings."""

    def record(start, name):
        out = project.fresh(start)
        place = out.with_suffix(".recording")
        flight = project.run(out, name, watch={"root": str(out), "record": str(place)})
        assert flight.code == 0, flight.printed()
        project.drop(out)
        return Recording.load(place)

    return {start: record(start, name) for start, name in STARTS.items()}


def moment(recording, dice):
    """A step to cut after; every other one is drawn from the publication, which is short but decides."""
    steps = recording.steps
    labels = [step.label.split(" ", 1) for step in steps]
    decisive = [
        at
        for at, label in enumerate(labels)
        if len(label) == 2 and phase_of(*label) in ("publication", "notes")
    ]
    return dice.choice(decisive) if dice.random() < 0.5 else dice.randrange(1, len(steps) - 1)


def cut_power(project, tally, recorded, number):
    """One cut: draw until something was lost, look at what is left, go on, look again."""
    dice = random.Random(number)
    start = dice.choice(sorted(recorded))
    recording, after = recorded[start], STARTS[start]
    judge = Judge(project, tally, before=start, after=after)
    for attempt in range(50):
        at = moment(recording, dice)
        outage = Outage(Disk.at(recording, at), dice, scattered=dice.random() < 0.5)
        out = project.fresh()
        outage.restore(out)
        if not outage.lost:
            tally.drawn_again += 1
            project.drop(out)
            continue
        label = next((s.label for s in recording.steps[at:] if " " in s.label), "end of the run")
        kind = "scattered" if outage.scattered else "ordered"
        point = f"{label} ({kind}, {outage.lost} lost, step {at})"
        phase = phase_of(*label.split(" ", 1)) if " " in label else "report"
        tally.strikes.append(Strike("power cut", phase, point, f"{number}.{attempt} at {at}"))
        judge.after_fault(out, point)
        judge.goes_on(out, point)
        project.drop(out)
        return
    pytest.fail("fifty cuts in a row lost nothing")


def test_a_power_cut_leaves_the_old_or_the_new_series(project, tally, recorded):
    for number in range(3):
        cut_power(project, tally, recorded, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 3


@pytest.mark.slow
@pytest.mark.timeout(20_000)
def test_hundreds_of_power_cuts_leave_the_old_or_the_new_series(project, tally, recorded):
    for number in range(100, 300):
        cut_power(project, tally, recorded, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 200
    assert {"ingest", "tile", "publication", "notes"} <= tally.phases
