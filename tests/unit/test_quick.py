"""Which methods can, and how short they may be made."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from stsfusion import methods
from stsfusion.pipeline import quick
from stsfusion.pipeline.quick import able, expanded, shortened


@dataclass
class Patient:
    """Iterates for long."""

    steps: int = field(default=10_000, metadata={"ge": 1, "quick": 300})
    rank: int = 10


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setattr(quick, "kind", {"patient": Patient}.__getitem__)


def test_all_are_those_whose_needs_are_met():
    found = able(("rich", "sharp"))
    assert {"bicubic", "gsa", "lineartime"} <= set(found) <= set(methods.names())
    assert "stsnet" not in found
    assert "gsa" not in able(("rich",))


def test_all_is_replaced_in_its_place_and_none_comes_twice():
    everyone = able(("rich", "sharp"))
    assert expanded(["all"], ("rich", "sharp")) == everyone
    assert expanded(["gsa:psf=box", "all", "gsa"], ("rich", "sharp")) == ["gsa:psf=box", *everyone]
    assert expanded(["gsa", "gsa"], ("rich", "sharp")) == ["gsa"]


def test_what_was_not_set_is_shortened(patient):
    assert shortened({"name": "patient"}) == ({"name": "patient", "steps": 300}, True)
    assert shortened({"name": "patient", "rank": 3})[0]["rank"] == 3


def test_what_was_set_stays(patient):
    assert shortened({"name": "patient", "steps": 10_000}) == ({"name": "patient", "steps": 10_000}, False)


def test_methods_that_do_not_iterate_stay():
    assert shortened({"name": "bicubic"}) == ({"name": "bicubic"}, False)
