"""The suite bites: broken twins of publisher, writer, resume, look and lock are found out by these checks."""

import random

import pytest
from faults.forgetting import forget_a_bit, forget_input
from faults.judge import Judge, Reader
from faults.notes import notes_of
from faults.powercut import Disk, Outage
from faults.recording import Recording
from faults.tally import Tally
from faults.test_rivals import race


@pytest.fixture
def own():
    """A tally that is not told of: what is found here is wanted."""
    return Tally()


def found_out(own):
    return bool(own.lost or own.corrupt)


def test_a_publisher_in_pieces_is_found_out_by_a_kill(project, own):
    judge = Judge(project, own, before="old", after="renewed")
    out = project.fresh("old")
    twin = "publishes in pieces"
    with Reader(out / "fused.zarr") as reader:
        whole = project.run(out, "renewed", twin=twin, watch={"root": str(out), "pause": 0.01})
    assert whole.code == 0, whole.printed()
    writes = [n.count for n in notes_of(whole.log) if n.deed == "write" and n.path.startswith("fused.zarr/")]
    seen = any(digest not in judge.allowed for digest in reader.seen) or bool(reader.broken)
    for share in (0.3, 0.5, 0.7):
        out = project.fresh("old")
        at = writes[int(share * len(writes))]
        project.run(out, "renewed", twin=twin, watch={"root": str(out), "die": 9, "at": at})
        judge.after_fault(out, f"killed at {at}")
    assert found_out(own), "a kill half way"
    assert seen, "a reader that polls meanwhile"


def test_a_resume_without_checksums_is_found_out_by_a_forgotten_bit(project, own):
    def judged() -> None:
        forget_a_bit(project, own, 0, twin="trusts what it finds")
        assert not found_out(own), "found out by the judge"

    with pytest.raises(AssertionError) as grief:  # of the judge, or of the run itself
        judged()
    assert "no run was killed" not in str(grief.value)


def test_a_run_that_looks_at_no_input_is_found_out_by_wrong_values(project, own):
    for number in range(10):
        try:
            forget_input(project, own, number, twin="looks at no input")
        except AssertionError:
            continue  # what the disk has left cannot even be unpacked: not a silent one
        if found_out(own):
            break
    assert any("differ" in words for words in own.corrupt)


def test_a_writer_that_forces_nothing_is_found_out_by_power_cuts(project, own):
    out = project.fresh()
    place = out.with_suffix(".recording")
    watch = {"root": str(out), "record": str(place)}
    assert project.run(out, "new", twin="forces nothing to the disk", watch=watch).code == 0
    recording, dice = Recording.load(place), random.Random(0)
    judge = Judge(project, own)
    for _ in range(20):
        spoilt = project.fresh()
        Outage(Disk.at(recording, len(recording.steps) - 1), dice, scattered=False).restore(spoilt)
        judge.after_fault(spoilt, "after the end of the run")
    assert found_out(own)


def test_a_writer_that_hears_no_refusal_is_found_out_by_a_full_disk(project, own):
    deeds = notes_of(project.flights["new"].log)
    at = next(n.count for n in deeds if n.phase == "tile" and n.deed == "write")
    out = project.fresh()
    watch = {"root": str(out), "errno": 28, "at": at, "times": 1}
    flight = project.run(out, "new", twin="hears no refusal", watch=watch)
    assert any(note.deed == "ENOSPC" for note in notes_of(flight.log))
    assert flight.code == 0, "the twin was to pass over it"
    Judge(project, own).after_fault(out, "one write refused")
    assert found_out(own)


def test_a_lock_that_locks_nothing_is_found_out_by_rivals(project, own):
    """Either both come to grief, or nobody is ever told to come later."""

    def raced() -> None:
        race(project, own, 0, twin="locks nothing", attempts=3)
        assert not found_out(own)

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        raced()
