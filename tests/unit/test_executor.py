"""Executors do every key once, in several processes, whatever happens to some of them."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from dask.system import CPU_COUNT
from distributed import LocalCluster

from stsfusion.errors import LaterError, PlanError
from stsfusion.running.brake import Brake
from stsfusion.running.drive import Drive
from stsfusion.running.executor import Address, Failure, Inline, Local, Success
from stsfusion.running.owncluster import THREADS


class Diary:
    """Every end, by key."""

    def __init__(self):
        self.ends = {}
        self.order = []
        self.threads = set()

    def __call__(self, key, end):
        assert key not in self.ends, "an end was told twice"
        self.ends[key] = end
        self.order.append(key)
        self.threads.add(threading.current_thread())

    @property
    def values(self):
        return {key: end.value for key, end in self.ends.items() if isinstance(end, Success)}

    @property
    def kinds(self):
        return {key: end.kind for key, end in self.ends.items() if isinstance(end, Failure)}


def square(shift=0):
    """Closures travel by value: workers cannot import this file."""

    def work(key):
        time.sleep(0.05)
        if key == 3:
            raise ZeroDivisionError("three is refused")
        return key * key + shift, os.getpid(), os.environ.get("OMP_NUM_THREADS")

    return work


def test_inline_does_keys_in_order_and_collects_failures():
    diary = Diary()
    outcome = Inline().run(lambda key: 10 // key, [5, 0, 2], diary)
    assert (outcome.done, outcome.failed, outcome.left, outcome.interrupted) == (2, 1, (), False)
    assert diary.order == [5, 0, 2]
    assert diary.values == {5: 2, 2: 5}
    assert diary.kinds == {0: "ZeroDivisionError"}
    assert "10 // key" in diary.ends[0].trace
    assert diary.ends[5].worker.endswith(f":{os.getpid()}")


def test_inline_stops_at_the_first_signal_and_aborts_at_the_second():
    def work(key):
        if key in (1, 3):
            os.kill(os.getpid(), signal.SIGTERM)
        return key

    diary = Diary()
    outcome = Inline().run(work, [0, 1, 2, 3], diary)
    assert outcome.interrupted
    assert outcome.left == (2, 3)
    assert diary.order == [0, 1]

    def twice(key):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Inline().run(twice, [0], Diary())
    assert signal.getsignal(signal.SIGINT) is before


def test_tidying_up_is_not_broken_off():
    with Brake() as brake:
        os.kill(os.getpid(), signal.SIGINT)
        brake.loosen()
        os.kill(os.getpid(), signal.SIGINT)
        assert brake.pulled


def test_what_on_done_raises_ends_the_run():
    def refuse(key, end):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Inline().run(lambda key: key, [1, 2], refuse)


def test_two_worker_processes_share_the_work(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = dict(os.environ)
    diary = Diary()
    outcome = Local(workers=2, memory="1 GB").run(square(7), range(12), diary)
    assert (outcome.done, outcome.failed, outcome.left) == (11, 1, ())
    assert {key: value[0] for key, value in diary.values.items()} == {
        k: k * k + 7 for k in range(12) if k != 3
    }
    assert diary.kinds == {3: "ZeroDivisionError"}
    assert diary.ends[3].text == "three is refused"
    pids = {value[1] for value in diary.values.values()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert {end.worker.split(":")[1] for end in diary.ends.values()} == {str(pid) for pid in pids}
    assert all(int(value[2]) >= 1 for value in diary.values.values())
    assert diary.threads == {threading.current_thread()}
    assert dict(os.environ) == environment


def test_a_worker_computes_with_as_many_threads_as_the_environment_says(monkeypatch):
    def threads(key):
        import torch

        return torch.get_num_threads()

    for name in THREADS:  # which other clusters of this process may have set
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    diary = Diary()
    Local(workers=1, memory="1 GB").run(threads, ["said"], diary)
    monkeypatch.delenv("OMP_NUM_THREADS")
    Local(workers=1, memory="1 GB").run(threads, ["unsaid"], diary)
    assert diary.values == {"said": 1, "unsaid": CPU_COUNT}


def test_killed_slow_and_bulky_tasks_leave_the_others_alone(tmp_path):
    def work(key, folder):
        with open(f"{folder}/{key}", "a") as tries:
            tries.write(f"{os.getpid()}\n")
        if key == "killed once" and len(Path(f"{folder}/{key}").read_text().split()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if key == "killed always":
            os.kill(os.getpid(), signal.SIGKILL)
        if key == "slow":
            time.sleep(60)
        if key == "bulky":
            return bytes(20_000)
        return len(key)

    keys = ["killed once", "killed always", "slow", "bulky", *(f"good {i}" for i in range(8))]
    diary, start = Diary(), time.monotonic()
    outcome = Local(workers=2, memory="1 GB", limit=1.5).run(
        functools.partial(work, folder=str(tmp_path)), keys, diary
    )
    assert time.monotonic() - start < 30
    assert diary.kinds == {"killed always": "WorkerLost", "slow": "TimeLimit", "bulky": "PlanError"}
    assert diary.values == {key: len(key) for key in keys if key not in diary.kinds}
    assert (outcome.done, outcome.failed, outcome.left, outcome.interrupted) == (9, 3, (), False)
    assert len((tmp_path / "killed once").read_text().split()) == 2
    assert len((tmp_path / "killed always").read_text().split()) in (3, 4)
    assert len((tmp_path / "slow").read_text().split()) == 1
    assert diary.ends["slow"].text == "took more than 1.5 s"
    assert 1.5 <= diary.ends["slow"].seconds < 8


@pytest.mark.parametrize("kind", [Local(2), Address("tcp://127.0.0.1:1")])
def test_tasks_that_carry_data_are_refused_before_anything_starts(kind):
    model = bytes(9_990)
    with pytest.raises(PlanError, match=r"(?s)task's function.*under 10000 bytes.*path"):
        kind.run(lambda key: len(model), [1], Diary())
    with pytest.raises(PlanError, match="under 10000 bytes"):
        kind.run(square(), ["x" * 20_000], Diary())
    with pytest.raises(PlanError, match="can be pickled"):
        kind.run(functools.partial(print, threading.Lock()), [1], Diary())
    with pytest.raises(PlanError, match="a key twice"):
        kind.run(square(), [1, 2, 1], Diary())


def test_nothing_to_do_starts_nothing():
    assert Address("tcp://127.0.0.1:1").run(square(), [], Diary()).done == 0


def test_an_existing_scheduler_is_used_and_left_running():
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        memory_limit="1 GB",
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as cluster:
        for shift in (0, 1):
            diary = Diary()
            outcome = Address(cluster.scheduler_address).run(square(shift), range(5), diary)
            assert (outcome.done, outcome.failed) == (4, 1)
            assert diary.values[2][0] == 4 + shift


def test_a_scheduler_that_does_not_answer_is_named():
    with pytest.raises(PlanError, match=r"scheduler tcp://127\.0\.0\.1:1: expected an answer"):
        Address("tcp://127.0.0.1:1", patience=0.5).run(square(), [1], Diary())


ELSEWHERE = """
    import sys, time
    from distributed import LocalCluster

    if __name__ == "__main__":
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp")
        print(cluster.scheduler_address, flush=True)
        time.sleep(60)
"""


def test_a_scheduler_that_goes_away_fails_no_key_and_is_named(capfd):
    program = [sys.executable, "-c", textwrap.dedent(ELSEWHERE)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    diary = Diary()

    def told(key, end):
        diary(key, end)
        process.kill()

    with process, contextlib.ExitStack() as at_last:
        at_last.callback(process.kill)
        url = process.stdout.readline().strip()
        with pytest.raises(LaterError, match=rf"(?s)scheduler {url}: .*went away.*same command again"):
            Address(url).run(square(), range(4, 40), told)
    assert 1 <= len(diary.values) < 36
    assert not diary.kinds
    assert capfd.readouterr() == ("", "")


def test_a_run_whose_workers_are_all_gone_ends_with_what_to_do():
    class Deserted:
        """A client of a scheduler without workers."""

        def __getattr__(self, name):
            return lambda *given, **named: {}

    rules = {"limit": None, "retries": 2, "patience": -1.0, "brake": Brake()}
    drive = Drive(Deserted(), None, None, square(), [1], Diary(), **rules)
    with pytest.raises(
        PlanError, match=r"(?s)workers: expected at least one, got none for.*run again to go on"
    ):
        drive.run()


SCRIPT = """
    import os, sys, time
    from stsfusion.running.executor import Local

    def work(key):
        os.write(1, b"began\\n")
        time.sleep(float(sys.argv[1]))
        return key

    def tell(key, end):
        print("end", key, type(end).__name__, flush=True)

    if __name__ == "__main__":
        outcome = Local(workers=2, memory="1 GB").run(work, range(20), tell)
        print("left", len(outcome.left), outcome.interrupted, outcome.done + len(outcome.left), flush=True)
"""


@pytest.fixture
def job(tmp_path):
    """A job as a terminal would start it, once its first tile has begun; all its processes are signalled."""
    path = tmp_path / "job.py"
    path.write_text(textwrap.dedent(SCRIPT))
    started = []

    def start(seconds):
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, str(path), str(seconds)],
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == "began\n"
        time.sleep(0.3)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_job_lets_running_tiles_finish(job, number):
    process = job(1.0)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=20)
    lines = output.splitlines()
    ends = [line.split()[2] for line in lines if line.startswith("end")]
    assert process.returncode == 0, errors
    assert lines[-1] == f"left {20 - len(ends)} True 20"
    # Two run; two more may begin before the news is heard.
    assert 1 <= len(ends) <= 4
    assert set(ends) == {"Success"}
    assert errors == ""


def test_a_second_signal_aborts_what_is_running(job):
    process, start = job(60), time.monotonic()
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - start < 20
    assert "left" not in output
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0


def test_ends_cross_process_borders():
    for end in (Success((1, 2), 0.1, "a:1"), Failure("ValueError", "no", "", 0.0, "")):
        assert pickle.loads(pickle.dumps(end)) == end
    assert str(Failure("ValueError", "no")) == "ValueError: no"
