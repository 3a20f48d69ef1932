"""Beside: keys of one process, the next begun once a key has left the first stage of the line."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from stsfusion.running.brake import Brake
from stsfusion.running.line import Line
from stsfusion.running.outcome import Failure, OnDone, Outcome, Success, perform

__all__ = ["run_beside"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def run_beside(
    work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result], brake: Brake
) -> Outcome[Key]:
    """Do the keys in order, each in a thread of its own; see `Executor.run`."""
    line, done, begun, running = Line(), 0, 0, 0
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

    free = True
    while running or (begun < len(keys) and not brake.pulled):
        if free and begun < len(keys) and not brake.pulled:
            # A second Ctrl-C must not wait for what is running.
            threading.Thread(target=task, args=(keys[begun],), daemon=True).start()
            begun, running, free = begun + 1, running + 1, False
        told = news.get()
        if told is None:
            free = True
            continue
        running, done = running - 1, done + isinstance(told[1], Success)
        on_done(*told)
    return Outcome(done, begun - done, tuple(keys[begun:]), interrupted=brake.pulled)
