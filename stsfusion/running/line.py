"""Line: the stages of a process, through which its tasks go one behind the other.

::

    task 1   read | fuse | write
    task 2          read | fuse . | write         . waits for the stage before it
    task 3                 read . | fuse | write

A task leaves a stage only once the next one is free: a process never holds more than one task a stage, and
its tasks end in the order in which they began. A task that never says `advance` keeps all others out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["STAGES", "Line", "advance"]

STAGES = 3
"""Reading, working and writing."""

_here = threading.local()


@dataclass(eq=False)
class _Place:
    """Where in a line the task of this thread is."""

    stages: list[threading.Semaphore]
    freed: Callable[[], None]
    stage: int = 0

    def advance(self) -> None:
        """Into the next stage, once it is free; in the last one, nothing."""
        if self.stage + 1 == len(self.stages):
            return
        self.stages[self.stage + 1].acquire()
        self.stages[self.stage].release()
        self.stage += 1
        if self.stage == 1:
            self.freed()


def _nothing() -> None:
    """Nobody waits for the first stage."""


@dataclass(eq=False)
class Line:
    """The stages of a process."""

    width: int = 1
    """Tasks that a stage takes at once."""

    _stages: list[threading.Semaphore] = field(init=False, repr=False)
    _alone: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._stages = [threading.Semaphore(self.width) for _ in range(STAGES)]

    @contextmanager
    def entered(self, *, alone: bool = False, freed: Callable[[], None] = _nothing) -> Iterator[None]:
        """Be a task in the line, in its first stage, as soon as that is free.

        Parameters
        ----------
        alone
            Wait until all who are in the line have left it, and keep others out.
        freed
            Called when the task leaves the first stage, so that another may be begun.
        """
        with self._emptied() if alone else self._joined(freed):
            yield

    @contextmanager
    def _joined(self, freed: Callable[[], None]) -> Iterator[None]:
        self._stages[0].acquire()
        _here.place = place = _Place(self._stages, freed)
        try:
            yield
        finally:
            _here.place = None
            self._stages[place.stage].release()

    @contextmanager
    def _emptied(self) -> Iterator[None]:
        with self._alone:  # two that took half of a stage each would wait for each other
            for stage in self._stages:
                for _ in range(self.width):
                    stage.acquire()
            try:
                yield
            finally:
                for stage in self._stages:
                    stage.release(self.width)


def advance() -> None:
    """Say that this thread's task goes on to its next stage; outside a line, or alone in one, nothing."""
    place: _Place | None = getattr(_here, "place", None)
    if place is not None:
        place.advance()
