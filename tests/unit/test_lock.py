"""One run at a time on one output."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stsfusion.errors import LockedError
from stsfusion.running.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from stsfusion.running.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run.lock")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_by_name_and_a_killed_one_holds_nothing(other, tmp_path):
    lock = Lock(tmp_path / "run.lock")
    with (
        pytest.raises(
            LockedError, match=rf"(?s)process {other.pid} on .* since 20.*run the same command again"
        ),
        lock,
    ):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert str(other.pid) in lock.holder()
    with lock:
        assert f"process {os.getpid()} " in lock.holder()
    assert "has not said its name" in lock.holder()


def test_the_lock_is_held_until_the_context_is_left(tmp_path):
    path = tmp_path / "deep" / "run.lock"
    with Lock(path):
        gc.collect()
        for _ in range(2):
            with pytest.raises(LockedError, match=f"process {os.getpid()} "), Lock(path):
                pass
        held = subprocess.run([sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True)
        assert "LockedError" in held.stderr
    with Lock(path):
        pass


def test_an_error_inside_gives_the_lock_back(tmp_path):
    lock = Lock(tmp_path / "run.lock")
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    with lock:
        pass


def test_a_torn_note_names_nobody(tmp_path):
    with Lock(tmp_path / "run.lock") as lock:
        (tmp_path / "run.lock.json").write_text('{"host": "a", "pi')
        with pytest.raises(LockedError, match="has not said its name"), Lock(lock.path):
            pass


def left_behind(path, **holder):
    """A lock as a process left it that was cut off: the file, and the note of who held it."""
    path.write_text("")
    path.with_name(f"{path.name}.json").write_text(json.dumps({"host": "other", "since": "2020", **holder}))


class Believing(Lock):
    """Believes the note: whoever it names is taken to be at work."""

    def __enter__(self):
        if self._note.exists() and Path(f"/proc/{json.loads(self._note.read_text())['pid']}").exists():
            raise LockedError("output")
        return super().__enter__()


@pytest.mark.parametrize("pid", [2**22 + 1, os.getpid()], ids=["a dead process", "another boot's, now ours"])
def test_what_a_crash_or_a_reboot_left_holds_nothing(tmp_path, pid):
    left_behind(tmp_path / "lock", pid=pid)
    with Lock(tmp_path / "lock") as lock:
        assert f"process {os.getpid()} " in lock.holder()


def test_who_believes_the_note_is_locked_out_after_a_reboot(tmp_path):
    left_behind(tmp_path / "lock", pid=os.getpid())
    with pytest.raises(LockedError), Believing(tmp_path / "lock"):
        pass


def test_who_is_at_work_is_known_without_touching_the_lock(other, tmp_path):
    lock = Lock(tmp_path / "run.lock")
    assert lock.at_work().pid == other.pid
    other.kill()
    other.wait()
    assert lock.at_work() is None, "its note is still there"
