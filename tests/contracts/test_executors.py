"""Every executor keeps the same promises; broken twins fail the same checks."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from distributed import LocalCluster

from stsfusion.errors import PlanError
from stsfusion.running.array import Share, Unbegun
from stsfusion.running.cuda import Cuda
from stsfusion.running.executor import Address, Inline, Local
from stsfusion.running.outcome import Failure, Outcome, Success, perform
from stsfusion.running.slurm import Jobs, Slurm

FAKE_SLURM = {
    "sbatch": """
        import os, pathlib, subprocess, sys
        place = pathlib.Path(os.environ["FAKE_SLURM"])
        number = str(100 + len(list(place.glob("*.sh"))))
        script = place / f"{number}.sh"
        script.write_text(sys.stdin.read())
        with (place / f"{number}.out").open("wb") as out:
            job = subprocess.Popen(["bash", script], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                   env={**os.environ, "SLURM_JOB_ID": number}, start_new_session=True)
        (place / f"{number}.pid").write_text(str(job.pid))
        print(number)
    """,
    "squeue": """
        import os, pathlib
        for pid in pathlib.Path(os.environ["FAKE_SLURM"]).glob("*.pid"):
            try:
                state = pathlib.Path(f"/proc/{pid.read_text()}/stat").read_text().split()[2]
            except OSError:
                continue
            if state != "Z":
                print(pid.stem, "RUNNING")
    """,
    "scancel": """
        import contextlib, os, pathlib, signal, sys
        for job in sys.argv[1:]:
            with contextlib.suppress(OSError):
                pid = (pathlib.Path(os.environ["FAKE_SLURM"]) / f"{job}.pid").read_text()
                os.killpg(int(pid), signal.SIGTERM)
    """,
}
"""SLURM's commands, where jobs run at once as processes of this machine."""


@contextmanager
def fake_slurm(folder, environment):
    """Put the commands into the way of whoever looks for SLURM's."""
    commands = folder / "bin"
    commands.mkdir()
    for name, text in FAKE_SLURM.items():
        path = commands / name
        lines = [line[8:] for line in text.splitlines()]
        path.write_text(f"#!{sys.executable}\n" + "\n".join(lines))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    environment.setenv("FAKE_SLURM", str(folder))
    environment.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    try:
        yield
    finally:
        for pid in folder.glob("*.pid"):
            try:
                os.killpg(int(pid.read_text()), signal.SIGKILL)
            except OSError:
                continue


class Workers:
    """Workers of an array, one after another: each an executor that does its share."""

    def __init__(self, count, limit=None):
        self.shares = [Share(number, count) for number in range(1, count + 1)]
        self.limit = limit

    def run(self, work, keys, on_done):
        ends = []
        for share in self.shares:
            stopped = any(end.interrupted for end in ends)
            executor = Unbegun() if stopped else Inline(limit=self.limit)
            ends.append(executor.run(work, share.among(keys), on_done))
        left = tuple(key for end in ends for key in end.left)
        done, failed = sum(end.done for end in ends), sum(end.failed for end in ends)
        return Outcome(done, failed, left, interrupted=any(end.interrupted for end in ends))


def fake_gpus(environment):
    """A dask-cuda that gives each worker a number in CUDA_VISIBLE_DEVICES, as the real one does."""

    class Cluster(LocalCluster):
        def new_worker_spec(self):
            (name, spec), *_ = super().new_worker_spec().items()
            options = {**spec["options"], "env": {"CUDA_VISIBLE_DEVICES": str(name)}}
            return {name: {**spec, "options": options}}

    library = SimpleNamespace(LocalCUDACluster=Cluster, utils=SimpleNamespace(get_n_gpus=lambda: 2))
    environment.setitem(sys.modules, "dask_cuda", library)


@pytest.fixture(params=["inline", "local", "address", "slurm", "cuda", "array"])
def executor(request, tmp_path, monkeypatch):
    """One of each kind, and whether other processes do the work."""
    if request.param == "inline":
        yield Inline()
    elif request.param == "array":
        yield Workers(3)
    elif request.param == "local":
        yield Local(2, memory="1 GB")
    elif request.param == "cuda":
        fake_gpus(monkeypatch)
        yield Cuda(memory="1 GB", tell=lambda words: None)
    elif request.param == "slurm":
        jobs = Jobs(jobs=2, cores=1, memory="1 GB", interface="lo")
        with fake_slurm(tmp_path, monkeypatch):
            yield Slurm(jobs, logs=tmp_path / "logs", tell=lambda words: None, every=0.5)
    else:
        options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1 GB"}
        with LocalCluster(**options, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL") as cluster:
            yield Address(cluster.scheduler_address)


def work(key):
    """Sent by value, since workers cannot import this file."""
    import os

    if key == 3:
        raise ZeroDivisionError("three is refused")
    return key * key, os.getpid(), bytes(20_000 if key == BULKY else 0)


BULKY = 1000
"""The key whose result is too large to cross a process border."""

HANGS = 30.0
"""Seconds of a key that hangs."""


def check(executor, crosses=False, keys=(*range(10), BULKY)):
    """All keys once; failures are recorded and stop no others; every result is its own key's, and light."""
    ends, bad = {}, {3, BULKY} if crosses else {3}

    def told(key, end):
        assert key not in ends, "an end was told twice"
        ends[key] = end

    outcome = executor.run(by_value(work), keys, told)
    assert set(ends) == set(keys), "a key was not told of"
    assert (outcome.done, outcome.failed, outcome.left) == (len(keys) - len(bad), len(bad), ())
    assert not outcome.interrupted
    good = {key: end.value[0] for key, end in ends.items() if isinstance(end, Success)}
    assert good == {key: key * key for key in keys if key not in bad}, "a key's result is not its own"
    assert isinstance(ends[3], Failure)
    assert (ends[3].kind, ends[3].text) == ("ZeroDivisionError", "three is refused")
    assert not crosses or "under 10000 bytes" in ends[BULKY].text
    assert all(end.worker for end in ends.values()), "nobody says who did it"
    return ends


def check_twice_refused(executor):
    """The same key twice would be two writers of one tile."""
    with pytest.raises(PlanError, match="a key twice"):
        executor.run(by_value(work), [1, 2, 1], lambda key, end: None)


def check_brake(executor, count=60):
    """A first SIGTERM lets what runs finish and leaves the rest; nothing is lost and nothing fails."""
    ends, keys = {}, list(range(count))

    def told(key, end):
        ends[key] = end
        if len(ends) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def slow(key):
        time.sleep(0.1)
        return key

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that an executor without a brake fails, not dies
    try:
        outcome = executor.run(slow, keys, told)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcome.interrupted, "a signal was not heeded"
    assert outcome.failed == 0
    assert sorted([*ends, *outcome.left]) == keys, "keys were lost"
    assert len(outcome.left) >= count // 2, "the run went on"


def check_wall(executor, goes_on=True, hangs=None):
    """A key over its time is given up and told of as such; the others are done, or left; none is lost."""
    ends, keys = {}, [0, 1, 4, 2, 3]

    def slow(key):
        import time

        for _ in range(1000 if key == 4 else 1):
            try:
                time.sleep(HANGS / 1000)
            except Exception as error:
                raise AssertionError("what gives a key up must pass what catches failures") from error
        return key

    begun = time.monotonic()
    outcome = executor.run(by_value(slow, HANGS=hangs or HANGS), keys, ends.__setitem__)
    assert isinstance(ends[4], Failure), "a key that hung was not given up"
    assert (ends[4].kind, ends[4].text) == ("TimeLimit", "took more than 1 s")
    assert time.monotonic() - begun < 20.0
    assert sorted([*ends, *outcome.left]) == sorted(keys), "keys were lost"
    assert {key for key, end in ends.items() if isinstance(end, Failure)} == {4}, "another key was blamed"
    assert (outcome.done, outcome.failed) == (len(ends) - 1, 1)
    assert outcome.interrupted == (not goes_on)
    assert not (goes_on and outcome.left), "a key that hung stopped others"


def by_value(function, **known):
    """A copy that pickles whole, wherever it is sent."""
    around = {"__builtins__": __builtins__, "__name__": "__main__", "BULKY": BULKY, "HANGS": HANGS, **known}
    return type(function)(function.__code__, around, "work")


def test_all_keys_once_and_failures_recorded(executor):
    here = isinstance(executor, (Inline, Workers))
    ends = check(executor, crosses=not here)
    elsewhere = {end.value[1] for end in ends.values() if isinstance(end, Success)} - {os.getpid()}
    assert bool(elsewhere) != here
    if not isinstance(executor, Workers):  # the tiles of a plan, which they share, are distinct
        check_twice_refused(executor)


def test_the_brake_is_honoured(executor):
    check_brake(executor)


@pytest.mark.parametrize("kind", ["inline", "overlap", "array", "local"])
def test_a_key_that_hangs_is_given_up(kind):
    executors = {
        "inline": Inline(limit=1.0),
        "overlap": Inline(overlap=True, limit=1.0),
        "array": Workers(3, limit=1.0),
        "local": Local(2, memory="1 GB", limit=1.0),
    }
    check_wall(executors[kind], goes_on=kind != "overlap")


class Forgetful:
    """Does all keys but the last."""

    def run(self, work, keys, on_done):
        return Inline().run(work, keys[:-1], on_done)


class Repeating:
    """Tells an end twice."""

    def run(self, work, keys, on_done):
        def told(key, end):
            on_done(key, end)
            on_done(key, end)

        return Inline().run(work, keys, told)


class Fragile:
    """Lets a failure out."""

    def run(self, work, keys, on_done):
        for key in keys:
            on_done(key, Success(work(key), 0.0, "here"))
        return Outcome(len(keys), 0)


class Confused:
    """Mixes the results up."""

    def run(self, work, keys, on_done):
        return Inline().run(work, keys, lambda key, end: on_done(keys[keys.index(key) - 1], end))


class Overlapping:
    """Workers of an array whose shares overlap."""

    def run(self, work, keys, on_done):
        Inline().run(work, keys[::2], on_done)
        return Inline().run(work, keys, on_done)


class Heavy:
    """Says that results crossed a border, whatever they weigh."""

    def run(self, work, keys, on_done):
        return Inline().run(work, keys, on_done)


class Deaf:
    """Goes on after a signal."""

    def run(self, work, keys, on_done):
        for key in keys:
            on_done(key, perform(work, key))
        return Outcome(len(keys), 0)


@pytest.mark.parametrize(
    ("twin", "why"),
    [
        (Forgetful(), "not told of"),
        (Repeating(), "told twice"),
        (Confused(), "not its own"),
        (Overlapping(), "told twice"),
    ],
    ids=lambda it: type(it).__name__ if not isinstance(it, str) else "",
)
def test_broken_twins_are_found(twin, why):
    with pytest.raises(AssertionError, match=why):
        check(twin)


def test_a_failure_that_gets_out_is_found():
    with pytest.raises(ZeroDivisionError):
        check(Fragile())


def test_heavy_results_are_found():
    with pytest.raises(AssertionError):
        check(Heavy(), crosses=True)


def test_a_deaf_twin_is_found():
    with pytest.raises(AssertionError, match="not heeded"):
        check_brake(Deaf(), 5)


def test_two_keys_alike_are_found():
    with pytest.raises(pytest.fail.Exception):
        check_twice_refused(Deaf())


class Patient:
    """Waits for whatever hangs."""

    def run(self, work, keys, on_done):
        return Inline().run(work, keys, on_done)


class Fainthearted:
    """Does nothing more after a key that hung, and forgets the others."""

    def run(self, work, keys, on_done):
        return Inline(limit=1.0).run(work, keys[:3], on_done)


@pytest.mark.parametrize(
    ("twin", "why"), [(Patient(), "was not given up"), (Fainthearted(), "keys were lost")], ids=["1", "2"]
)
def test_who_does_not_heed_the_wall_is_found(twin, why):
    with pytest.raises(AssertionError, match=why):
        check_wall(twin, hangs=1.5)
