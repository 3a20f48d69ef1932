"""Recipes live random lives, and two broken twins must not survive them."""

from dataclasses import replace

import pytest
from faults.nights import quickly
from faults.recipe_life import Life, live, live_in_lots
from faults.twins import in_pieces

from stsfusion.cube.generations import Generations
from stsfusion.pipeline.madefrom import Difference


def test_random_lives_of_a_recipe(tally):
    live(tally, 5, 6)
    assert tally.of("recipe killed in a random life") >= 5


@pytest.mark.slow
@pytest.mark.timeout(40_000)
def test_many_random_lives_of_a_recipe(tally):
    live_in_lots(tally, lots=8, lives=25, steps=50)
    assert tally.of("recipe killed in a random life") >= 2000
    assert {"ingest", "learning", "tile", "publication", "notes"} <= tally.phases


@pytest.fixture
def forgetful(monkeypatch):
    """A broken twin: dates that were published stay as they are, whatever came beside them."""
    between = Difference.between

    def differ(was, now):
        found = between(was, now)
        old = {time: at for at, time in enumerate(was.dates)}
        times = list(now.dates)
        kept = {**found.kept, **{old[times[at]]: at for at in found.changed}}
        return replace(found, kept=kept, changed=())

    monkeypatch.setattr(Difference, "between", differ)


def test_an_update_that_forgets_the_neighbours_of_new_dates_is_found_out(forgetful):
    life = Life()
    with quickly():
        life.ingest(None)
        life.ask_for(2, None)
        life.a_reader_finds_what_had_come_in()
        life.add_or_reprocess(4, None)
        with pytest.raises(AssertionError):
            life.a_reader_finds_what_had_come_in()
    life.teardown()


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_random_lives_find_an_update_that_forgets_the_neighbours(forgetful):
    with pytest.raises(AssertionError):
        live(None, 20, 12)


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_random_lives_find_a_publisher_in_pieces(monkeypatch):
    monkeypatch.setattr(Generations, "succeed", in_pieces)
    with pytest.raises(AssertionError):
        live(None, 50, 12)
