"""Plan: what runs where, with how much memory and disk. It refuses before any work starts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Sequence
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

__all__ = [
    "Need",
    "Plan",
    "Source",
    "geometry_of",
    "make_plan",
    "need_of",
    "refuse_if_too_large",
    "require_roles",
]

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
    require_roles(method, {source.role for source in sources})
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
        tuple(range(time)) if written is None else tuple(sorted(written)),
        tuple(cut),
        method,
        device,
    )


def require_roles(method: FusionMethod, present: Collection[Role]) -> None:
    """Refuse a method that needs a role which is not there.

    Raises
    ------
    PlanError
        Naming the role.
    """
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
    areas = [math.prod(tile.padded.shape[1:]) for tile in plan.tiles]
    _, band, rows, cols = plan.target.shape
    sigma = 2 * band if plan.method.card.sigma else 0
    packed = len(plan.written) * rows * cols * (2 * band + sigma + 3)
    read = sum(2 * _values(plan, area) for area in areas)
    return Need(_memory(plan, max(areas, default=0)), packed, len(areas), read)


def _memory(plan: Plan, area: int) -> int:
    """Bytes of a worker with a tile that reads this many target pixels: float32 values and their masks."""
    time, band, _, _ = plan.target.shape
    fused = plan.method.card.memory * 4 * time * band * area
    return int(_PROCESS + fused + 5 * _values(plan, area))


def _values(plan: Plan, area: int) -> int:
    """Observed values of all roles on this many target pixels."""
    own = plan.target.shape[1]
    return sum(
        len(s.dates) * (own if s.spectral is None else len(s.spectral)) * area // s.ratio**2
        for s in plan.sources
    )


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
        side = max(plan.tiles[0].core.shape[1:])
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
            expected=f"room for {_size(need.disk)} (before compression)",
            got=f"{_size(free)} free",
            mend="Free some disk, ask for fewer dates or a smaller area, or write elsewhere with 'output:'.",
        )
    return need


def _smaller(plan: Plan, allowed: int, shard: int) -> str:
    """The largest tile that would fit, in words."""
    multiple = plan.geometry.multiple
    side = max(plan.tiles[0].core.shape[1:])
    whole = range((side - 1) // shard * shard, 0, -shard)
    parts = range((min(shard, side) - 1) // multiple * multiple, 0, -multiple)
    for smaller in (*whole, *parts):
        need = _memory(plan, _largest_area(plan, smaller))
        if need <= allowed:
            also = "" if smaller % shard == 0 else f" and 'shard: {smaller}'"
            return f"Use 'tile: {smaller}'{also}, which needs {_gb(need)}, or a larger 'budget:'."
    least = _memory(plan, _largest_area(plan, multiple))
    return f"No tile fits; give at least {_gb(least)} with 'budget:', or choose a method that needs less."


def _largest_area(plan: Plan, tile: int) -> int:
    """Target pixels that the largest tile would read, if cores had this side."""
    multiple, halo = plan.geometry.multiple, plan.method.halo(plan.geometry)
    return math.prod(
        max(
            one.padded.shape[1]
            for one in tiles(1, size, multiple, tile=tile, shard=tile, halo=halo, multiple=multiple)
        )
        for size in plan.target.shape[2:]
    )


def _gb(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"


def _size(size: float) -> str:
    return _gb(size) if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
