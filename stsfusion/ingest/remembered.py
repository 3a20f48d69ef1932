"""Remembered: what was found out before, in files that are named after all that it hangs on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from stsfusion.cube.disk import replace
from stsfusion.ingest.stamps import print_of

__all__ = ["Remembered"]

T = TypeVar("T")


@dataclass(frozen=True)
class Remembered:
    """A folder of what was found out."""

    folder: Path | None = None
    """Where; None: nothing is kept."""

    version: str = ""
    """Of the code, and of what is known of the instruments; '': nothing is kept."""

    used: set[str] = field(default_factory=set)
    """Files that were asked for."""

    def found(
        self,
        what: Sequence[Any],
        kind: Any,
        find: Callable[[], T],
        worth: Callable[[T], bool] = lambda one: True,
    ) -> T:
        """What is found out now, or was before; the same to the last digit.

        Parameters
        ----------
        what
            All that it hangs on.
        kind
            Its type, as it is written and read.
        worth
            Whether it is kept.
        """
        if self.folder is None or not self.version:
            return find()
        file = self.folder / f"{print_of(self.version, *what)}.json"
        self.used.add(file.name)
        known = _read(file, kind)
        if known is None:
            fresh = find()
            if not worth(fresh):
                return fresh
            content = _adapter(kind).dump_python(fresh, mode="json")
            replace(file, json.dumps({"sha256": print_of(content), "found": content}).encode())
            known = _read(file, kind) or [fresh]
        one: T = known[0]
        return one

    def forget(self) -> None:
        """Remove what nobody asked for."""
        for file in [] if self.folder is None else self.folder.glob("*.json"):
            if file.name not in self.used:
                file.unlink()


def _read(file: Path, kind: Any) -> list[Any] | None:
    """What a file tells, alone in a list; None where there is none, or it is damaged."""
    try:
        content = json.loads(file.read_bytes())
        sound = content["sha256"] == print_of(content["found"])
        return [_adapter(kind).validate_python(content["found"])] if sound else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
