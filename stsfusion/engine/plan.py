"""Plan: what runs where, with how much memory and disk. It refuses before any work starts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

from stsfusion.errors import PlanError
from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import Role, Target
from stsfusion.operators.blur import Blur
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.running.tiling import Tile, tiles

__all__ = ["Need", "Plan", "Source", "make_plan", "need_of", "refuse_if_too_large"]

_PROCESS = 500 * 2**20
"""Bytes of a worker that has imported torch and opened the stores, before it reads a tile."""


@dataclass(frozen=True, eq=False)
class Source:
    """One role's cube, and how its sensor saw the target."""

    role: Role
    """The virtue that the target takes from it."""

    cube: str
    """Name of the cube in the input store."""

    dates: tuple[int, ...]
    """For each of the cube's dates the index of the target's date, rising."""

    ratio: int
    """Target pixels along one side of a pixel."""

    kernel: np.ndarray
    """(ky, kx) point spread function on the target's grid."""

    spectral: np.ndarray | None = None
    """(band', band) responses over the target's bands; None: the target's own bands."""

    noise: np.ndarray | None = None
    """(band',) standard deviation, reflectance; None: unknown."""

    known: bool = True
    """False: kernel and responses are nominal priors."""

    def view(self, shape: Shape, dates: Sequence[int]) -> Degradation:
        """How it saw these dates (indices) of a target of this shape."""
        return Degradation.of(
            shape,
            dates=list(dates),
            spectral=None if self.spectral is None else torch.from_numpy(self.spectral),
            kernel=torch.from_numpy(self.kernel),
            ratio=self.ratio,
            known=self.known,
        )

    @property
    def reach(self) -> int:
        """Target pixels that a pixel sees beyond its own block."""
        size = self.ratio * math.ceil(max(self.kernel.shape) / self.ratio)
        return Blur(torch.from_numpy(self.kernel), self.ratio, (1, 1, size, size)).reach


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a worker needs to fuse any tile; carries no pixels."""

    inputs: Path
    """Store of the input cubes."""

    output: Path
    """Store of the series that is made."""

    sources: tuple[Source, ...]
    """The observations."""

    target: Target
    """What is asked; its rows and columns are multiples of every ratio."""

    written: tuple[int, ...]
    """Indices of the target's dates that are published, rising."""

    tiles: tuple[Tile, ...]
    """The work."""

    method: FusionMethod
    """Who does it."""

    device: str = "cpu"
    """Where: a torch device."""

    @property
    def geometry(self) -> Geometry:
        """Ratios and reaches of all roles."""
        return geometry_of(self.sources)

    def with_method(self, method: FusionMethod) -> Plan:
        """The same work by the same method after it has learned something."""
        return replace(self, method=method)


@dataclass(frozen=True)
class Need:
    """What a plan will take."""

    memory: int
    """Bytes of one worker at its peak."""

    disk: int
    """Bytes of the output at most (before compression)."""

    tiles: int
    """Number of tiles."""

    read: int
    """Bytes of pixels that all tiles read, halos included."""


def geometry_of(sources: Sequence[Source]) -> Geometry:
    """Ratios and reaches of these sources."""
    return Geometry({s.role: s.ratio for s in sources}, {s.role: s.reach for s in sources})


def make_plan(
    *,
    inputs: Path,
    output: Path,
    sources: Sequence[Source],
    target: Target,
    method: FusionMethod,
    tile: int,
    shard: int,
    written: Sequence[int] | None = None,
    device: str = "cpu",
) -> Plan:
    """Cut the work into tiles whose context is the method's own halo and span.

    Raises
    ------
    PlanError
        When a needed role is missing or the tiles do not nest.
    """
    _require_roles(method, sources)
    geometry = geometry_of(sources)
    time, _, rows, cols = target.shape
    cut = tiles(
        time,
        rows,
        cols,
        tile=tile,
        shard=shard,
        halo=method.halo(geometry),
        multiple=geometry.multiple,
        span=method.span(),
    )
    return Plan(
        inputs,
        output,
        tuple(sources),
        target,
        tuple(range(time)) if written is None else tuple(written),
        tuple(cut),
        method,
        device,
    )


def _require_roles(method: FusionMethod, sources: Sequence[Source]) -> None:
    present = {source.role for source in sources}
    missing = [role for role in method.card.needs if role not in present]
    if missing:
        raise PlanError(
            f"method '{method.card.name}'",
            expected=f"cubes for the roles {', '.join(method.card.needs)}",
            got=", ".join(sorted(present)) or "none",
            mend=f"Add a cube for '{missing[0]}' to the recipe, or choose a method that does without it.",
        )


def need_of(plan: Plan) -> Need:
    """Memory, disk and bytes read, from shapes alone."""
    largest = max((_padded_pixels(tile) for tile in plan.tiles), default=0)
    time, band, rows, cols = plan.target.shape
    fused = plan.method.card.memory * 4 * time * band * largest
    given = sum(_given_bytes(source, band, largest) for source in plan.sources)
    packed = len(plan.written) * rows * cols * (2 * band + 3)
    read = sum(_given_bytes(s, band, _padded_pixels(t)) // 2 for t in plan.tiles for s in plan.sources)
    return Need(int(_PROCESS + fused + given), packed, len(plan.tiles), read)


def _padded_pixels(tile: Tile) -> int:
    _, rows, cols = tile.padded.shape
    return rows * cols


def _given_bytes(source: Source, band: int, pixels: int) -> int:
    """Float32 values and their masks of one tile."""
    bands = band if source.spectral is None else len(source.spectral)
    return 5 * len(source.dates) * bands * pixels // source.ratio**2


def refuse_if_too_large(plan: Plan, *, budget: int | None, workers: int, shard: int) -> Need:
    """The plan's needs, or a refusal with the numbers and a tile that fits.

    Parameters
    ----------
    plan
        What is to run.
    budget
        Bytes that one worker may use; None: its share of the memory that is free now.
    workers
        Processes that run at once.
    shard
        Side of an output shard, pixels: a smaller tile is a multiple of it.

    Raises
    ------
    PlanError
        When memory or disk cannot do.
    """
    need = need_of(plan)
    allowed = psutil.virtual_memory().available // workers if budget is None else budget
    if need.memory > allowed:
        side = plan.tiles[0].core.shape[1]
        raise PlanError(
            f"tiles of {side} pixels with a halo of {plan.method.halo(plan.geometry)}",
            expected=f"at most {_gb(allowed)} in each of {workers} worker(s)",
            got=f"{_gb(need.memory)} ({plan.method.card.memory:g} times the tile's target of"
            f" {plan.target.shape[0]} dates × {plan.target.shape[1]} bands, its inputs, and the process)",
            mend=_smaller(plan, allowed, shard),
        )
    free = shutil.disk_usage(_existing(plan.output)).free
    if need.disk > free:
        raise PlanError(
            f"output {plan.output}",
            expected=f"room for {_gb(need.disk)} (before compression)",
            got=f"{_gb(free)} free",
            mend="Free some disk, ask for fewer dates or a smaller area, or write elsewhere with 'output:'.",
        )
    return need


def _smaller(plan: Plan, allowed: int, shard: int) -> str:
    """The largest tile that would fit, in words."""
    multiple = plan.geometry.multiple
    side = plan.tiles[0].core.shape[1]
    candidates = [*range(side - shard, 0, -shard), *range(min(shard, side) - multiple, 0, -multiple)]
    for smaller in candidates:
        part = shard if smaller % shard == 0 else smaller
        try:
            trial = make_plan(
                inputs=plan.inputs,
                output=plan.output,
                sources=plan.sources,
                target=plan.target,
                method=plan.method,
                tile=smaller,
                shard=part,
                written=plan.written,
            )
        except PlanError:
            continue
        if need_of(trial).memory <= allowed:
            return f"Use 'tile: {smaller}', which needs {_gb(need_of(trial).memory)}, or a larger 'budget:'."
    least = _PROCESS + _gb_step(plan)
    return f"No tile fits; give at least {_gb(least)} with 'budget:', or choose a method that needs less."


def _gb_step(plan: Plan) -> int:
    """Bytes of the smallest tile there is."""
    side = plan.geometry.multiple + 2 * plan.method.halo(plan.geometry)
    time, band, _, _ = plan.target.shape
    return int(plan.method.card.memory * 4 * time * band * side**2)


def _gb(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
