"""Executing: from what a recipe says to who carries its tiles out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import dask
import torch

from stsfusion.errors import PlanError
from stsfusion.pipeline.worksections import Fuse
from stsfusion.running.cuda import Cuda
from stsfusion.running.executor import Address, Executor, Inline, Local
from stsfusion.running.slurm import Jobs, Slurm

__all__ = ["executor_of", "job_script"]


_SHOWN = find_spec("bokeh") is not None
"""Whether Dask can show its dashboard."""


def _keep_silent(words: str) -> None:
    """Nobody wants to know."""


def executor_of(
    settings: Fuse, logs: Path | None = None, tell: Callable[[str], None] = _keep_silent
) -> Executor:
    """Where tiles run. The run that ends an array of workers does what they left on this machine.

    Parameters
    ----------
    settings
        The recipe's.
    logs
        Folder for the logs of jobs.
    tell
        Where executors say what people may want to know.
    """
    limit, memory = settings.wall, settings.budget_bytes() or "auto"
    if settings.executor == "inline":
        return Inline(overlap=settings.device != "cpu" and torch.cuda.is_available(), limit=limit)
    if settings.executor == "slurm":
        return Slurm(_jobs(settings), limit=limit, logs=logs, dashboard=_SHOWN, tell=tell)
    if settings.executor == "cuda":
        return Cuda(memory=memory, limit=limit, dashboard=_SHOWN, tell=tell)
    if settings.executor == "address":
        return Address(_address(settings), limit=limit, patience=settings.patience, tell=tell)
    return Local(settings.workers, memory=memory, limit=limit, dashboard=_SHOWN, tell=tell)


def _address(settings: Fuse) -> str:
    if settings.address is None:
        raise PlanError(
            "executor 'address'",
            expected="the scheduler's address",
            got="none",
            mend="Say it with 'address:', such as tcp://10.0.0.5:8786.",
        )
    return settings.address


_SHORT = "00:30:00"
"""Walltime of dask-jobqueue where nobody has said one."""

_MARGIN = 600
"""Seconds of a job beyond its longest tile: to begin, and to end."""


def _jobs(settings: Fuse) -> Jobs:
    """What is asked of SLURM; where nobody says how long a job may last, as long as its longest tile may."""
    jobs = settings.slurm.plain()
    if jobs.walltime is not None or dask.config.get("jobqueue.slurm.walltime", _SHORT) not in (None, _SHORT):
        return jobs
    minutes = math.ceil((settings.wall + _MARGIN) / 60)
    return replace(jobs, walltime=f"{minutes // 60:02d}:{minutes % 60:02d}:00")


def job_script(settings: Fuse, logs: Path) -> str:
    """The script of a job, as it would be submitted.

    Raises
    ------
    PlanError
        When no job would be.
    """
    if settings.executor != "slurm":
        raise PlanError(
            f"executor '{settings.executor}'",
            expected="one that submits jobs",
            got="one that does not",
            mend="Add '--executor slurm'.",
        )
    return _jobs(settings).script(logs=logs)
