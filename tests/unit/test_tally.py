"""How far the tiles of a run are: their pace is that of the tiles, whatever came before them."""

from __future__ import annotations

import pytest

from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.tally import tally
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Success


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
