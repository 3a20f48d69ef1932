"""Tasks pass a line's stages one behind the other, and never hold more than a stage each."""

import threading
import time

import pytest

from stsfusion.running import line as lines
from stsfusion.running.line import Line, advance


class Watch:
    """Who is in which stage, and who was there with whom."""

    def __init__(self):
        self.lock, self.now, self.met, self.order = threading.Lock(), {}, set(), []

    def at(self, key, stage):
        with self.lock:
            self.now[key] = stage
            self.met |= {frozenset(self.now.items())}
            self.order.append((key, stage))

    def gone(self, key):
        with self.lock:
            del self.now[key]


def run(line, keys, work, alone=()):
    """A thread a key, the next begun when the first stage is free; what was seen."""
    watch, threads = Watch(), []

    def task(key, freed):
        with line.entered(alone=key in alone, freed=freed.set):
            work(key, watch)
        freed.set()

    for key in keys:
        freed = threading.Event()
        threads.append(threading.Thread(target=task, args=(key, freed), daemon=True))
        threads[-1].start()
        assert freed.wait(10) or key in alone
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return watch


def staged(key, watch):
    for stage, seconds in enumerate((0.005, 0.01, 0.005)):
        if stage:
            advance()
        watch.at(key, stage)
        time.sleep(seconds)
    watch.gone(key)


def test_stages_overlap_and_each_holds_one_task():
    watch = run(Line(), range(8), staged)
    assert any(len(met) > 1 for met in watch.met), "nothing overlapped"
    for met in watch.met:
        stages = [stage for _, stage in met]
        assert len(set(stages)) == len(stages), f"two tasks in one stage: {sorted(met)}"
    for stage in range(3):
        assert [key for key, its in watch.order if its == stage] == list(range(8)), "one overtook another"


def test_a_stage_that_is_not_waited_for_is_seen_by_this_test(monkeypatch):
    def hasty(place):
        place.stages[0].release()
        place.freed()

    monkeypatch.setattr(lines._Place, "advance", hasty)
    with pytest.raises(AssertionError, match="two tasks in one stage"):
        test_stages_overlap_and_each_holds_one_task()


def test_a_task_that_never_advances_keeps_others_out():
    def plain(key, watch):
        watch.at(key, 0)
        time.sleep(0.002)
        watch.gone(key)

    assert all(len(met) == 1 for met in run(Line(), range(5), plain).met)


def test_a_task_alone_meets_nobody():
    watch = run(Line(), range(9), staged, alone={4})
    assert all(len(met) == 1 for met in watch.met if any(key == 4 for key, _ in met))
    assert [key for key, stage in watch.order if stage == 2] == list(range(9))


def test_a_wider_line_takes_as_many_tasks_into_each_stage():
    line, threads, inside, most = Line(2), [], [], []

    def task():
        with line.entered():
            advance()
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    for _ in range(6):
        threads.append(threading.Thread(target=task))
        threads[-1].start()
    for thread in threads:
        thread.join(10)
    assert max(most) == 2


def test_a_task_that_fails_leaves_its_stage_free():
    line = Line()
    for stages in (0, 1, 2):

        def broken(key, watch, stages=stages):
            for _ in range(stages):
                advance()
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"), line.entered():
            broken(0, None)
        with line.entered(alone=True):
            pass
    advance()  # outside a line it does nothing
