"""What parts a published series from the one that is asked for."""

import pytest

from stsfusion.pipeline.madefrom import Difference, MadeFrom


def made(dates, **other):
    known = {"frame": "f", "code": "c", "learned_from": "i", "origin": 0, "weights": "w"}
    return MadeFrom(**{**known, **other}, dates=dates)


@pytest.mark.parametrize(
    ("now", "kept", "new", "changed", "gone", "appends"),
    [
        ({1: "a", 2: "b"}, {0: 0, 1: 1}, (), (), (), True),
        ({1: "a", 2: "b", 3: "c"}, {0: 0, 1: 1}, (2,), (), (), True),
        ({0: "z", 1: "a", 2: "b"}, {0: 1, 1: 2}, (0,), (), (), False),
        ({1: "a", 2: "x", 3: "c"}, {0: 0}, (2,), (1,), (), False),
        ({1: "a", 3: "c"}, {0: 0}, (1,), (), (2,), False),
    ],
)
def test_every_date_is_kept_new_changed_or_gone(now, kept, new, changed, gone, appends):
    change = Difference.between(made({1: "a", 2: "b"}), made(now))
    assert (dict(change.kept), change.new, change.changed, change.gone) == (kept, new, changed, gone)
    assert change.appends is appends
    assert change.nothing is (now == {1: "a", 2: "b"})


@pytest.mark.parametrize("other", ["frame", "code", "learned_from", "weights"])
def test_whatever_differs_makes_another_series(other):
    assert made({1: "a"}).identity != made({1: "a"}, **{other: "x"}).identity
    assert made({1: "a"}).identity != made({1: "b"}).identity
    assert made({1: "a"}).identity != made({1: "a"}, origin=5).identity
    assert made({1: "a"}).identity == made({1: "a"}).identity


def test_what_was_learned_can_be_another_series_own():
    borrowed = made({1: "a", 2: "b"}, learned_from="more").with_learning_of(made({1: "a"}))
    assert borrowed == made({1: "a", 2: "b"})


def test_it_is_said_in_words():
    assert str(Difference({}, (1, 2), (0,), ())) == "2 new, 1 changed"
    assert str(Difference({0: 0}, (), (), ())) == "none"
