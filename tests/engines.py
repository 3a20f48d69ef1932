"""A tiny problem as cubes at rest, and the plan to fuse them tile by tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Plan, Source, make_plan
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem

__all__ = ["STEP", "Bench", "quantised"]

STEP = 0.5e-4
"""What packing to int16 may move a value, reflectance."""

_DAY = 86_400_000


@dataclass(frozen=True, eq=False)
class Bench:
    """An input store, and who sees what."""

    problem: Problem
    """What the store holds, after its values went through int16."""

    inputs: Path
    """The store."""

    sources: tuple[Source, ...]
    """The observations."""

    grid: Grid
    """The target's."""

    @classmethod
    def of(cls, problem: Problem, folder: Path, side: int = 24) -> Bench:
        """Write every role of a problem, in shards of `side` target pixels."""
        inputs, (rows, cols) = folder / "cubes.zarr", problem.target.shape[2:]
        grid = Grid.local((rows, cols), 10.0)
        store = CubeStore(inputs)
        sources = []
        for role, seen in problem.observations.items():
            spec = CubeSpec(
                Grid(tuple(seen.data.shape[2:]), 10.0 * seen.ratio, grid.origin),
                tuple(int(problem.target.days[date] * _DAY) for date in seen.dates),
                tuple(f"b{i}" for i in range(seen.data.shape[1])),
                tuple(400.0 + i for i in range(seen.data.shape[1])),
                shard=side // seen.ratio,
                inner=side // seen.ratio,
            )
            store.create(role, spec)
            store.write(role, spec.window, seen.data.numpy(), seen.valid.numpy())
            sources.append(
                Source(
                    role,
                    role,
                    tuple(seen.dates),
                    seen.ratio,
                    seen.view.spatial.kernel.numpy(),
                    None if role == "rich" else seen.view.spectral.matrix.numpy(),
                    None if seen.noise is None else seen.noise.double().numpy(),
                )
            )
        store.publish()
        return cls(quantised(problem), inputs, tuple(sources), grid)

    def plan(self, method: FusionMethod, output: Path, tile: int, **more: object) -> Plan:
        """The work in tiles of this side, a shard each."""
        asked = {"shard": tile, "sources": self.sources, **more}
        return make_plan(
            inputs=self.inputs,
            output=output,
            target=self.problem.target,
            method=method,
            tile=tile,
            **asked,  # type: ignore[arg-type]
        )

    def begin(self, plan: Plan, tile: int) -> CubeSpec:
        """Create the output of a plan."""
        nm = plan.target.wavelengths.tolist()
        spec = CubeSpec(
            self.grid,
            tuple(int(plan.target.days[date] * _DAY) for date in plan.written),
            tuple(f"b{i}" for i in range(len(nm))),
            tuple(nm),
            shard=tile,
            inner=tile,
        )
        CubeStore(plan.output).create("", spec)
        return spec


def quantised(problem: Problem) -> Problem:
    """The question as the store gives it back: values in steps of 1e-4, gaps as zero."""
    seen = {}
    for role, observation in problem.observations.items():
        counts = np.rint(observation.data.numpy() * np.float32(1e4))
        data = torch.from_numpy(counts.astype(np.int16) * np.float32(1e-4))
        seen[role] = replace(observation, data=torch.where(observation.valid, data, 0.0))
    return problem.question().with_observations(seen)
