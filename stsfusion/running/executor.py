"""Executors: one picklable function over many small keys, in this process or in several.

The scheduler carries keys and short records, never pixels, tensors or models. A key that fails is recorded,
and stops no other. Ctrl-C or SIGTERM ends the submitting and lets what is running finish; a second aborts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import dask.config
import distributed
from dask.system import CPU_COUNT

from stsfusion.errors import PlanError
from stsfusion.running.brake import Brake, kept_from_children
from stsfusion.running.drive import Drive
from stsfusion.running.outcome import Executor, Failure, OnDone, Outcome, Success, perform

__all__ = ["Address", "Executor", "Failure", "Inline", "Local", "OnDone", "Outcome", "Success"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_DASK: Any = distributed
"""Dask's own functions carry no types."""

_SMALL = 10_000
"""Bytes that a task or its result may weigh when pickled."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Inline:
    """One key after another in this process: exactly what a worker does, and the easiest to debug."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        _check_distinct(keys)
        done = 0
        with Brake() as brake:
            for number, key in enumerate(keys):
                if brake.pulled:
                    return Outcome(done, number - done, tuple(keys[number:]), interrupted=True)
                end = perform(work, key)
                done += isinstance(end, Success)
                on_done(key, end)
            return Outcome(done, len(keys) - done, interrupted=brake.pulled)


@dataclass(frozen=True)
class Local:
    """Worker processes on this machine with one task each at a time; begun for the run and ended with it.

    Each gets its share of the cores for BLAS and torch, unless the environment already says OMP_NUM_THREADS.
    """

    workers: int = CPU_COUNT
    """Worker processes; no more are begun than there are keys."""

    memory: str | int = "auto"
    """Memory of one worker, bytes or such as `3 GB`; above 95 % of it the worker is ended."""

    limit: float | None = None
    """Seconds a task may take before its process is ended; None: no limit."""

    retries: int = 2
    """How often a task is begun anew after the process that ran it died."""

    patience: float = 60.0
    """Seconds to wait for a worker when all are gone."""

    dashboard: bool = False
    """Whether to serve Dask's dashboard on a free port."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        return _run(self, work, keys, on_done)

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of a fresh cluster for this many tasks."""
        workers = min(self.workers, tasks)
        with _environment_kept(), dask.config.set(_settings(workers)):
            with kept_from_children():
                cluster = _DASK.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    memory_limit=self.memory,
                    dashboard_address="127.0.0.1:0",  # None would try the usual port all the same
                    scheduler_kwargs={"dashboard": self.dashboard},
                    silence_logs="CRITICAL",
                )
            try:
                with _DASK.Client(cluster, set_as_default=False) as client:
                    yield client
            finally:
                _come_to_rest(cluster)
                with suppress(TimeoutError):
                    cluster.close(timeout=10.0)


@dataclass(frozen=True)
class Address:
    """Workers of a Dask scheduler that is already there; they must have nannies, as is Dask's default."""

    url: str
    """Such as `tcp://10.0.0.5:8786`."""

    limit: float | None = None
    """Seconds a task may take before its process is ended; None: no limit."""

    retries: int = 2
    """How often a task is begun anew after its process died; the scheduler's own limit holds as well."""

    patience: float = 60.0
    """Seconds to wait for the scheduler's answer, and for a worker whenever there is none."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        return _run(self, work, keys, on_done)

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of the scheduler, once it has a worker."""
        where = f"scheduler {self.url}"
        try:
            client = _DASK.Client(self.url, timeout=self.patience, set_as_default=False)
        except (OSError, ValueError) as error:
            raise PlanError(
                where, expected="an answer", got=str(error), mend="Start it, or mend the address."
            ) from error
        with client:
            try:
                client.wait_for_workers(1, timeout=self.patience)
            except TimeoutError as error:
                raise PlanError(
                    where, expected="at least one worker", got="none", mend="Start some for it."
                ) from error
            yield client


def _run(
    executor: Local | Address,
    work: Callable[[Key], Result],
    keys: Sequence[Key],
    on_done: OnDone[Key, Result],
) -> Outcome[Key]:
    _check_light(work, keys)
    if not keys:
        return Outcome(0, 0)
    with Brake() as brake, executor.client(len(keys)) as client:
        rules = (executor.limit, executor.retries, executor.patience, brake)
        try:
            return Drive(client, _carry, _end_process, work, keys, on_done, *rules).run()
        finally:
            brake.loosen()


def _carry(work: Callable[[Key], Result], key: Key, number: int, topic: str) -> Success[Result] | Failure:
    """One task, on a worker: tell that it begins, do it, tell how it ended."""
    worker = _DASK.get_worker()

    def tell(end: bytes) -> None:
        # Waits until the scheduler has it: a process that dies the next moment has been heard.
        here = f"{socket.gethostname()}:{os.getpid()}"
        news = {"number": number, "address": worker.address, "worker": here, "end": end}
        _DASK.utils.sync(worker.loop, worker.scheduler.log_event, topic=topic, msg=news)

    _be_noticed()
    tell(b"")
    end = perform(work, key)
    try:
        _check_weight("result", end)
    except PlanError as error:
        end = Failure(type(error).__name__, str(error), "", end.seconds, end.worker)
    tell(_DASK.protocol.pickle.dumps(end))
    return end


@cache
def _be_noticed() -> None:
    # A nanny looks every 50 ms whether its worker is up; one that dies before leaves it waiting.
    time.sleep(0.25)


async def _end_process(dask_worker: Any) -> None:
    """On a nanny: end the worker at once, and see it gone; the nanny begins another."""
    pid = dask_worker.pid
    if pid:
        os.kill(pid, signal.SIGKILL)
    while pid and dask_worker.pid == pid:
        await asyncio.sleep(0.01)


def _come_to_rest(cluster: Any, patience: float = 10.0) -> None:
    """Wait until no nanny is beginning a worker: closed in the midst of that, it would wait for ever."""
    deadline, looks = time.monotonic() + patience, 0
    while looks < 3 and time.monotonic() < deadline:
        at_rest = all(
            nanny.status.name != "running" or (nanny.pid and nanny.process.status.name == "running")
            for nanny in cluster.workers.values()
        )
        looks = looks + 1 if at_rest else 0
        time.sleep(0.03)


def _check_distinct(keys: Sequence[Hashable]) -> None:
    if len(set(keys)) < len(keys):
        raise PlanError(
            "keys of a run", expected="distinct ones", got="a key twice", mend="Plan each tile once."
        )


def _check_light(work: Callable[..., Any], keys: Sequence[Hashable]) -> None:
    """Refuse, before anything is begun, a task that would carry data."""
    _check_distinct(keys)
    weight = _check_weight("task's function", work)
    for key in keys:
        _check_weight(f"task {str(key)[:80]}", key, weight)


def _check_weight(what: str, thing: object, already: int = 0) -> int:
    try:
        weight = len(_DASK.protocol.pickle.dumps(thing)) + already
    except Exception as error:
        raise PlanError(
            what,
            expected="something that can be pickled",
            got=str(error)[:300],
            mend="Give paths, not open things.",
        ) from error
    if weight > _SMALL:
        raise PlanError(
            what,
            expected=f"under {_SMALL} bytes between processes",
            got=f"{weight} bytes",
            mend="Give the path of what is large and let the worker open it.",
        )
    return weight


def _settings(workers: int) -> dict[str, Any]:
    """Dask's settings for a cluster that is ours alone."""
    spawn = {f"distributed.nanny.pre-spawn-environ.{name}": max(1, CPU_COUNT // workers) for name in _THREADS}
    memory = {f"distributed.worker.memory.{deed}": False for deed in ("target", "spill", "pause")}
    return {
        **spawn,
        **memory,
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.scheduler.allowed-failures": 1_000_000,  # deaths are counted by Drive
    }


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Undo what the nannies write into this process's own environment."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
