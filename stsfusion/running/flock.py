"""Flock: a hold on a file that the operating system drops with its process, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from stsfusion.errors import StoreError

__all__ = ["hold", "is_held"]

_HELD = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
"""What is said of a file that others hold; everything else is no answer."""


def hold(path: Path, *, shared: bool = False) -> int | None:
    """Take hold of a file, which is made where it is not there.

    Parameters
    ----------
    shared
        Whether others may hold it so as well.

    Returns
    -------
    The descriptor, which holds until it is closed; None: others hold it.

    Raises
    ------
    StoreError
        Where the file system keeps no locks.
    OSError
        Where the file cannot be made.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken = _taken(path, file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            its_own = taken and os.fstat(file).st_nlink > 0  # else taken away since: nobody else will find it
        except BaseException:
            os.close(file)
            raise
        if its_own:
            return file
        os.close(file)
        if not taken:
            return None


def is_held(path: Path) -> bool:
    """Whether somebody has a file for itself; found out by a moment's shared hold on it.

    Raises
    ------
    StoreError
        Where the file system keeps no locks.
    OSError
        Where the file cannot be read.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        return not _taken(path, file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _taken(path: Path, file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StoreError(
            f"lock {path}",
            expected="a file system that keeps locks",
            got=f"'{error.strerror}'",
            mend="Mount it with flock, or choose another output with --set output=FOLDER.",
        ) from error
    return True
