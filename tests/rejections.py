"""Rejections: how many faults of each kind were tried and held, counted from the tests that really passed.

After a run in which every file below took part without a selection, too few tried cases fail the run: a case
that was skipped, deselected, renamed or never collected cannot pass unseen.
"""

from __future__ import annotations

import collections

ASKED = {
    "S1": (30, "archives with tricks"),
    "S2": (12, "XML with tricks"),
    "S3": (1000, "broken files, by the turned bit and the cut"),
    "S4": (20, "unsound images and addresses that lead astray"),
    "S5": (6, "code in disguise"),
    "D1": (12, "products that lack something or contradict themselves"),
    "D2": (500, "broken pixels"),
    "D3": (20, "places: reference systems, mirrors, exchanged axes, the meridian of 180°"),
    "D4": (40, "dates, zones of time and angles"),
    "D6": (500, "counts there and back"),
    "D7": (100_000, "points there and back through RPCs"),
}
"""Kind -> how many cases at least, and of what."""

SLOW = {"S3": 20_000}
"""What is asked when the slow tests run, too."""

TESTS = {
    "test_ingest_archive.py::test_tricks_are_refused_and_leave_nothing": ("S1", 1),
    "test_ingest_markup.py::test_attacks_are_refused": ("S2", 1),
    "test_ingest_fuzz.py::test_a_thousand_broken_files": ("S3", 1000),
    "test_ingest_fuzz.py::test_twenty_thousand_broken_files": ("S3", 20_000),
    "test_ingest_tiff.py::test_unsound_images_are_refused_before_they_are_opened": ("S4", 1),
    "test_ingest_tiff.py::test_addresses_are_refused_without_a_connection": ("S4", 1),
    "test_ingest_tiff.py::test_an_image_that_points_elsewhere_is_refused_without_a_connection": ("S4", 1),
    "test_ingest_catalogue.py::test_addresses_that_lead_astray_are_refused": ("S4", 1),
    "test_ingest_faults.py::test_code_in_disguise_is_refused_and_never_run": ("S5", 1),
    "test_ingest_faults.py::test_code_in_attributes_stays_text": ("S5", 1),
    "test_ingest_package.py::test_contradictions_are_refused_by_file_and_reason": ("D1", 1),
    "test_ingest_faults.py::test_broken_pixels_are_masked_and_stay_where_they_are": ("D2", "cases"),
    "test_ingest_faults.py::test_places_are_right_or_refused": ("D3", 1),
    "test_ingest_faults.py::test_time_and_angle_are_read_right_or_not_at_all": ("D4", 1),
    "test_ingest_faults.py::test_gains_are_those_of_the_year": ("D4", 1),
    "test_ingest_faults.py::test_products_of_one_day_are_told_apart": ("D4", 1),
    "test_ingest_faults.py::test_counts_come_back_to_a_count": ("D6", "cases"),
    "test_ingest_faults.py::test_a_hundred_thousand_points_go_there_and_back": ("D7", "cases"),
}
"""Test -> its kind, and how many cases one pass of it is; 'cases': as many as it recorded itself."""


class Tally:
    """What was seen of the tests above; fed with pytest's reports, from whatever process they come."""

    def __init__(self):
        self.held, self.lost, self.seen = collections.Counter(), collections.Counter(), set()

    def add(self, node, passed, recorded):
        """One finished test."""
        place = node.split("[")[0].rpartition("/")[2]
        if place not in TESTS:
            return
        self.seen.add(place)
        kind, worth = TESTS[place]
        if passed:
            self.held[kind] += recorded.get("cases", 0) if worth == "cases" else worth
        else:
            self.lost[kind] += 1

    def lines(self, asked):
        """A row a kind."""
        for kind, (least, words) in ASKED.items():
            least = asked.get(kind, least)
            state = "held" if self.held[kind] >= least and not self.lost[kind] else "TOO FEW"
            failed = f", {self.lost[kind]} failed or skipped" if self.lost[kind] else ""
            yield f"{kind}  {self.held[kind]:>7} of at least {least:>6}  {state:8} {words}{failed}"

    def short(self, asked):
        """Kinds of which too few were tried."""
        return [kind for kind, (least, _) in ASKED.items() if self.held[kind] < asked.get(kind, least)]


TALLY = Tally()


def _whole(config):
    """Whether nothing was left out by choice: no -k, no mark picked, no single files, no early stop."""
    option = config.option
    marks = [word.strip() for word in option.markexpr.split(" and ") if word.strip()]
    picked = any(not word.startswith("not ") for word in marks)
    chosen = picked or option.keyword or getattr(option, "lf", False) or option.maxfail
    return not chosen and all("::" not in word and not word.endswith(".py") for word in config.args)


def _asked(config):
    return {} if "not slow" in config.option.markexpr else SLOW


def pytest_runtest_logreport(report):
    """Count a test when it has run, or could not."""
    if report.when == "call" or report.outcome != "passed":
        TALLY.add(report.nodeid, report.outcome == "passed", dict(report.user_properties))


def pytest_terminal_summary(terminalreporter, config):
    """Print the table after any run that tried something of it."""
    if TALLY.seen:
        terminalreporter.section("faults that were tried and held")
        part = not _whole(config)
        for line in TALLY.lines(_asked(config)):
            kind = line.split()[0]
            if not part or TALLY.held[kind] or TALLY.lost[kind]:
                terminalreporter.write_line(line)


def pytest_sessionfinish(session):
    """Fail a whole run in which too few were tried."""
    config = session.config
    unit = any(word.rstrip("/").endswith(("tests", "unit")) or word == "" for word in config.args)
    if hasattr(config, "workerinput") or not unit or not _whole(config) or config.option.collectonly:
        return
    if TALLY.short(_asked(config)) and session.exitstatus == 0:
        session.exitstatus = 1
