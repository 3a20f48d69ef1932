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
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.request import ProxyHandler, Request, build_opener

import distributed
from dask.system import CPU_COUNT

from stsfusion.errors import LaterError, PlanError, StsfusionError
from stsfusion.running.brake import Brake
from stsfusion.running.drive import Abandoned, Drive
from stsfusion.running.inline import Inline
from stsfusion.running.line import Line
from stsfusion.running.outcome import Executor, Failure, OnDone, Outcome, Success, perform
from stsfusion.running.owncluster import begun
from stsfusion.running.rules import Rules, check_light, check_weight

__all__ = [
    "Address",
    "Executor",
    "Failure",
    "Inline",
    "Local",
    "OnDone",
    "Outcome",
    "OverDask",
    "OwnWorkers",
    "Success",
    "connected",
    "run_over",
]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

ClientFor = Callable[[int], AbstractContextManager[Any]]
"""Gives a client of a scheduler for so many tasks."""

_DASK: Any = distributed
"""Dask's own functions carry no types."""


@dataclass(frozen=True, kw_only=True)
class OverDask(Rules, ABC):
    """An executor whose keys are carried by the workers of a Dask scheduler."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`; a PlanError when there can be no workers."""
        return run_over(self, self.client, work, keys, on_done)

    @abstractmethod
    def client(self, tasks: int) -> AbstractContextManager[Any]:
        """A client of the scheduler for this many tasks."""


@dataclass(frozen=True, kw_only=True)
class OwnWorkers(OverDask):
    """An executor that begins workers on this machine for a run, and ends them with it."""

    memory: str | int = "auto"
    """Memory of one worker, bytes or such as `3 GB`; above 95 % of it the worker is ended."""

    dashboard: bool = False
    """Whether to serve Dask's dashboard on a free port."""

    @abstractmethod
    def cluster(self, tasks: int) -> tuple[Any, int]:
        """What makes a cluster, and with how many workers for this many tasks."""

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of a fresh cluster for this many tasks."""
        kind, workers = self.cluster(tasks)
        with begun(kind, connected, workers, dashboard=self.dashboard, memory_limit=self.memory) as client:
            yield client


@dataclass(frozen=True)
class Local(OwnWorkers):
    """Worker processes on this machine with one task each in a stage; begun for the run and ended with it.

    Each gets its share of the cores for BLAS and torch, unless the environment already says OMP_NUM_THREADS.
    """

    workers: int = CPU_COUNT
    """Worker processes; no more are begun than there are keys."""

    def cluster(self, tasks: int) -> tuple[Any, int]:
        """Dask's own, with no more workers than there are tasks."""
        return _DASK.LocalCluster, min(self.workers, tasks)


@dataclass(frozen=True)
class Address(OverDask):
    """Workers of a Dask scheduler that is already there; they must have nannies, as is Dask's default."""

    url: str
    """Such as `tcp://10.0.0.5:8786`."""

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of the scheduler, once it has a worker."""
        where = f"scheduler {self.url}"
        with _DASK.utils.silence_logging_cmgr("CRITICAL"):  # what it says of a lost one is told in our words
            yield from self._connected(where)

    def _connected(self, where: str) -> Iterator[Any]:
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
    rules: Rules,
    client_for: ClientFor,
    work: Callable[[Key], Result],
    keys: Sequence[Key],
    on_done: OnDone[Key, Result],
    watch: Callable[[int], None] | None = None,
) -> Outcome[Key]:
    """Carry the keys out over a cluster of workers; see `Executor.run`.

    Parameters
    ----------
    rules
        What holds for the workers.
    client_for
        Gives a client of their scheduler for so many tasks.
    watch
        Told every other second how many keys have not ended; what it raises ends the run.
    """
    check_light(work, keys, _DASK.protocol.pickle.dumps)
    if not keys:
        return Outcome(0, 0)
    with Brake() as brake, client_for(len(keys)) as client:
        for words in _watching(rules, client):
            rules.tell(words)
        held_to = (rules.limit, rules.retries, rules.patience, brake)
        try:
            with _kept_in_touch(client):
                return Drive(client, _carry, _end_process, work, keys, on_done, *held_to, watch).run()
        finally:
            brake.loosen()


@contextmanager
def _kept_in_touch(client: Any) -> Iterator[None]:
    """Tell in words that the scheduler went away; what it was doing is lost, what had ended is safe."""
    where = f"scheduler {client.scheduler.address}"
    try:
        yield
    except StsfusionError:
        raise
    except Exception as error:
        lost = isinstance(error, (Abandoned, _DASK.comm.CommClosedError))
        if not lost and client.status == "running":
            raise
        raise LaterError(
            where,
            expected="an answer until the end",
            got="none any more: it went away",
            mend="Start it, with workers, and give the same command again: it goes on from here.",
        ) from error


def connected(cluster: Any) -> Any:
    """A client of a cluster, to be closed after use."""
    return _DASK.Client(cluster, set_as_default=False)


def _watching(rules: Rules, client: Any) -> Iterator[str]:
    """Where people can watch tiles; of our own scheduler also what it needs, where that is missing."""
    link = _dashboard(client)
    if link:
        yield f"dashboard {link}"
    elif hasattr(rules, "dashboard") and find_spec("bokeh") is None:
        yield "no dashboard: it needs bokeh, which 'pip install bokeh' brings"


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
            check_weight("result", end, _DASK.protocol.pickle.dumps)
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
