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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar
from urllib.request import ProxyHandler, Request, build_opener

import distributed
from dask.system import CPU_COUNT

from stsfusion.errors import PlanError
from stsfusion.running.beside import run_beside
from stsfusion.running.brake import Brake
from stsfusion.running.drive import Drive
from stsfusion.running.line import Line
from stsfusion.running.outcome import Executor, Failure, OnDone, Outcome, Success, perform
from stsfusion.running.owncluster import begun

__all__ = [
    "Address",
    "Executor",
    "Failure",
    "Inline",
    "Local",
    "OnDone",
    "Outcome",
    "OverDask",
    "Success",
    "connected",
    "run_over",
]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_DASK: Any = distributed
"""Dask's own functions carry no types."""

_SMALL = 10_000
"""Bytes that a task or its result may weigh when pickled."""


class OverDask(Protocol):
    """An executor whose keys are carried by the workers of a Dask scheduler."""

    @property
    def limit(self) -> float | None:
        """Seconds a task may take before its process is ended; None: no limit."""

    @property
    def retries(self) -> int:
        """How often a task is begun anew after the process that ran it died."""

    @property
    def patience(self) -> float:
        """Seconds to wait for a worker when there is none."""

    @property
    def tell(self) -> Callable[[str], None]:
        """Where it says what people may want to know, such as the dashboard's address."""

    def client(self, tasks: int) -> AbstractContextManager[Any]:
        """A client of the scheduler for this many tasks."""


def _keep_silent(words: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Inline:
    """One key after another in this process: exactly what a worker does, and the easiest to debug."""

    overlap: bool = False
    """Whether threads read the next tile and write the last one while one is fused, as workers do."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        _check_distinct(keys)
        done = 0
        with Brake() as brake:
            if self.overlap:
                return run_beside(work, keys, on_done, brake)
            for number, key in enumerate(keys):
                if brake.pulled:
                    return Outcome(done, number - done, tuple(keys[number:]), interrupted=True)
                end = perform(work, key)
                done += isinstance(end, Success)
                on_done(key, end)
            return Outcome(done, len(keys) - done, interrupted=brake.pulled)


@dataclass(frozen=True)
class Local:
    """Worker processes on this machine with one task each in a stage; begun for the run and ended with it.

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

    tell: Callable[[str], None] = field(default=_keep_silent, compare=False, repr=False)
    """Where it says the dashboard's address."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        return run_over(self, work, keys, on_done)

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of a fresh cluster for this many tasks."""
        workers = min(self.workers, tasks)
        kind, shown = _DASK.LocalCluster, self.dashboard
        with begun(kind, connected, workers, dashboard=shown, memory_limit=self.memory) as client:
            yield client


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

    tell: Callable[[str], None] = field(default=_keep_silent, compare=False, repr=False)
    """Where it says the dashboard's address."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`."""
        return run_over(self, work, keys, on_done)

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


def run_over(
    executor: OverDask,
    work: Callable[[Key], Result],
    keys: Sequence[Key],
    on_done: OnDone[Key, Result],
    watch: Callable[[int], None] | None = None,
) -> Outcome[Key]:
    """Carry the keys out over a cluster of workers; see `Executor.run`.

    Parameters
    ----------
    executor
        Whose workers, and under which rules.
    watch
        Told every other second how many keys have not ended; what it raises ends the run.
    """
    _check_light(work, keys)
    if not keys:
        return Outcome(0, 0)
    with Brake() as brake, executor.client(len(keys)) as client:
        link = _dashboard(client)
        if link:
            executor.tell(f"dashboard {link}")
        rules = (executor.limit, executor.retries, executor.patience, brake)
        try:
            return Drive(client, _carry, _end_process, work, keys, on_done, *rules, watch).run()
        finally:
            brake.loosen()


def connected(cluster: Any) -> Any:
    """A client of a cluster, to be closed after use."""
    return _DASK.Client(cluster, set_as_default=False)


def _dashboard(client: Any) -> str | None:
    """Where the scheduler's dashboard is; None: it has an address, but serves none there."""
    try:
        link = str(client.dashboard_link)
        drawn = Request(link.removesuffix("status") + "static/js/bokeh.min.js", method="HEAD")
        with build_opener(ProxyHandler({})).open(drawn, timeout=2.0):
            return link
    except (KeyError, AttributeError, OSError, ValueError):
        return None


def _carry(work: Callable[[Key], Result], key: Key, number: int, topic: str) -> Success[Result] | Failure:
    """One task, on a worker: tell that it begins, do it, tell how it ended.

    Once it leaves the first stage of its process's line, the worker may begin another. A task whose process
    died runs alone from then on: whether it or one beside it was to blame is thus known.
    """
    worker = _DASK.get_worker()

    def ask(question: Callable[..., Any], **what: Any) -> Any:
        # Waits until the scheduler has it: a process that dies the next moment has been heard.
        return _DASK.utils.sync(worker.loop, question, **what)

    def tell(end: bytes) -> None:
        here = f"{socket.gethostname()}:{os.getpid()}"
        news = {"number": number, "address": worker.address, "worker": here, "end": end}
        ask(worker.scheduler.log_event, topic=topic, msg={**news, "alone": alone, "width": width})

    _be_noticed()
    width = worker.state.nthreads
    alone = ask(worker.scheduler.get_metadata, keys=[topic, number], default=False)
    with _line(width).entered(alone=alone, freed=_DASK.secede):
        ask(worker.scheduler.set_metadata, keys=[topic, number], value=True)
        tell(b"")
        end = perform(work, key)
        try:
            _check_weight("result", end)
        except PlanError as error:
            end = Failure(type(error).__name__, str(error), "", end.seconds, end.worker)
        tell(_DASK.protocol.pickle.dumps(end))
    return end


@cache
def _line(width: int) -> Line:
    """The line of this process; a worker with several threads lets as many tasks into each stage."""
    return Line(width)


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
