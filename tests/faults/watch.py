"""Watch: sees every file operation of a run below a folder, notes it, and lets a fault strike at one of them.

Python tells its audit hooks of every file that it opens, renames, links or removes, whoever asks: Zarr, the
store, the ledger. A hook runs before the operation, in the thread that asks; when it raises, the operation
has failed with that error; when it kills, nothing was done yet. Notes are written to a file descriptor that
appends, so that they outlive the process.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["DEEDS", "Watch", "begin", "operation", "phase_of"]

DEEDS = ("write", "rename", "link", "remove", "mkdir", "rmdir", "sync", "swap", "note")
"""Operations that change something; all but `read`."""

_SPACE = ("write", "rename", "link", "mkdir", "sync")
"""Those that a full disk refuses."""

_PATHS: dict[str, tuple[str, int, int]] = {
    "os.rename": ("rename", 1, 3),
    "os.link": ("link", 1, 3),
    "os.remove": ("remove", 0, 1),
    "os.mkdir": ("mkdir", 0, 2),
    "os.rmdir": ("rmdir", 0, 1),
    "os.truncate": ("write", 0, 9),
}
"""Of an audit event: the operation's name, and where among its words path and folder descriptor stand."""


def phase_of(deed: str, path: str) -> str:
    """The phase of a run that an operation belongs to, by what it touches inside the run's folder."""
    if deed == "note":
        return "ledger"
    first, _, rest = path.partition("/")
    if first == "cubes.zarr":
        return "ingest"
    if first.startswith((".fused", "fused")):
        tile = any(f"{part}/c/" in f"/{rest}" for part in ("/reflectance", "/qa", "/valid", "/sigma"))
        staged = first.startswith(".fused") and deed == "remove"  # a shard that is written anew
        return "tile" if tile and (staged or deed not in ("remove", "rmdir", "sync")) else "publication"
    if first in ("scores.json", ".scores.json.new"):
        return "scoring"
    if first in ("report.html", ".report.html.new"):
        return "report"
    if first == ".stsfusion":
        return "learning" if rest.startswith("weights") else "plan" if rest.startswith("plan") else "notes"
    return "beginning" if path in ("", ".") else "other"


def operation(event: str, words: tuple[Any, ...]) -> tuple[str, str] | None:
    """Name and absolute path of the file operation that an audit event tells of; None: of another thing."""
    if event == "open":
        path, _, flags = words
        changing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        return None if isinstance(path, int) else ("write" if changing else "read", _absolute(path, -1))
    if event not in _PATHS:
        return None
    deed, at, folder = _PATHS[event]
    if isinstance(words[at], int):
        return None
    return deed, _absolute(words[at], words[folder] if len(words) > folder else -1)


def _absolute(path: Any, folder: int | None) -> str:
    """A path as seen from an open folder, or from the working folder."""
    place = os.fsdecode(os.fspath(path))
    if folder is not None and folder >= 0 and not os.path.isabs(place):
        place = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), place)
    return os.path.abspath(place)


class Watch:
    """One run's watch; `strike` is asked before every operation."""

    def __init__(self, root: str, log: str, strike: Callable[[Watch, str, str, int], None]) -> None:
        self.root = os.path.abspath(root)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.strike = strike
        self.count = 0
        self.begun = time.perf_counter()
        self.lock = threading.RLock()
        self.busy = threading.local()

    def hook(self, event: str, words: tuple[Any, ...]) -> None:
        """Take in an audit event."""
        if getattr(self.busy, "within", False):
            return
        if event == "ctypes.dlsym" and "renameat2" in words:
            self.seen("swap", self.root)
        elif (found := operation(event, words)) is not None:
            self.seen(*found)

    def seen(self, deed: str, place: str) -> None:
        """Note an operation below the root, and let the fault strike."""
        if place != self.root and not place.startswith(self.root + os.sep):
            return
        with self.lock:
            self.busy.within = True
            try:
                inside = os.path.relpath(place, self.root)
                self.count += deed != "read"
                self.say(f"{self.count}\t{deed}\t{inside}")
                self.strike(self, deed, inside, self.count)
            finally:
                self.busy.within = False

    def quietly(self, deed: Callable[[int], None], number: int) -> None:
        """Do something that is not seen."""
        with self.lock:
            self.busy.within = True
            try:
                deed(number)
            finally:
                self.busy.within = False

    def say(self, line: str) -> None:
        """Append a line with the time."""
        os.write(self.log, f"{time.perf_counter() - self.begun:.4f}\t{line}\n".encode())


def begin(order: Mapping[str, Any]) -> Watch | None:
    """Watch this process from now on, if the order names a folder.

    Parameters
    ----------
    order
        `root`: the folder; `log`: the notes; and one of the faults: `die` (a signal's number) at deed `at`,
        for the parent in place of this process where `parent` is said; `errno` at the deeds from `at` on,
        `times` of them; `errno` with the chance `share` at any operation, by `seed`; `grow` at the writing
        of a file, with `room` bytes of address space left if said; `pause` seconds at most before each;
        `record`: where to write a recording for power cuts.
    """
    if "root" not in order:
        return None
    watch = Watch(order["root"], order["log"], _fault(order))
    sync, seen = os.fsync, watch.seen

    def fsync(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        seen("sync", os.readlink(f"/proc/self/fd/{number}"))
        sync(number)
        if recorder is not None:
            watch.quietly(recorder.synced, number)

    recorder = None
    if "record" in order:
        from faults.recording import Recorder

        recorder = Recorder(Path(order["root"]), Path(order["record"]))
        watch.strike = recorder.step
    os.fsync = fsync  # type: ignore[assignment]
    _tell_of_notes(watch.seen)
    sys.addaudithook(watch.hook)
    return watch


def _tell_of_notes(seen: Callable[[str, str], None]) -> None:
    """SQLite opens and writes its file past Python: its commits are told by the ledger's own methods."""
    from stsfusion.running.ledger import Ledger

    for name in ("plan", "record"):
        before = getattr(Ledger, name)

        def told(self: Ledger, *words: Any, before: Any = before) -> Any:
            seen("note", os.path.abspath(self.path))
            return before(self, *words)

        setattr(Ledger, name, told)


def _fault(order: Mapping[str, Any]) -> Callable[[Watch, str, str, int], None]:
    if "die" in order:
        return _death(
            signal.Signals(order["die"]), order["at"], os.getppid if order.get("parent") else os.getpid
        )
    if "grow" in order:
        return _greed(order["grow"], order.get("room"))
    if "at" in order:
        return _refusal(order["errno"], order["at"], order.get("times", 1))
    if "share" in order or "pause" in order:
        return _moods(order)
    return lambda watch, deed, path, count: None


def _death(sign: signal.Signals, at: int, whom: Callable[[], int]) -> Callable[[Watch, str, str, int], None]:
    done: list[int] = []

    def strike(watch: Watch, deed: str, path: str, count: int) -> None:
        if count >= at and not done and deed != "read":
            done.append(count)
            watch.say(f"{count}\t{sign.name}\t{path}")
            os.kill(whom(), sign)

    return strike


def _refusal(number: int, at: int, times: int) -> Callable[[Watch, str, str, int], None]:
    left = [times]

    def strike(watch: Watch, deed: str, path: str, count: int) -> None:
        if count >= at and left[0] and deed in _SPACE:
            left[0] -= 1
            watch.say(f"{count}\t{errno.errorcode[number]}\t{path}")
            raise OSError(number, os.strerror(number), os.path.join(watch.root, path))

    return strike


def _greed(path: str, room: int | None) -> Callable[[Watch, str, str, int], None]:
    """Whoever writes this file takes memory until it is ended, or given no more."""
    taken: list[bytes] = []

    def strike(watch: Watch, deed: str, place: str, count: int) -> None:
        if deed == "write" and f"/{path}." in place and not taken:
            watch.say(f"{count}\tgrows\t{place}")
            if room is not None:
                pages = int(Path("/proc/self/statm").read_text().split()[0])
                most = pages * resource.getpagesize() + room
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            while len(taken) < 400:
                taken.append(os.urandom(1 << 23))
                time.sleep(0.02)
            time.sleep(30)

    return strike


def _moods(order: Mapping[str, Any]) -> Callable[[Watch, str, str, int], None]:
    """A disk that is slow, and now and then fails."""
    dice = random.Random(order.get("seed", 0))

    def strike(watch: Watch, deed: str, path: str, count: int) -> None:
        time.sleep(dice.random() * order.get("pause", 0.0))
        if dice.random() < order.get("share", 0.0) and deed not in ("note", "swap"):
            number = order["errno"]
            watch.say(f"{count}\t{errno.errorcode[number]}\t{path}")
            raise OSError(number, os.strerror(number), os.path.join(watch.root, path))

    return strike
