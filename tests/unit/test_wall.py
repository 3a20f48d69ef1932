"""Work that takes too long is given up wherever Python has a say, and leaves no trace of the clock."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from stsfusion.running import wall
from stsfusion.running.inline import Inline
from stsfusion.running.outcome import Failure, Success
from stsfusion.running.wall import TimeLimit, within


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(wall, "_AGAIN", 0.1)


@pytest.fixture
def outer():
    """An alarm of somebody else, far away."""
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *told: rung.append(1))
    before = signal.setitimer(signal.ITIMER_REAL, 100.0, 7.0)
    yield rung
    signal.setitimer(signal.ITIMER_REAL, *before)
    signal.signal(signal.SIGALRM, handler)


def waits_for_a_thread(key):
    threading.Event().wait(30)


def swallows_all(key):
    with contextlib.suppress(BaseException):
        time.sleep(30)
    time.sleep(30)


def hangs_in_tidying_up(key):
    try:
        time.sleep(30)
    finally:
        time.sleep(30)


def turns(key):
    while True:
        pass


@pytest.mark.parametrize("work", [waits_for_a_thread, swallows_all, hangs_in_tidying_up, turns])
def test_what_hangs_is_given_up(work, outer):
    begun = time.monotonic()
    with pytest.raises(TimeLimit, match=r"took more than 0\.2 s"):
        within(0.2, work)("key")
    assert 0.2 <= time.monotonic() - begun < 5.0
    time.sleep(0.25)
    left, again = signal.getitimer(signal.ITIMER_REAL)
    assert 90 < left < 99.9, "a timer that was there before was lost, or began anew"
    assert (again, outer) == (7.0, [])


def test_what_ends_in_time_ends_as_it_would_and_no_bell_rings_later(outer):
    assert within(0.5, lambda key: key)(3) == 3
    with pytest.raises(ZeroDivisionError):
        within(0.5, lambda key: 1 / key)(0)
    time.sleep(0.6)
    assert outer == []


def test_a_limit_that_is_over_at_once_leaves_no_bell():
    bell = signal.getsignal(signal.SIGALRM)
    for _ in range(300):
        with contextlib.suppress(TimeLimit):
            within(1e-5, lambda key: sum(range(100)))("key")
    assert signal.getsignal(signal.SIGALRM) is bell


def test_it_is_told_where_the_work_hung():
    ends = {}
    outcome = Inline(limit=0.2).run(lambda key: key or waits_for_a_thread(key), [1, 0, 2], ends.__setitem__)
    assert (outcome.done, outcome.failed, outcome.left) == (2, 1, ())
    assert isinstance(ends[0], Failure)
    assert "waits_for_a_thread" in ends[0].trace
    assert isinstance(ends[2], Success)


def test_outside_the_main_thread_there_is_no_limit():
    ends = {}
    run = threading.Thread(
        target=lambda: Inline(limit=0.05).run(lambda key: time.sleep(0.2), [1], ends.__setitem__)
    )
    run.start()
    run.join()
    assert isinstance(ends[1], Success)
