"""One run at a time on one output."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stsfusion.errors import LockedError, StoreError
from stsfusion.running import flock
from stsfusion.running.guest import Guest
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


@pytest.mark.parametrize(
    ("host", "pid"), [(socket.gethostname(), os.getpid()), ("elsewhere", 1)], ids=["here", "elsewhere"]
)
def test_a_note_that_a_crash_left_tells_of_nobody(tmp_path, host, pid):
    lock = Lock(tmp_path / "lock")
    left_behind(lock.path, host=host, pid=pid)
    assert lock.at_work() is None, "whoever has the number of a dead process is taken for it"
    with Guest(lock.path):
        assert lock.at_work() is None
    lock.path.unlink()
    assert lock.at_work() is None


def test_a_run_of_another_machine_is_told_while_it_holds_the_lock(tmp_path):
    with Lock(tmp_path / "lock") as lock:
        left_behind(lock.path, host="elsewhere", pid=1)
        assert str(lock.at_work()) == "process 1 on elsewhere since 2020"


def test_where_it_cannot_be_asked_who_said_so_last_is_told_as_such(tmp_path, monkeypatch):
    left_behind(tmp_path / "lock", host="elsewhere", pid=1)
    without_flock(monkeypatch, errno.ENOLCK)
    assert str(Lock(tmp_path / "lock").at_work()).endswith(
        "since 2020 said so last; whether it still runs cannot be told from here"
    )


def test_who_only_asks_locks_nobody_out(tmp_path):
    lock, over = Lock(tmp_path / "lock"), threading.Event()
    with lock:
        pass
    left_behind(lock.path, pid=1)

    def ask():
        while not over.is_set():
            lock.at_work()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with Lock(lock.path):
                pass
    finally:
        over.set()
        asking.join()


def without_flock(monkeypatch, number):
    def refused(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(flock.fcntl, "flock", refused)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("kind", [Lock, Guest])
def test_a_file_system_without_locks_is_named_with_what_mends_it(tmp_path, monkeypatch, kind, number):
    path = tmp_path / "work" / "lock"
    path.parent.mkdir()
    path.write_text("")
    without_flock(monkeypatch, number)
    with (
        pytest.raises(StoreError, match=r"(?s)work/lock: .*keeps locks.*Mount it with flock") as told,
        kind(path),
    ):
        pass
    assert not isinstance(told.value, LockedError), "who is told to wait waits without end"
    assert os.strerror(number) in str(told.value)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
@pytest.mark.parametrize("kind", [Lock, Guest])
def test_what_others_hold_is_told_as_held(tmp_path, monkeypatch, kind, number):
    without_flock(monkeypatch, number)
    with pytest.raises(LockedError), kind(tmp_path / "lock"):
        pass


def test_a_lock_file_that_is_taken_away_meanwhile_holds_nobody(tmp_path, monkeypatch):
    path, real, taken = tmp_path / "lock", fcntl.flock, []

    def take(file, how):
        if not taken:
            path.unlink()  # by a run that found nothing of its own there
        taken.append(file)
        real(file, how)

    monkeypatch.setattr(flock.fcntl, "flock", take)
    with Lock(path):
        assert len(taken) == 2
        with pytest.raises(LockedError), Lock(path):
            pass
