"""Forks: runs of the command line, each forked from one process that has imported all and begun no thread.

A fresh interpreter takes seconds to import what a run needs; a fork takes milliseconds. So hundreds of runs
can be killed. What a fork sees of the world is a new process's: its own session, files, threads and signals.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Flight", "Forks"]

_TESTS = Path(__file__).parents[1]


@dataclass
class Flight:
    """One run on its way."""

    pid: int
    """Its process, which leads a session of its own."""

    log: Path
    """Where its watch notes every file operation."""

    words: Path
    """Where it prints."""

    begun: float = field(default_factory=time.monotonic)
    """When it was started, seconds on this process's clock."""

    code: int | None = None
    """How it ended: the exit code, or less than nothing for the signal that ended it."""

    ended: threading.Event = field(default_factory=threading.Event)
    """Set when it has."""

    seconds: float = 0.0
    """How long it took."""

    def wait(self, timeout: float = 1800.0) -> int:
        """Its exit code, once it has ended."""
        if not self.ended.wait(timeout):
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError(f"still running after {timeout:g} s:\n{self.printed()[-2000:]}")
        assert self.code is not None
        return self.code

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, if it still lives."""
        if not self.ended.is_set():
            os.kill(self.pid, sign)

    def printed(self) -> str:
        """What it said so far."""
        return self.words.read_text(errors="replace") if self.words.exists() else ""


class Forks:
    """The one process, and the runs that came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flights: dict[int, Flight] = {}
        self._number = 0
        self._answers: dict[int, threading.Event] = {}
        path = os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, *words: object, watch: Mapping[str, Any] | None = None, **also: Any) -> Flight:
        """Fork a run of `stsfusion WORDS`.

        Parameters
        ----------
        watch
            What `faults.watch` is told: the folder to watch, and the fault.
        also
            `limit`: most bytes of a file (RLIMIT_FSIZE); `env`: more environment; `twin`: of `faults.twins`;
            `dask`: settings.
        """
        self._number += 1
        number, stem = self._number, self.folder / f"run-{self._number:04d}"
        order = {"number": number, "words": [str(word) for word in words], **also}
        order |= {"printed": f"{stem}.txt", "watch": {"log": f"{stem}.log", **(watch or {})}}
        self._answers[number] = threading.Event()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        if not self._answers[number].wait(600):
            raise TimeoutError("the process that forks does not answer")
        return self.flights[number]

    def run(self, *words: object, **options: Any) -> Flight:
        """The same, and wait for its end."""
        flight = self.start(*words, **options)
        flight.wait()
        return flight

    def close(self) -> None:
        """End the process, and what is left of its runs."""
        for flight in self.flights.values():
            flight.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._listener.join(10)
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            number = news["number"]
            if "pid" in news:
                stem = self.folder / f"run-{number:04d}"
                self.flights[number] = Flight(news["pid"], Path(f"{stem}.log"), Path(f"{stem}.txt"))
                self._answers[number].set()
            else:
                flight = self.flights[number]
                flight.code, flight.seconds = news["code"], time.monotonic() - flight.begun
                flight.ended.set()


# ---------------------------------------------------------------- in the process that forks


def _prepare() -> None:
    """Import all that a run needs, and read the code's fingerprints once."""
    import stsfusion.cli.commands
    import stsfusion.methods.bicubic
    import stsfusion.methods.gsa
    import stsfusion.pipeline.recipe
    import stsfusion.pipeline.status
    import stsfusion.pipeline.steps
    from stsfusion import methods
    from stsfusion.pipeline import fingerprint

    imported = fingerprint._imported
    fingerprint.code_in = functools.cache(fingerprint.code_in)
    fingerprint._imported = functools.cache(lambda source, root: tuple(imported(source, root)))
    for name in ("gsa", "bicubic"):
        fingerprint.fingerprint_of_code(methods.create(name))
    root = Path(stsfusion.__file__).parent
    fingerprint.fingerprint_of_parts(*(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != "_"))
    assert threading.active_count() == 1, "a fork would lose a thread that was begun before it"
    gc.collect()
    gc.freeze()


def _become(order: Mapping[str, Any]) -> None:
    """Be the run: never returns."""
    code = 70
    try:
        os.setsid()
        out = os.open(order["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((null, 0), (out, 1), (out, 2)):
            os.dup2(old, new)
        os.environ.update(order.get("env", {}))
        if "limit" in order:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
        code = _run(order)
    except BaseException:
        traceback.print_exc()
    finally:
        with_end = [atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush]
        for deed in with_end:
            deed()
        os._exit(code)


def _run(order: Mapping[str, Any]) -> int:
    from faults.watch import begin

    from stsfusion.cli import app

    begin(order["watch"])
    if order.get("dask"):
        import dask

        dask.config.set(order["dask"])
    if order.get("twin"):
        from faults.twins import become

        become(order["twin"])
    try:
        app(order["words"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _serve() -> None:
    """Take orders line by line, fork, and tell how each run ended."""
    _prepare()
    running: dict[int, int] = {}
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    waiting = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.002 if running else None)
        if ready:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            for order in map(json.loads, lines):
                pid = os.fork()
                if pid == 0:
                    _become(order)
                running[pid] = order["number"]
                answers.write(json.dumps({"number": order["number"], "pid": pid}) + "\n")
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            end = {"number": running.pop(pid), "code": os.waitstatus_to_exitcode(status)}
            answers.write(json.dumps(end) + "\n")


if __name__ == "__main__":
    _serve()
