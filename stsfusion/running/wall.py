"""Wall: how long the work of one key may take in this very process."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

__all__ = ["TimeLimit", "within"]

Key = TypeVar("Key")
Result = TypeVar("Result")

_AGAIN = 2.0
"""Seconds after which it rings again: what was raised may be swallowed, or what tidies up may hang too."""


class TimeLimit(Exception):
    """A key's work took longer than it may."""


def within(limit: float, work: Callable[[Key], Result]) -> Callable[[Key], Result]:
    """The same work, given up with a `TimeLimit` after so many seconds; for the main thread alone.

    It ends whatever Python has a say in: loops, sleeping, and waiting for locks and other threads, such as
    those that read from a storage that hangs. It cannot end a single call of a library that never comes back,
    nor what the kernel holds up, nor the threads that the work began: these go on. A timer that was running
    goes on afterwards.
    """

    def timed(key: Key) -> Result:
        alarm = _Alarm(limit)
        try:
            try:
                alarm.begin()
                return work(key)
            finally:
                alarm.end()
        except _Over as over:
            alarm.end()  # it may have rung on the way into the first end
            raise TimeLimit(f"took more than {limit:g} s") from over

    return timed


class _Over(BaseException):
    """Raised wherever the work is; what catches all exceptions does not catch it."""


class _Alarm:
    """Rings after a limit, and again, until it is ended."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.quiet = False
        self.before: Any = None
        self.outer = (0.0, 0.0)
        self.begun = time.monotonic()

    def begin(self) -> None:
        self.before = signal.signal(signal.SIGALRM, self._ring)
        self.outer = signal.setitimer(signal.ITIMER_REAL, self.limit, _AGAIN)

    def end(self) -> None:
        """Once or twice."""
        self.quiet = True
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self.before)
        left, again = self.outer
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - self.begun)), again)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self.quiet:
            raise _Over
