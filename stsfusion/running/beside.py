"""Beside: keys of one process, the next begun once a key has left the first stage of the line."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from stsfusion.running.brake import Brake
from stsfusion.running.line import Line
from stsfusion.running.outcome import Failure, OnDone, Outcome, Success, perform, this_process

__all__ = ["run_beside"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


_LOOK = 0.1
"""Seconds between two looks at the clock, where there is a limit."""


def run_beside(
    work: Callable[[Key], Result],
    keys: Sequence[Key],
    on_done: OnDone[Key, Result],
    brake: Brake,
    limit: float | None = None,
) -> Outcome[Key]:
    """Do the keys in order, each in a thread of its own; see `Executor.run`.

    Keys end in their order, so that the oldest waits for none: it alone is timed, from when it became the
    oldest. Its thread cannot be ended, and those behind it wait for it: beyond the limit in seconds the run
    comes to its end with all of them left, and the threads die with the process.
    """
    line, done, failed, begun, since = Line(), 0, 0, 0, 0.0
    news: queue.SimpleQueue[tuple[Key, Success[Result] | Failure] | None] = queue.SimpleQueue()

    def task(key: Key) -> None:
        left = threading.Event()

        def leave() -> None:
            left.set()
            news.put(None)

        with line.entered(freed=leave):
            end = perform(work, key)
        if not left.is_set():
            leave()
        news.put((key, end))

    free, running = True, list[Key]()
    while running or (begun < len(keys) and not brake.pulled):
        if free and begun < len(keys) and not brake.pulled:
            since = since if running else time.monotonic()
            # A second Ctrl-C must not wait for what is running.
            threading.Thread(target=task, args=(keys[begun],), daemon=True).start()
            running.append(keys[begun])
            begun, free = begun + 1, False
        try:
            told = news.get(timeout=None if limit is None else _LOOK)
        except queue.Empty:
            if limit is None or time.monotonic() - since <= limit:
                continue
            over = Failure("TimeLimit", f"took more than {limit:g} s", "", limit, this_process())
            on_done(running[0], over)
            return Outcome(done, failed + 1, (*running[1:], *keys[begun:]), interrupted=True)
        if told is None:
            free = True
            continue
        running.remove(told[0])
        since = time.monotonic()
        done, failed = done + isinstance(told[1], Success), failed + isinstance(told[1], Failure)
        on_done(*told)
    return Outcome(done, failed, tuple(keys[begun:]), interrupted=brake.pulled)
