"""Work sections: how a recipe wants its series learnt, fused, judged and shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stsfusion.pipeline.clustersections import PREPARE, SlurmJobs, Worker
from stsfusion.pipeline.fields import ByteSize, Device, MethodSpec, Seed, size_in_bytes
from stsfusion.pipeline.product import Product
from stsfusion.records import Record

__all__ = ["Evaluate", "Fit", "Fuse", "Report"]


_LEAST = 96
"""Side of a shard where tiles are as large as the budget allows."""


class Fit(Record):
    """The sampled tiles from which a method learns what is global."""

    tiles: int = Field(default=16, ge=1, le=4096)
    """Number of windows at most, spread evenly over the area."""

    size: int = Field(default=96, ge=6, le=4096)
    """Side of a window, target pixels."""

    seed: Seed = 0
    """Of their places."""


class Fuse(Record):
    """The method and how the work is carried out."""

    method: MethodSpec
    """A method's name, or its name and settings."""

    tile: int | None = Field(default=384, ge=1)
    """Side of a tile's core, target pixels; at least a shard. null: as many whole shards as keep a worker
    within its budget, however many dates there are."""

    shard: int | None = Field(default=None, ge=1)
    """Side of an output shard, target pixels; none: 384, or the tile when that is smaller; 96 where the
    budget decides how large tiles are."""

    product: Product = "full"
    """What is kept of a method whose answers are factored: all bands, which any tool reads as they are
    (full), the maps from which they follow, many times smaller (compact), or maps where that pays (auto)."""

    budget: ByteSize | None = None
    """Memory of one worker; none: its share of what is free."""

    executor: Literal["inline", "local", "address", "slurm", "cuda", "array"] = "local"
    """Where tiles run: in this process, in several of this machine (cuda: one for each GPU), at the address
    of a Dask scheduler, in jobs of SLURM, or in an array of workers that are begun one by one."""

    address: str | None = None
    """The scheduler, for the executor 'address'."""

    workers: int = Field(default=2, ge=1)
    """Processes of the executor 'local', and of the run that ends an array."""

    slurm: SlurmJobs = SlurmJobs()
    """The jobs, for the executor 'slurm'."""

    worker: Worker | None = None
    """Which worker of an array this is: I/N from 1/N to N/N, or 'prepare'; none: the run that ends it, but in
    a job of a SLURM array the worker that its number says."""

    patience: float = Field(default=600.0, ge=0)
    """Seconds that a worker of an array waits for another to prepare its work, and that a run waits for the
    scheduler at an address."""

    dates: tuple[str, ...] | None = None
    """Dates to publish (YYYY-MM-DD); none: those of the dense sensor, or all that were observed."""

    neighbours: int | None = Field(default=None, ge=0)
    """Dates of each sensor on either side that a date is made from, and all between them: new dates then
    change these alone, and memory does not grow with the series; none: all that the method asks for."""

    device: Device = "auto"
    """torch device; auto: cuda when there is one, else cpu."""

    wall: float = Field(default=3600.0, gt=0)
    """Seconds after which a tile is given up; in the run's own process and in workers of an array, which
    nobody can end from outside, unless one call of a library never comes back."""

    def budget_bytes(self) -> int | None:
        """The budget as a number; for jobs what a worker of theirs has."""
        jobs = self.slurm.worker_bytes if self.executor == "slurm" else None
        return size_in_bytes(self.budget) if self.budget else jobs

    @property
    def prepares(self) -> bool:
        """Whether all is made ready for workers, and no tile is fused."""
        return self.executor == "array" and self.worker == PREPARE

    @property
    def elsewhere(self) -> bool:
        """Whether tiles run on machines of which this one knows nothing."""
        return self.executor in ("address", "slurm", "array")

    @property
    def shard_size(self) -> int:
        """The shard's side that is meant."""
        return self.shard or (_LEAST if self.tile is None else min(384, self.tile))

    @property
    def cutting(self) -> int | str:
        """What decides how large tiles are."""
        return self.tile or f"{self.budget_bytes()} bytes"


class Evaluate(Record):
    """How good the result is said to be."""

    compare: tuple[MethodSpec, ...] = ("bicubic", "lineartime", "gsa")
    """Methods that are run on the same input for the table."""

    size: int = Field(default=288, ge=24)
    """Side of the central window where methods are compared, target pixels; a smaller scene goes whole."""

    coarser: bool = False
    """Without a truth: compare one scale coarser, the hyperspectral image as truth (Wald's protocol)."""

    hidden: bool = False
    """There, hide each date between others from the hyperspectral and the fine sensor, and ask for it."""


class Report(Record):
    """The page for people."""

    title: str | None = None
    """Its heading; none: the recipe's name."""

    pictures: bool = True
    """Whether it shows quick looks, spectra and maps; without them it is written in a second."""
