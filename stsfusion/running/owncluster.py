"""Own cluster: worker processes of this machine, begun for one run and ended with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask.config
from dask.system import CPU_COUNT

from stsfusion.running.brake import kept_from_children
from stsfusion.running.heap import MALLOC

__all__ = ["THREADS", "begun", "settings_for"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What must all say the same: torch listens to MKL's before OMP's, and Dask sets what nobody says to one."""


@contextmanager
def begun(
    kind: Any, client_of: Callable[[Any], Any], workers: int, *, dashboard: bool = False, **more: Any
) -> Iterator[Any]:
    """A client of a fresh cluster of single-threaded workers on this machine.

    Parameters
    ----------
    kind
        A distributed.LocalCluster, or something that is made like one.
    client_of
        Gives a client of a cluster.
    more
        For `kind` alone, such as `memory_limit`.
    """
    with _environment_kept(), dask.config.set(settings_for(workers)):
        with kept_from_children():
            cluster = kind(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # None would try the usual port all the same
                scheduler_kwargs={"dashboard": dashboard},
                silence_logs="CRITICAL",
                **more,
            )
        try:
            with client_of(cluster) as client:
                yield client
        finally:
            _come_to_rest(cluster)
            with suppress(TimeoutError):
                cluster.close(timeout=10.0)


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


def settings_for(workers: int) -> dict[str, Any]:
    """Dask's settings for a cluster that is ours alone.

    What the environment says of OMP's threads holds for all libraries; what it says of malloc, before ours.
    """
    threads = os.environ.get(THREADS[0], max(1, CPU_COUNT // workers))
    environment = dict.fromkeys(THREADS, threads) | MALLOC
    spawn = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in environment.items()}
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
