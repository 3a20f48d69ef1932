"""Cuda: one worker process for each GPU of this machine, by dask-cuda."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from stsfusion.errors import PlanError
from stsfusion.running.executor import OwnWorkers

__all__ = ["Cuda"]


@dataclass(frozen=True)
class Cuda(OwnWorkers):
    """Worker processes on this machine, each of which sees a GPU of its own as its first."""

    def cluster(self, tasks: int) -> tuple[Any, int]:
        """dask-cuda's, with a worker a GPU, but no more than there are tasks."""
        dask_cuda = _library()
        workers = min(_gpus(dask_cuda), tasks)
        return dask_cuda.LocalCUDACluster, workers


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
