"""NoRoom: a disk that is full, a quota that is spent, a file that may not grow: told with place and bytes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from stsfusion.errors import StoreError
from stsfusion.pipeline.words import size

__all__ = ["no_room"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(error: OSError, output: Path) -> StoreError | None:
    """The error in words that say what to do; None: it is another one.

    Parameters
    ----------
    output
        The folder of the run's results.
    """
    if error.errno not in _FULL:
        return None
    why = error.strerror or os.strerror(error.errno)
    mend = "Make room there, or choose another disk with --set output=FOLDER"
    if error.errno == errno.EFBIG:
        mend = "Allow larger files ('ulimit -f'), or choose another disk with --set output=FOLDER"
    return StoreError(
        str(error.filename or f"output {output}"),
        expected="room for what is written there",
        got=f"{why}: {_free(output)}",
        mend=f"{mend}; the same command goes on from here. What was published is as it was.",
    )


def _free(output: Path) -> str:
    place = next(path for path in (output, *output.resolve().parents) if path.exists())
    found = shutil.disk_usage(place)
    return f"{size(found.free)} ({found.free} bytes) of {size(found.total)} are free on the disk of {place}"
