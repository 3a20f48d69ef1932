"""Results that change after they were noted are made again, and those that never stay are told of."""

from __future__ import annotations

import pytest

from stsfusion.running.inline import Inline
from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Outcome
from stsfusion.running.rounds import run_in_rounds

KEYS = ["a", "b", "c"]


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite", "run") as ledger:
        ledger.plan(KEYS)
        yield ledger


class Shelf:
    """What lies there by key, and what is done to it after a key was done."""

    def __init__(self, harm=lambda shelf, key: None):
        self.there, self.made, self.harm = {}, [], harm

    def work(self, key):
        self.there[key] = "whole"
        self.made.append(key)
        return {"key": key, "checksum": self.there[key]}

    def run(self, ledger, keys=KEYS, executor=None):
        def ended(key, end):
            ledger.record(key, end)
            self.harm(self, key)

        return run_in_rounds(executor or Inline(), self.work, keys, ended, ledger, self.there.__getitem__)


def once(victim, at):
    """After `at` was done for the first time, `victim` is spoilt."""
    left = [at]

    def harm(shelf, key):
        if left and key == left[0]:
            left.pop()
            shelf.there[victim] = "spoilt"

    return harm


def test_what_stays_is_done_once(ledger):
    shelf = Shelf()
    assert shelf.run(ledger) == Outcome(3, 0)
    assert shelf.made == KEYS


@pytest.mark.parametrize(("victim", "at"), [("a", "b"), ("c", "c")])
def test_what_changed_is_done_again(ledger, victim, at):
    shelf = Shelf(once(victim, at))
    assert shelf.run(ledger) == Outcome(3, 0)
    assert shelf.made == [*KEYS, victim]
    assert set(shelf.there.values()) == {"whole"}


def test_what_an_earlier_run_did_is_looked_at_as_well(ledger):
    Shelf().run(ledger, ["a"])
    shelf = Shelf(once("a", "c"))
    shelf.there["a"] = "whole"
    assert shelf.run(ledger, ["b", "c"]).done == 2
    assert shelf.made == ["b", "c", "a"]


def test_what_never_stays_has_failed(ledger):
    shelf = Shelf(lambda shelf, key: shelf.there.update(b="spoilt"))
    outcome = shelf.run(ledger)
    assert (outcome.done, outcome.failed) == (2, 1)
    assert "changed before it was published" in ledger.failures()["b"]
    assert shelf.made.count("b") == 4


def test_nothing_is_looked_at_where_the_run_is_not_whole(ledger):
    class Stopped:
        def run(self, work, keys, on_done):
            return Outcome(1, 0, tuple(keys[1:]), interrupted=True)

    shelf = Shelf()
    assert shelf.run(ledger, executor=Stopped()).interrupted
    assert shelf.made == []
