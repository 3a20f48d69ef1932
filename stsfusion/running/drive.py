"""Drive: the driver's side of one run over a cluster of workers; it is handed the client."""

from __future__ import annotations

import pickle
import queue
import time
import uuid
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stsfusion.errors import PlanError
from stsfusion.running.books import Books, News
from stsfusion.running.brake import Brake
from stsfusion.running.line import STAGES
from stsfusion.running.outcome import Failure, OnDone, Outcome, Success

__all__ = ["Abandoned", "Drive"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_AHEAD = STAGES + 1
"""Tasks in flight for each slot: one in each stage of its process's line, and one that waits beside them."""


class Abandoned(Exception):
    """The scheduler took tasks back that are not over, as it does when the client has lost it."""


@dataclass
class Drive(Generic[Key, Result]):
    """One run over a client: submits through a sliding window, hears the news, guards the limits.

    Workers tell when a task begins and how it ended, past the scheduler's own books. Thus the driver knows
    which were running when a process died, where the scheduler would also blame those that waited beside
    them, and how long each has taken (see Books); and an end is safe though its process die before it is
    fetched.
    """

    client: Any
    """A distributed.Client."""

    carry: Callable[..., Any]
    """On a worker: `carry(work, key, number, topic)` sends News to `topic` and returns the end."""

    kill: Callable[[Any], Awaitable[None]]
    """On a nanny, which is handed to it: end the worker's process."""

    work: Callable[[Key], Result]
    """Function of one key."""

    keys: Sequence[Key]
    """Distinct, in the order of work."""

    on_done: OnDone[Key, Result]
    """Told of each end."""

    limit: float | None
    """Seconds a task may take."""

    retries: int
    """New beginnings after the death of a process."""

    patience: float
    """Seconds that there may be no worker at all."""

    brake: Brake
    """Whether to come to the end."""

    watch: Callable[[int], None] | None = None
    """Told every other second how many keys have not ended; what it raises ends the run."""

    def __post_init__(self) -> None:
        self.topic = f"tiles-{uuid.uuid4().hex}"
        self.inbox: queue.SimpleQueue[News | int] = queue.SimpleQueue()
        self.waiting = iter(range(len(self.keys)))
        self.futures: dict[int, Any] = {}
        self.books = Books(self.retries)
        self.ended: set[int] = set()
        self.done = 0
        self.slots = 1
        self.looked, self.manned = -60.0, time.monotonic()

    def run(self) -> Outcome[Key]:
        """Carry it through, or to the end of what is running once the brake is pulled.

        Raises
        ------
        Abandoned
            When the scheduler is gone, or began anew: no task is to blame.
        """
        self.client.subscribe_topic(self.topic, lambda event: self.inbox.put(News(**event[1])))
        self._look()
        self._submit()
        while self.futures:
            self._hear()
            self._look()
            self._guard()
            if self.brake.pulled:
                self._recall()
            else:
                self._submit()
        self.client.unsubscribe_topic(self.topic)
        self.client.set_metadata(self.topic, {})
        left = tuple(key for number, key in enumerate(self.keys) if number not in self.ended)
        return Outcome(self.done, len(self.ended) - self.done, left, interrupted=self.brake.pulled)

    def _submit(self) -> None:
        """Fill the window."""
        room = _AHEAD * max(1, self.slots) - len(self.futures)
        for _, number in zip(range(room), self.waiting, strict=False):
            name = f"{self.topic}-{number}"
            task = (self.work, self.keys[number], number, self.topic)
            future = self.client.submit(self.carry, *task, key=name, priority=-number, pure=False)
            future.add_done_callback(lambda _, number=number: self.inbox.put(number))
            self.futures[number] = future

    def _look(self) -> None:
        """Count the slots anew every other second: workers may come and go."""
        now = time.monotonic()
        if now - self.looked < 2.0:
            return
        self.slots, self.looked = sum(self.client.nthreads().values()), now
        if self.watch is not None:
            self.watch(len(self.keys) - len(self.ended))
        self.manned = now if self.slots else self.manned
        if now - self.manned > self.patience:
            raise PlanError(
                "workers",
                expected="at least one",
                got=f"none for {self.patience:g} s",
                mend="See why they ended or never came (memory, queue, network), then run again to go on.",
            )

    def _hear(self) -> None:
        """Wait a moment for news, then take in all there is."""
        try:
            news = self.inbox.get(timeout=0.1)
            while True:
                if isinstance(news, int):
                    self._finished(news)
                elif news.number in self.futures:
                    self._told(news)
                news = self.inbox.get_nowait()
        except queue.Empty:
            return

    def _told(self, news: News) -> None:
        if news.end:
            self._settle(news.number, pickle.loads(news.end))
            return
        self.books.begin(news)
        dead = self.books.killer(news.number)
        if dead is not None:
            text = f"its process died {self.books.deaths(news.number)} times; is the memory too small?"
            self._give_up(dead, "WorkerLost", text)

    def _guard(self) -> None:
        """End what is over its time; a task whose worker is gone waits for another and is not running."""
        if self.limit is None:
            return
        for start in self.books.slow(self.limit, time.monotonic()):
            if start.number in self.books and start.address in self.client.nthreads():
                self._give_up(start, "TimeLimit", f"took more than {self.limit:g} s")

    def _give_up(self, start: News, kind: str, text: str) -> None:
        """Fail a task and end the process that holds it: a running thread cannot be stopped otherwise."""
        holder = self.books.last(start.number)
        self.futures[start.number].cancel()
        self.books.excuse(holder)
        with suppress(KeyError, OSError):  # it may have gone by itself
            self.client.run(self.kill, workers=[holder.address], nanny=True, on_error="ignore")
        seconds = time.monotonic() - start.heard
        self._settle(start.number, Failure(kind, text, "", seconds, start.worker))

    def _recall(self) -> None:
        """Take back what has not begun."""
        for number in [number for number in self.futures if number not in self.books]:
            self.futures.pop(number).cancel()

    def _finished(self, number: int) -> None:
        """The scheduler says that a task is over; when its end was not told, it could not begin."""
        if number not in self.futures:
            return
        if self.futures[number].cancelled():
            raise Abandoned
        try:
            end: Success[Result] | Failure = self.futures[number].result()
        except Exception as error:
            end = Failure(type(error).__name__, str(error))
        self._settle(number, end)

    def _settle(self, number: int, end: Success[Result] | Failure) -> None:
        self.futures.pop(number).release()
        self.books.end(number, time.monotonic())
        self.ended.add(number)
        self.done += isinstance(end, Success)
        self.on_done(self.keys[number], end)
