"""Engine stand: where the engine is run on an engine scene, in workers of one thread each, and timed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine import exchange
from stsfusion.engine.device import settle
from stsfusion.engine.plan import Plan, make_plan
from stsfusion.engine.planfile import save_plan
from stsfusion.engine.samples import Samples, sample_windows
from stsfusion.errors import PlanError
from stsfusion.operators.precision import full_precision
from stsfusion.pipeline.enginescene import EngineScene
from stsfusion.pipeline.ourcode import our_code
from stsfusion.pipeline.worker import fuse_tile, resident
from stsfusion.running.executor import Local
from stsfusion.running.outcome import Failure, Success

__all__ = ["Bare", "Run", "Stand", "seconds_to_carry"]

_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Run:
    """What one run over all tiles of a plan took."""

    wall_s: float
    """From the first tile's beginning to the last one's end."""

    startup_s: float
    """What there was before and after: processes and their imports."""

    fuse_s: float
    """Wall seconds that all tiles were being fused."""

    peak_bytes: int
    """Largest resident size of a worker."""

    tiles: int
    """Number of tiles."""


@dataclass(frozen=True)
class Bare:
    """What the same tiles take one after the other, nothing beside them, one thread."""

    model_s: float
    """CPU seconds of the method alone; on a GPU seconds of its turn there."""

    store_s: float
    """CPU seconds of reading and writing."""


@dataclass(frozen=True, eq=False)
class Stand:
    """A written scene, and a folder for what is made of it."""

    scene: EngineScene
    """What is fused."""

    folder: Path
    """Where cubes and results lie."""

    device: str = "cpu"
    """torch device."""

    def plan(self, method: str | dict[str, Any], side: int, tile: int) -> Plan:
        """The scene's first `side` rows and columns in tiles, by a method that has learned from samples."""
        target = self.scene.target
        plan = make_plan(
            inputs=self.folder / "cubes.zarr",
            output=self.folder / "fused.zarr",
            sources=self.scene.sources,
            target=replace(target, shape=(*target.shape[:2], side, side)),
            method=methods.create(method),
            tile=tile,
            shard=tile,
            device=self.device,
        )
        windows = sample_windows(plan, count=2, size=96, seed=0)
        return replace(plan.with_method(plan.method.fit(Samples(plan, windows))), overlap=True)

    def run(self, plan: Plan, workers: int) -> Run:
        """Fuse all tiles in worker processes.

        Raises
        ------
        PlanError
            When a tile failed.
        """
        ends = self._ends(fuse_tile, plan, plan.tiles, workers)
        first = min(when - end.seconds for when, end in ends.told)
        last = max(when for when, _ in ends.told)
        records = [end.value for _, end in ends.told]
        return Run(
            last - first,
            ends.wall_s - (last - first),
            sum(record["fuse_s"] for record in records),
            max(record["peak_bytes"] for record in records),
            len(records),
        )

    def bare(self, plan: Plan, count: int = 4) -> Bare:
        """Some tiles in one process without any overlap, and what all would take by the pixels they read."""
        step = max(1, len(plan.tiles) // count)
        some = plan.tiles[step // 2 :: step][:count]
        ends = self._ends(bare_tile, plan, some, 1)
        told = [end.value for _, end in ends.told]
        more = _area(plan.tiles) / _area(some)
        return Bare(more * sum(t["model_s"] for t in told), more * sum(t["store_s"] for t in told))

    def _ends(self, work: Callable[..., Any], plan: Plan, tiles: Sequence[Any], workers: int) -> _Ends:
        """Carry tiles out into a fresh output, which is removed after."""
        shutil.rmtree(plan.output, ignore_errors=True)
        spec = self.scene.frame(None, plan.tiles[0].core.shape[1], 96)
        side = plan.target.shape[2]
        grid = replace(spec.grid, shape=(side, side))
        CubeStore(plan.output).create("", replace(spec, grid=grid, sigma=plan.method.card.sigma))
        stamp = f"{time.monotonic_ns()}"
        save_plan(plan, self.folder / "plan", our_code(plan.method))
        ends = _carried(partial(work, str(self.folder / "plan"), stamp), [t.key for t in tiles], workers)
        shutil.rmtree(plan.output)
        return ends


@dataclass(frozen=True)
class _Ends:
    """When each key ended and how, and what all took."""

    told: list[tuple[float, Success[Any]]]
    wall_s: float


def _carried(work: Callable[[str], Any], keys: list[str], workers: int) -> _Ends:
    told: list[tuple[float, Success[Any]]] = []

    def ended(key: str, end: Success[Any] | Failure) -> None:
        if isinstance(end, Failure):
            raise PlanError(f"tile {key}", expected="an answer", got=str(end))
        told.append((time.perf_counter(), end))

    with _one_thread():
        begun = time.perf_counter()
        Local(workers).run(work, keys, ended)
    return _Ends(told, time.perf_counter() - begun)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Worker processes that are begun meanwhile compute with one thread each."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        os.environ.pop(_THREADS) if before is None else os.environ.__setitem__(_THREADS, before)


def _area(tiles: Sequence[Any]) -> int:
    return sum(tile.padded.shape[1] * tile.padded.shape[2] for tile in tiles)


def bare_tile(folder: str, stamp: str, key: str) -> dict[str, float]:
    """On a worker: read, fuse and write one tile, each by itself, and count CPU seconds."""
    its = resident(folder, stamp)
    plan, tile = its.plan, its.tiles[key]
    with torch.inference_mode(), full_precision():
        begun = time.process_time()
        problem = exchange.read(plan, tile).problem(plan.device)
        settle(plan.device)
        clock = time.process_time if plan.device == "cpu" else time.perf_counter
        read, turn = time.process_time(), clock()
        answer = plan.method.fuse(problem)
        settle(plan.device)
        model, fused = clock() - turn, time.process_time()
        dead = exchange.dead(problem)
        exchange.write(plan, tile, answer, dead, exchange.unseen(problem))
    return {"model_s": model, "store_s": read - begun + time.process_time() - fused}


def seconds_to_carry(tasks: int = 200) -> float:
    """Seconds that a task of nothing takes, many after each other, in one worker."""
    ends = _carried(str, [f"task {i}" for i in range(tasks)], 1)
    whens = sorted(when for when, _ in ends.told)
    return (whens[-1] - whens[0]) / (tasks - 1)
