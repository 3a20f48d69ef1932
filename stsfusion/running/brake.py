"""Brake: the first Ctrl-C or SIGTERM asks a run to come to its end, the second one aborts it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Brake", "kept_from_children"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Brake:
    """While it is entered, a first signal only sets `pulled`; a second one raises KeyboardInterrupt.

    Outside the main thread, where Python allows no handlers, it is never pulled.
    """

    def __init__(self) -> None:
        self.pulled = False
        self._loose = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Brake:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._pull) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def loosen(self) -> None:
        """From now on a second signal raises nothing: what is left to do is tidying up."""
        self._loose = True

    def _pull(self, number: int, frame: FrameType | None) -> None:
        if self.pulled and not self._loose:
            raise KeyboardInterrupt
        self.pulled = True


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Threads and processes begun in this block, and all that they begin, never see Ctrl-C and SIGTERM.

    A terminal sends Ctrl-C to every process of a job, and a service manager SIGTERM to all of a service:
    workers must outlive both to finish their tiles. A signal that comes meanwhile is delivered after it.
    """
    resource_tracker.ensure_running()  # begun later, it would lift the block again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
