"""A bar on a terminal, sparse plain lines elsewhere, silence on demand."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stsfusion.running import progress as module
from stsfusion.running.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when told to."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    # The dataclass keeps the real clock as its default: tests give theirs through the same name.
    written = module._Written
    monkeypatch.setattr(module, "_Written", lambda *given: written(*given, begun=clock.now, last=clock.now))
    return clock


def log():
    return Console(file=io.StringIO(), width=200)


def test_a_log_gets_a_line_every_ten_seconds_at_most(clock):
    console = log()
    with progress("Fusing [tiles]", 100, console=console) as bar:
        for step in range(1, 41):
            clock.now += 1.0
            bar.advance(note=f"tile {step}")
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "Fusing [tiles] …"
    assert [line.split("%")[0] for line in lines[1:-1]] == [f"Fusing [tiles]: {s}" for s in (10, 20, 30, 40)]
    assert lines[1] == "Fusing [tiles]: 10%, 1.0/s, 1 min 30 s left  tile 10"
    assert lines[-1] == "Fusing [tiles]: done in 40.0 s"
    assert "\x1b" not in console.file.getvalue()


def test_shares_and_steps_go_together(clock):
    console = log()
    with progress("Learning", 4, console=console) as bar:
        bar.at(0.5, "epoch 3")
        clock.now += 15.0
        bar.advance()
    assert "Learning: 75%, 12/min, 5.0 s left" in console.file.getvalue()


def test_nothing_to_do_is_done(clock):
    console = log()
    with progress("Fusing", 0, console=console) as bar:
        clock.now += 15.0
        bar.advance()
    assert "100%" in console.file.getvalue()


def test_a_terminal_gets_a_bar_with_share_time_left_and_note():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with progress("Fusing", 9, console=console) as bar:
        bar.advance(3, note="tile [3]")
        bar.at(2 / 3, "tile [6]")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert "67%" in text
    assert "left" in text
    assert "tile [6]" in text
    assert "Fusing: done in" in text.splitlines()[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_stopped_work_is_not_called_done(terminal):
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal)
    with progress("Fusing", 9, console=console) as bar:
        bar.advance(3)
        bar.stopped()
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue()).splitlines()[-1]
    assert "Fusing: stopped after 0.0 s" in last
    assert "done" not in last


def test_quiet_says_nothing(capsys):
    with progress("Fusing", 9, quiet=True) as bar:
        bar.advance()
        bar.stopped()
        bar.at(0.5, "half")
    assert capsys.readouterr() == ("", "")


def test_standard_error_is_the_default(capsys):
    with progress("Fusing", 9):
        pass
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("Fusing …\n")


def test_broken_work_is_not_called_done():
    console = log()
    with pytest.raises(OSError), progress("Fusing", 9, console=console):
        raise OSError
    assert "done" not in console.file.getvalue()
