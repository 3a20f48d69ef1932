"""Progress: what is being done, how much of it, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Bar", "progress"]

_PAUSE = 10.0
"""Seconds between two lines where there is no terminal."""


class Bar(Protocol):
    """Something that shows how far a piece of work is."""

    def advance(self, steps: float = 1.0, note: str = "") -> None:
        """Say that so many more steps are done."""

    def at(self, share: float, note: str = "") -> None:
        """Say that a share (0 to 1) is done."""

    def say(self, words: str) -> None:
        """Say something in a line of its own."""

    def stopped(self) -> None:
        """Say that the work ends before all of it is done."""


@dataclass
class _Silent:
    """Shows nothing."""

    def advance(self, steps: float = 1.0, note: str = "") -> None:
        """Say nothing."""

    def at(self, share: float, note: str = "") -> None:
        """Say nothing."""

    def say(self, words: str) -> None:
        """Say nothing."""

    def stopped(self) -> None:
        """Say nothing."""


@dataclass
class _Drawn:
    """A bar on a terminal."""

    drawn: Progress
    task: TaskID
    total: float
    end: str = "done in"

    def advance(self, steps: float = 1.0, note: str = "") -> None:
        """Draw the bar further."""
        self.drawn.update(self.task, advance=steps, note=note)

    def at(self, share: float, note: str = "") -> None:
        """Draw the bar at a place."""
        self.drawn.update(self.task, completed=share * self.total, note=note)

    def say(self, words: str) -> None:
        """Write above the bar."""
        self.drawn.console.print(words, markup=False)

    def stopped(self) -> None:
        """Say so at the end."""
        self.end = "stopped after"


@dataclass
class _Written:
    """Plain lines for a log, not more than one in ten seconds."""

    console: Console
    words: str
    total: float
    done: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)
    end: str = "done in"

    def advance(self, steps: float = 1.0, note: str = "") -> None:
        """Count, and write when it is time."""
        self.at((self.done + steps) / self.total if self.total else 1.0, note)

    def at(self, share: float, note: str = "") -> None:
        """Write when it is time."""
        self.done = share * self.total
        now = time.monotonic()
        if now - self.last < _PAUSE:
            return
        self.last = now
        speed = _speed(self.done / max(now - self.begun, 1e-9)) if self.total > 1 and share > 0 else ""
        left = f", {_clock((now - self.begun) * (1 - share) / share)} left" if share > 0 else ""
        said = f"{self.words}: {share:.0%}{speed and ', ' + speed}{left}{'  ' + note if note else ''}"
        self.console.print(said, markup=False)

    def say(self, words: str) -> None:
        """Write at once."""
        self.console.print(words, markup=False)

    def stopped(self) -> None:
        """Say so at the end."""
        self.end = "stopped after"


@contextmanager
def progress(
    words: str, total: float = 1.0, *, quiet: bool = False, console: Console | None = None
) -> Iterator[Bar]:
    """Show a piece of work while the context is open, and say at its end how long it took.

    On a terminal a bar with the share that is done and the time left; elsewhere plain lines, so that logs
    stay readable.

    Parameters
    ----------
    words
        What is being done.
    total
        Number of steps.
    quiet
        Show nothing.
    console
        Where; None: standard error.
    """
    if quiet:
        yield _Silent()
        return
    shown = console or Console(stderr=True, soft_wrap=True, highlight=False)
    begun = time.monotonic()
    if shown.is_terminal:
        with Progress(*_columns(), console=shown, transient=True) as drawn:
            bar: _Drawn | _Written = _Drawn(drawn, drawn.add_task(words, total=total, note=""), total)
            yield bar
    else:
        shown.print(f"{words} …", markup=False)
        bar = _Written(shown, words, total)
        yield bar
    shown.print(f"{words}: {bar.end} {_clock(time.monotonic() - begun)}", markup=False)


class _Speed(ProgressColumn):
    """How many steps a second, of work that is counted in steps."""

    def render(self, task: Task) -> Text:
        """Nothing until it is known."""
        known = task.speed and task.total is not None and task.total > 1
        return Text(_speed(task.speed or 0.0) if known else "")


def _speed(steps: float) -> str:
    """'2.5/s', '12/min'."""
    return f"{steps:.1f}/s" if steps >= 1 else f"{60 * steps:.2g}/min"


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes >= 1 else f"{rest:.1f} s"
