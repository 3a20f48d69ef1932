"""Unheard: who reads what a command says may go before its end, as `head` does; the command goes on."""

from __future__ import annotations

import io
import sys
from typing import Any

__all__ = ["outlast_listeners"]


class _Unheard(io.FileIO):
    """A file of which it does not matter whether anybody reads it; a full disk still does."""

    def write(self, text: Any, /) -> int:
        """As many bytes as were written, or are lost because the pipe is closed."""
        try:
            return super().write(text)
        except BrokenPipeError:
            return memoryview(text).nbytes


def outlast_listeners() -> None:
    """From now on, a closed pipe on standard output or standard error changes no work and no exit code.

    Streams that somebody has replaced stay as they are.
    """
    for name in ("stdout", "stderr"):
        old = getattr(sys, name)
        if old is not None and old is getattr(sys, f"__{name}__"):
            setattr(sys, name, _outlasting(old))


def _outlasting(old: io.TextIOWrapper) -> io.TextIOWrapper:
    old.flush()
    raw = _Unheard(old.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if old.write_through else io.BufferedWriter(raw),
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=old.line_buffering,
        write_through=old.write_through,
    )
