"""Delivery: files appear under their names when all of them are whole, or none does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from stsfusion.errors import StoreError, StsfusionError
from stsfusion.export.format import Format, Watch
from stsfusion.export.part import Part

__all__ = ["Delivered", "deliver"]

_STAGED = ".export-"
"""How folders begin in which files are written before they get their names."""

_SPARE = 64 * 2**20
"""Bytes that stay free on the disk: not every library survives to meet its end in the middle of a file."""


@dataclass(frozen=True)
class Delivered:
    """One file that was written."""

    path: Path
    """Where it is."""

    bytes: int
    """How large it is."""


def deliver(
    part: Part, kind: Format, folder: Path, *, overwrite: bool = False, watch: Watch | None = None
) -> list[Delivered]:
    """Write a part of a series into a folder.

    Parameters
    ----------
    part, kind
        What, and as which kind of file.
    folder
        Made where it is not there; other files in it are not touched.
    overwrite
        Whether files of the same names are replaced.
    watch
        Is told the share that is done, and what is being written.

    Raises
    ------
    StoreError
        When files of these names are there, or cannot be written, or the series was made anew meanwhile;
        nothing is left then.
    """
    names = kind.files(part)
    _admit(folder, names, overwrite)
    with _staged(folder) as staging:
        try:
            _write(part, kind, staging, watch)
        except StsfusionError as error:
            _expect_same(part, error)
            raise
        _expect_same(part)
        _expect(staging, names)
        _admit(folder, names, overwrite)
        for name in names:
            os.replace(staging / name, folder / name)
    return [Delivered(folder / name, (folder / name).stat().st_size) for name in names]


def _write(part: Part, kind: Format, staging: Path, watch: Watch | None) -> None:
    """Write all files into a folder beside their place."""
    try:
        kind.write(part, staging, _wary(staging, watch))
    except StsfusionError:
        raise
    except (OSError, RasterioError, CPLE_BaseError, RuntimeError) as error:
        raise StoreError(
            f"export to {staging.parent}",
            expected="files that can be written",
            got=str(error).strip() or type(error).__name__,
            mend="Look at the space that is left there, and at the permissions.",
        ) from error


def _expect_same(part: Part, cause: Exception | None = None) -> None:
    """Refuse files of which some pixels may be of one generation of the series, and some of the next."""
    if not part.stands:
        raise StoreError(
            f"store {part.store.path}",
            expected="the series with which the export began",
            got="another one that was published meanwhile",
            mend="Export it again; nothing was written.",
        ) from cause


def _admit(folder: Path, names: list[str], overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"export to {folder}", expected="a folder", got="a file", mend="Say another: --out.")
    there = [name for name in names if os.path.lexists(folder / name)]
    if there and not overwrite:
        raise StoreError(
            f"export to {folder}",
            expected="no file of these names",
            got=f"{there[0]}" + (f" and {len(there) - 1} more" if len(there) > 1 else ""),
            mend="Say another folder with --out, or --overwrite.",
        )


def _wary(staging: Path, watch: Watch | None) -> Watch:
    """Look at the room on the disk whenever a block is written."""

    def look(share: float, note: str) -> None:
        free = shutil.disk_usage(staging).free
        if free < _SPARE:
            raise StoreError(
                f"export to {staging.parent}",
                expected=f"{_SPARE >> 20} MiB free on the disk, always",
                got=f"{free >> 20} MiB, with {share:.0%} written",
                mend="Make room, say another folder with --out, or export fewer dates or a smaller area.",
            )
        if watch is not None:
            watch(share, note)

    look(0.0, "")
    return look


def _expect(staging: Path, names: list[str]) -> None:
    """Every file that was promised is there, and nothing else."""
    found = sorted(path.name for path in staging.iterdir())
    if found != sorted(names):
        raise StoreError(
            "export", expected=f"files {', '.join(sorted(names))}", got=", ".join(found) or "none"
        )


@contextlib.contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder beside the final names, gone in the end; what killed exports left goes first."""
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    mine = tempfile.mkdtemp(prefix=f"{_STAGED}{socket.gethostname()}-{os.getpid()}-", dir=folder)
    try:
        yield Path(mine)
    finally:
        shutil.rmtree(mine, ignore_errors=True)
        with contextlib.suppress(OSError):  # a folder that holds anything stays
            folder.rmdir()


def _sweep(folder: Path) -> None:
    """Remove what exports of this machine left whose processes are no more."""
    mark = f"{_STAGED}{socket.gethostname()}-"
    for left in folder.glob(f"{mark}*"):
        pid = left.name.removeprefix(mark).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
