"""How far the tiles of a run are: their pace is that of the tiles, whatever came before them."""

from __future__ import annotations

import pytest

from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.tally import tally
from stsfusion.running import notes
from stsfusion.running.array import Share
from stsfusion.running.ledger import Ledger
from stsfusion.running.notes import Notebook, Notes
from stsfusion.running.outcome import Failure, Success


@pytest.fixture
def folder(tmp_path):
    """Of ten tiles four were done: one yesterday, three within a minute, an hour after this run began."""
    folder = Folder(tmp_path / "out", "small", tmp_path / "small.yaml")
    with Ledger.open(folder.ledger, "series") as ledger:
        ledger.plan([f"t{number}" for number in range(10)])
        for number, clock in enumerate(
            ("2026-02-28T01:00:00Z", *(f"2026-03-01T03:00:{s}Z" for s in (20, 40, 59)))
        ):
            ledger.record(f"t{number}", Success({"key": f"t{number}"}, 21.0, "host:1"))
            ledger.database.execute("UPDATE keys SET clock = ? WHERE key = ?", (clock, f"t{number}"))
    return folder


def test_the_pace_is_that_of_the_tiles_of_this_run(folder):
    said = dict(tally(folder, "series", "2026-03-01T02:00:00Z"))
    assert said["pace"] == "3 tiles a minute"
    assert said["time left"] == "about 2 min 0 s"


def test_without_a_run_or_its_tiles_there_is_no_pace(folder):
    for since in (None, "2026-03-01T04:00:00Z"):
        assert not {"pace", "time left"} & dict(tally(folder, "series", since)).keys()
    assert dict(tally(folder, "series"))["tiles done"] == "4"


@pytest.fixture
def crew(folder, monkeypatch):
    """Of the same tiles two workers side by side did two each within a minute, and one failed."""
    said = Notes(folder.notes("series"))
    ends = [("t4", "00:30", 1), ("t5", "01:00", 1), ("t6", "00:30", 2)]
    ends += [("t7", "01:00", 2), ("t8", "00:45", 2)]
    for key, clock, number in ends:
        monkeypatch.setattr(notes, "_clock", lambda clock=clock: f"2026-03-01T02:{clock}Z")
        book = Notebook.open(said.path(Share(number, 2)))
        end = Failure("OSError", "no light") if key == "t8" else Success({"key": key}, 30.0, f"host:{number}")
        book.record(key, end)
        book.close()
    return said


def test_the_pace_of_workers_is_in_their_notes(folder, crew):
    with crew.lock(Share(2, 2)):
        said = dict(tally(folder, "series", "2026-03-01T02:00:00Z"))
    assert said["pace"] == "4 tiles a minute"
    assert said["time left"] == "about 15 s"
    assert (said["  worker 1/2"], said["  worker 2/2"]) == ("2 done, 0 failed", "2 done, 1 failed, at work")
    assert crew.done_since("2026-03-01T02:00:45Z") == (2, 30.0)
    assert crew.done_since("2026-03-01T02:02:00Z") == (0, 0.0)
    assert "at work" not in dict(tally(folder, "series"))["  worker 2/2"]


def test_what_workers_did_is_no_deed_of_the_run_that_ends_them(folder, crew):
    """Taken over in one moment, their tiles would promise a pace that nobody has."""
    with Ledger.open(folder.ledger, "series") as ledger:
        fusing._take_over(folder, "series", ledger, {f"t{number}" for number in range(10)})
        assert ledger.summary() == {"planned": 1, "done": 8, "failed": 1}
    assert not crew.folder.exists()
    said = dict(tally(folder, "series", "2026-03-01T03:30:00Z"))
    assert not {"pace", "time left"} & said.keys()
    assert dict(tally(folder, "series", "2026-03-01T02:00:45Z"))["tiles done"] == "8"
