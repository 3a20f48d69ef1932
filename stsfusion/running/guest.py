"""Guest: many workers may be inside at once, as long as no run has the output for itself."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from stsfusion.errors import LockedError
from stsfusion.running.flock import hold
from stsfusion.running.lock import Lock

__all__ = ["Guest"]


@dataclass
class Guest:
    """A shared hold on the file of a `Lock`: guests keep the lock from being taken, and it keeps them out.

    The operating system drops it when the process ends, however it ends.
    """

    path: Path
    """The lock's file."""

    _held: int | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self._held = hold(self.path, shared=True)
        if self._held is None:
            raise LockedError(
                f"output {self.path.parent}",
                expected="no run that has it for itself",
                got=f"one by {Lock(self.path).holder()}",
                mend="Wait for it to end and run the same command again.",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None
