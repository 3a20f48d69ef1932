"""Mishap: a death in this very process, at a chosen file operation: uncaught, and nothing is tidied up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faults.watch import DEEDS, operation

__all__ = ["Death", "mishap"]


class Death(BaseException):
    """As a kill would, it passes every `except Exception`."""


class _Fate:
    """The one audit hook of this process; idle but within `mishap`."""

    def __init__(self) -> None:
        self.root = ""
        self.left = 0
        self.point = ""

    def hook(self, event: str, words: tuple[Any, ...]) -> None:
        if not self.root:
            return
        found = operation(event, words)
        if found is None or found[0] not in DEEDS or not found[1].startswith(self.root):
            return
        self.left -= 1
        if self.left < 0:
            self.point = self.point or f"{found[0]} {os.path.relpath(found[1], self.root)}"
            raise Death(self.point)


_FATE = _Fate()


@contextmanager
def mishap(root: Path, after: int) -> Iterator[_Fate]:
    """Let this process die, so to speak, once it has changed something below a folder so many times.

    Everything that is asked for afterwards dies as well, as it would.
    """
    if not hasattr(sys, "_stsfusion_fate"):
        sys.addaudithook(_FATE.hook)
        sys._stsfusion_fate = True  # type: ignore[attr-defined]
    _FATE.root, _FATE.left, _FATE.point = str(root), after, ""
    try:
        yield _FATE
    finally:
        _FATE.root = ""
