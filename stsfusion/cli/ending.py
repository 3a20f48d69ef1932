"""Ending: SIGTERM and Ctrl-C end every command with 75, from when this file has been read to its last moment.

Before that, while Python starts (about a tenth of a second), they end the process as they end any program of
Python: nothing was begun.

::

    working  the first one raises KeyboardInterrupt, which is told in words, in JSON, and by the exit code;
             others within a second count as the same, later ones raise again, should it hang
    telling  the exit code is decided and the last line on its way: none is heeded
    leaving  what is left is tidied up: one more ends the process at once, with the code that was decided

It imports next to nothing, so that little comes before it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = ["LATER", "STOPPED", "asks_for_json", "heeded", "is_decided", "tell_in_json"]

LATER = 75
"""Exit code: try again later."""

STOPPED = "stopped; the same command goes on from here"
"""What is said of a command that a signal has ended."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_SAME = 1.0
"""Seconds within which a further signal counts as the same: some send two at once, or to a whole group."""


class _Ear:
    """Hears signals."""

    def __init__(self) -> None:
        self.heard = -_SAME
        self.telling = False
        self.leaving: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.leaving is not None:
            os._exit(self.leaving)
        now = time.monotonic()
        if self.telling or now - self.heard < _SAME:
            return
        self.heard = now
        raise KeyboardInterrupt


_EAR = _Ear()


@contextmanager
def heeded() -> Iterator[None]:
    """Around all that the process does."""
    atexit.register(_fall_silent)  # the first to be registered is the last to be called
    for number in _heard():
        signal.signal(number, _EAR)
    code = 1
    try:
        yield
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    except KeyboardInterrupt:
        code = LATER
        is_decided()
        print(STOPPED, file=sys.stderr)
        if asks_for_json(sys.argv[1:]):
            tell_in_json(code, words=STOPPED)
        raise SystemExit(code) from None
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody listens any more
                stream.flush()
        _EAR.leaving = code


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for one line of JSON; `bench` writes it into a file."""
    return "--json" in words and list(words[:1]) != ["bench"]


def is_decided() -> None:
    """How the command ends is known: no signal changes it any more."""
    _EAR.telling = True


def tell_in_json(code: int, /, **facts: Any) -> None:
    """One line on standard output for programs: the exit code, and what there is to know."""
    is_decided()
    print(json.dumps({"code": code, **facts}, default=str), flush=True)


def _heard() -> list[signal.Signals]:
    """Those that nobody has asked to be ignored, as a shell does for what runs in the background."""
    return [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def _fall_silent() -> None:
    """Until the process is gone: the interpreter lets go of handlers before it ends, but not of this."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
