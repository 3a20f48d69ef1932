"""Cuda: one worker process for each GPU of this machine, by dask-cuda."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from stsfusion.errors import PlanError
from stsfusion.running.executor import OnDone, Outcome, connected, run_over
from stsfusion.running.owncluster import begun

__all__ = ["Cuda"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cuda:
    """Worker processes on this machine, each of which sees a GPU of its own as its first."""

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

    tell: Callable[[str], None] = field(default=print, compare=False, repr=False)
    """Where it says the dashboard's address."""

    def run(
        self, work: Callable[[Key], Result], keys: Sequence[Key], on_done: OnDone[Key, Result]
    ) -> Outcome[Key]:
        """See `Executor.run`; a PlanError when dask-cuda or a GPU is missing."""
        return run_over(self, work, keys, on_done)

    @contextmanager
    def client(self, tasks: int) -> Iterator[Any]:
        """A client of a fresh cluster, with a worker a GPU, but no more than there are tasks."""
        dask_cuda = _library()
        workers = min(_gpus(dask_cuda), tasks)
        shown, memory = self.dashboard, self.memory
        with begun(
            dask_cuda.LocalCUDACluster, connected, workers, dashboard=shown, memory_limit=memory
        ) as client:
            yield client


def _library() -> Any:
    try:
        return import_module("dask_cuda")
    except ImportError as error:
        raise PlanError(
            "executor 'cuda'",
            expected="the library dask-cuda",
            got=str(error),
            mend="Install it with: pip install 'stsfusion[cuda]', or choose another executor.",
        ) from error


def _gpus(dask_cuda: Any) -> int:
    """How many GPUs this process may use."""
    try:
        count = int(dask_cuda.utils.get_n_gpus())
    except Exception as error:  # NVIDIA's library raises errors of its own
        raise _no_gpu(str(error)) from error
    if count < 1:
        raise _no_gpu("none")
    return count


def _no_gpu(got: str) -> PlanError:
    return PlanError(
        "executor 'cuda'",
        expected="an NVIDIA GPU on this machine",
        got=got,
        mend="See 'nvidia-smi' and CUDA_VISIBLE_DEVICES, or choose another executor.",
    )
