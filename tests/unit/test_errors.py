"""Errors say where, what was expected, what came and what to do, on both sides of a process border."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from stsfusion import errors
from stsfusion.errors import LockedError, PlanError, StoreError, StsfusionError, nearest
from stsfusion.window import Window

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "cube 'rich'."),
        ({"expected": "metres"}, "cube 'rich': expected metres."),
        ({"got": "feet"}, "cube 'rich': got feet."),
        ({"expected": "metres", "got": "feet"}, "cube 'rich': expected metres, got feet."),
        ({"expected": "metres", "mend": "Convert."}, "cube 'rich': expected metres.\nConvert."),
        ({"got": "a sentence of another library."}, "cube 'rich': got a sentence of another library."),
    ],
)
def test_the_message(said, text):
    assert str(StsfusionError("cube 'rich'", **said)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_pickled_whole(kind):
    error = kind("here", expected="a", got="b", mend="c")
    error.add_note("seen in tile 3")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert (back.where, back.expected, back.got, back.mend) == ("here", "a", "b", "c")
    assert back.__notes__ == ["seen in tile 3"]


def test_an_error_crosses_a_process_border():
    crooked = Window((0, 1), (0, 6), (3, 7))
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(PlanError, match="multiples of the ratio 3") as caught,
    ):
        pool.submit(crooked.coarsen, 3).result()
    assert caught.value.mend == "Snap the window to 3 first."


def test_all_kinds_are_caught_together():
    assert all(issubclass(kind, StsfusionError) for kind in KINDS)
    assert issubclass(LockedError, StoreError)


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("bicubik", ["gsa", "bicubic"], "Did you mean 'bicubic'?"),
        ("xyz", ["gsa", "bicubic"], "Known: bicubic, gsa."),
        ("xyz", [], "Nothing is known here."),
    ],
)
def test_the_nearest_word_is_named(word, known, said):
    assert nearest(word, iter(known)) == said
