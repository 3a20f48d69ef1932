"""The tally of faults: it counts what passed and nothing else, and names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

from rejections import ASKED, SLOW, TESTS, Tally

HERE = Path(__file__).parent


def test_every_test_that_is_counted_exists():
    for place in TESTS:
        file, _, name = place.partition("::")
        tree = ast.parse((HERE / file).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, place


def test_every_kind_has_a_test():
    assert {kind for kind, _ in TESTS.values()} == set(ASKED)
    assert set(SLOW) <= set(ASKED)


def filled():
    tally = Tally()
    for place, (kind, worth) in TESTS.items():
        least = max(ASKED[kind][0], SLOW.get(kind, 0))
        for case in range(1 if worth != 1 else least):
            tally.add(f"tests/unit/{place}[{case}]", True, {"cases": least})
    return tally


def test_enough_is_enough():
    assert filled().short({}) == []
    assert filled().short(SLOW) == []
    assert all(" held " in line for line in filled().lines(SLOW))


def test_what_did_not_run_does_not_count():
    tally = Tally()
    assert tally.short({}) == list(ASKED)
    place = "tests/unit/test_ingest_archive.py::test_tricks_are_refused_and_leave_nothing"
    for case in range(29):
        tally.add(f"{place}[{case}]", True, {})
    tally.add(f"{place}[29]", False, {})
    assert "S1" in tally.short({})
    assert next(tally.lines({})).endswith("archives with tricks, 1 failed or skipped")
    tally.add(f"{place}[30]", True, {})
    assert "S1" not in tally.short({})


def test_a_test_that_recorded_nothing_counts_nothing():
    tally = Tally()
    tally.add("tests/unit/test_ingest_faults.py::test_counts_come_back_to_a_count", True, {})
    assert tally.held["D6"] == 0


def test_the_slow_run_asks_for_more():
    tally = Tally()
    tally.add("tests/unit/test_ingest_fuzz.py::test_a_thousand_broken_files", True, {})
    assert "S3" not in tally.short({})
    assert "S3" in tally.short(SLOW)
