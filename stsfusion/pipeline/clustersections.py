"""Cluster sections: what a recipe asks of a batch system."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stsfusion.errors import PlanError
from stsfusion.pipeline.fields import ByteSize, Text, size_in_bytes
from stsfusion.records import Record
from stsfusion.running.array import Share
from stsfusion.running.slurm import Jobs

__all__ = ["PREPARE", "SlurmJobs", "Worker"]

PREPARE = "prepare"
"""The worker that makes what all others need, and fuses no tile."""


def _is_worker(text: str) -> str:
    try:
        return text if text == PREPARE else str(Share.parse(text))
    except PlanError as error:
        raise ValueError(f"{error.expected}, or '{PREPARE}'") from error


Worker = Annotated[str, AfterValidator(_is_worker)]
"""`I/N`, or `prepare`."""


def _is_line(text: str) -> str:
    if "\n" in text or not text.strip():
        raise ValueError("one line of text")
    return text


Line = Annotated[str, AfterValidator(_is_line)]
"""Of a script."""


class SlurmJobs(Record):
    """What is asked of SLURM. What is not said comes from ~/.config/dask/jobqueue.yaml, or is SLURM's own."""

    jobs: int = Field(default=4, ge=1, le=10_000)
    """Jobs at most at one time."""

    cores: int = Field(default=2, ge=1)
    """Cores of one job."""

    memory: ByteSize = "8 GB"
    """Memory of one job."""

    processes: int = Field(default=1, ge=1)
    """Workers of one job, one tile each at a time; they share its cores and its memory."""

    walltime: str | None = Field(default=None, pattern=r"^(\d+-)?\d{1,2}(:\d{2}){0,2}$|^\d+(:\d{2}){0,2}$")
    """Longest time of a job, such as 02:00:00; one that is cut off is replaced. None: that of
    ~/.config/dask/jobqueue.yaml, else ten minutes more than a tile may take (fuse.wall)."""

    partition: Text | None = None
    """Queue."""

    account: Text | None = None
    """Who pays."""

    interface: Text | None = None
    """Network interface through which nodes and the run's machine reach each other, such as ib0."""

    directives: tuple[Line, ...] = ()
    """More options of sbatch, such as --gres=gpu:1."""

    prologue: tuple[Line, ...] = ()
    """Lines of shell before the worker begins, such as 'module load cuda'."""

    @property
    def worker_bytes(self) -> int:
        """Memory of one worker."""
        return (size_in_bytes(self.memory) or 0) // self.processes

    def plain(self) -> Jobs:
        """The same for the executor."""
        return Jobs(**self.model_dump())
