"""Trial: one method on one question in a fresh process, with the seconds and the memory it took.

The process is given the question alone and gives the answer back; the truth stays with the caller, so that
there is nothing to look at. Run as a module, this file is that process.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import psutil
import torch
from torch import Tensor

from stsfusion.errors import MethodError, ProblemError, StsfusionError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod, Geometry, Tick, silent
from stsfusion.fusion.problem import Problem
from stsfusion.learning.checkpoint import checkpoints
from stsfusion.methods import create
from stsfusion.window import Window

__all__ = ["Peak", "Trial", "attempt", "samples"]

_WHOLE = 512 * 512
"""Target pixels up to which a method is fitted on the whole scene."""

_TILES, _SIZE = 16, 256
"""Number and side (target pixels) of the tiles on which it is fitted otherwise."""

_PAUSE = 0.005
"""Seconds between two readings of the memory."""

_SMALL = 4096
"""Values of the largest tensor of its state that is handed back."""

_PREFIX = "stsfusion-trial-"
"""Of the folders through which question and answer go; the asking process's number follows."""

_TASK, _RESULT, _FAULT, _NOTES = "task.pickle", "result.pickle", "fault.txt", "notes.txt"


@dataclass(frozen=True, eq=False)
class Trial:
    """An answer and what it cost."""

    answer: Answer
    """What the method gave back."""

    fit_s: float
    """Seconds in `fit`, with those of earlier runs from whose checkpoints it went on."""

    fuse_s: float
    """Seconds in `fuse`."""

    peak_mb: float
    """Largest resident memory during both, above that of the process with torch, the method and the question
    loaded, MiB; read every 5 ms."""

    learned: Mapping[str, Tensor] = field(default_factory=dict)
    """What `fit` learned, by the names of the method's state; tensors of at most 4096 values."""


def attempt(
    question: Problem, settings: Mapping[str, Any], tick: Tick = silent, learning: Path | None = None
) -> Trial:
    """Fit and fuse in a fresh process.

    Parameters
    ----------
    question
        Without truth, or its truth is left out.
    settings
        Name and settings of the method, as for `methods.create`.
    tick
        Told what the process is doing.
    learning
        Folder in which a long training writes down how far it is, and from which it goes on after a death;
        the caller's to remove. None: nowhere.

    Raises
    ------
    MethodError
        When the method fails, or its process dies.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as name:
        folder = Path(name)
        (folder / _TASK).write_bytes(pickle.dumps((question.question(), dict(settings), learning)))
        code = _watch(folder, tick)
        if code == 0:
            trial: Trial = pickle.loads((folder / _RESULT).read_bytes())
            return trial
        raise MethodError(f"method '{settings['name']}'", got=_reason(folder, code))


def _sweep() -> None:
    """Remove what was left by processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _watch(folder: Path, tick: Tick) -> int:
    """Run the process to its end and pass on what it says; it dies with its caller's patience."""
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "stsfusion.pipeline.trial", str(folder)]
    with (
        (folder / _NOTES).open("wb") as notes,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=notes, env={**os.environ, "PYTHONPATH": paths}, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                done, what = json.loads(line)
                tick(done, what)
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _reason(folder: Path, code: int) -> str:
    if (folder / _FAULT).is_file():
        return (folder / _FAULT).read_text(encoding="utf-8")
    last = (folder / _NOTES).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    ended = f"killed by signal {-code}" if code < 0 else f"ended with {code}"
    memory = " (out of memory?)" if code == -9 else ""
    return f"a process {ended}{memory}" + (f": {last[0]}" if last else "")


def samples(question: Problem) -> Sequence[Problem]:
    """What a method is fitted on: the whole scene, or seeded tiles of a large one."""
    time, _, rows, cols = question.target.shape
    multiple = Geometry.of(question).multiple
    size = _SIZE // multiple * multiple
    if rows * cols <= _WHOLE or size == 0 or min(rows, cols) < size:
        return [question]
    dice = torch.Generator().manual_seed(0)

    def start(length: int) -> int:
        return int(torch.randint((length - size) // multiple + 1, (1,), generator=dice)) * multiple

    corners = [(start(rows), start(cols)) for _ in range(_TILES)]
    return [question.crop(Window((0, time), (y, y + size), (x, x + size))) for y, x in corners]


class Peak:
    """Largest resident memory of this process while the context is open, above what it was at its start."""

    def __enter__(self) -> Self:
        gc.collect()
        self._process = psutil.Process()
        self._start = self._most = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._read()
        self._done.set()
        self._thread.join()

    @property
    def mb(self) -> float:
        """MiB above the start."""
        return (self._most - self._start) / 2**20

    def _sample(self) -> None:
        while not self._done.wait(_PAUSE):
            self._read()

    def _read(self) -> None:
        self._most = max(self._most, self._process.memory_info().rss)


def _measure(question: Problem, settings: Mapping[str, Any], tick: Tick, learning: Path | None) -> Trial:
    method = create(settings)
    with Peak() as peak:
        start = perf_counter()
        method, before = _fitted(method, question, lambda done, what: tick(0.9 * done, what), learning)
        fitted = perf_counter()
        tick(0.9, "fusing")
        answer = method.fuse(question)
        fused = perf_counter()
    if not isinstance(answer, Answer) or answer.shape != question.target.shape:
        raise ProblemError("answer", expected=f"an Answer of {question.target.shape}", got=_shape(answer))
    learned = {name: tensor for name, tensor in method.state.items() if tensor.numel() <= _SMALL}
    return Trial(answer, before + fitted - start, fused - fitted, peak.mb, learned)


def _fitted(
    method: FusionMethod, question: Problem, tick: Tick, learning: Path | None
) -> tuple[FusionMethod, float]:
    """The method with what it learned, and the seconds that earlier runs had spent on it."""
    if learning is None:
        return method.fit(samples(question), tick), 0.0
    with checkpoints(learning) as watched:
        return method.fit(samples(question), tick), watched.before


def _shape(answer: object) -> str:
    return f"{answer.shape}" if isinstance(answer, Answer) else type(answer).__name__


def main(folder: Path) -> int:
    """The fresh process: do the task, and tell the asking process how far it is."""
    # What a method prints must not be taken for news: those go to the first standard output alone.
    news = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(done: float, what: str) -> None:
        news.write(json.dumps([done, what]) + "\n")

    return work(folder, tell)


def work(folder: Path, tell: Tick) -> int:
    """Do the task that lies in a folder, and leave the result or the fault there; gives the exit code."""
    question, settings, learning = pickle.loads((folder / _TASK).read_bytes())
    try:
        trial = _measure(question, settings, tell, learning)
    except Exception as error:
        kind = "" if isinstance(error, StsfusionError) else f"{type(error).__name__}: "
        (folder / _FAULT).write_text(f"{kind}{error}", encoding="utf-8")
        return 1
    (folder / _RESULT).write_bytes(pickle.dumps(trial))
    return 0


if __name__ == "__main__":
    # The class must be known by its importable name, not as part of __main__.
    from stsfusion.pipeline import trial as this

    sys.exit(this.main(Path(sys.argv[1])))
