"""Books: which task began where, since when its process works on it, and who is to blame for a death."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Books", "News"]


@dataclass(frozen=True)
class News:
    """What a worker tells of a task: that it begins, or how it ended."""

    number: int
    """Index of the key."""

    address: str
    """The worker's, as the scheduler knows it."""

    worker: str
    """`host:pid`."""

    end: bytes
    """A pickled Success or Failure; empty at the beginning."""

    alone: bool = False
    """Whether no other task may run beside it in its process."""

    width: int = 1
    """Tasks that each stage of its process takes at once."""

    heard: float = field(default_factory=time.monotonic)
    """When the driver heard of it, seconds on the driver's own clock."""


@dataclass
class Books:
    """The tasks that have begun and not ended, and every try of each.

    Of the tasks that go through a process one behind the other the oldest waits for none: it alone is timed,
    from when it became the oldest. One that hangs is found in time all the same, when those before it are
    through; one that only waits is never blamed.
    """

    retries: int
    """New beginnings after the death of a process."""

    _tries: dict[int, list[News]] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)

    def __contains__(self, number: object) -> bool:
        return number in self._tries

    def begin(self, news: News) -> None:
        """A task began, for the first time or anew."""
        self._tries.setdefault(news.number, []).append(news)
        self._since.pop(news.number, None)
        for number, last in self._last():  # another process at this address: theirs is gone
            if last.address == news.address and last.worker != news.worker:
                self._since.pop(number, None)
        self._time(news)

    def end(self, number: int, now: float) -> None:
        """A task is over."""
        self._since.pop(number, None)
        tries = self._tries.pop(number, None)
        if tries:
            self._time(tries[-1], now)

    def last(self, number: int) -> News:
        """The latest beginning of a task."""
        return self._tries[number][-1]

    def deaths(self, number: int) -> int:
        """How often the process of a task died of itself."""
        return len(self._tries[number]) - 1

    def killer(self, number: int) -> News | None:
        """The try after which a task that begins anew has died too often; None: it may go on.

        A death beside others is held against all of them, but none is given up before it died alone.
        """
        tries = self._tries[number]
        return tries[-2] if self.deaths(number) > self.retries and tries[-2].alone else None

    def slow(self, limit: float, now: float) -> list[News]:
        """The tasks on which their processes have worked for more seconds than the limit."""
        return [self.last(number) for number, since in self._since.items() if now - since > limit]

    def excuse(self, start: News) -> None:
        """The driver ends the process of this try: that is not held against those beside it."""
        for number in [number for number, last in self._last() if last.worker == start.worker]:
            self._since.pop(number, None)
            if number != start.number:
                self._tries[number].pop()
                if not self._tries[number]:
                    del self._tries[number]

    def _last(self) -> Iterator[tuple[int, News]]:
        return ((number, tries[-1]) for number, tries in self._tries.items())

    def _time(self, news: News, now: float | None = None) -> None:
        """Begin to time those of a process that have become its oldest."""
        there = [last for _, last in self._last() if last.worker == news.worker]
        for start in sorted(there, key=lambda start: start.heard)[: news.width]:
            self._since.setdefault(start.number, news.heard if now is None else now)
