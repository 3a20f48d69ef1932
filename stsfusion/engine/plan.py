"""Plan: everything a worker needs to know of the work, cut into tiles; it carries no pixels."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from stsfusion.errors import PlanError
from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import Role, Target
from stsfusion.operators.blur import Blur
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.running.tiling import Tile, tiles

__all__ = ["Plan", "Source", "geometry_of", "make_plan", "require_roles"]


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

    overlap: bool = False
    """Whether a process reads the next tile and writes the last one while it fuses one."""

    begun: str = ""
    """Mark of the series that is being written at `output` (`CubeStore.begun`), so that no other is ever
    written by this plan; empty: whichever lies there."""

    @property
    def geometry(self) -> Geometry:
        """Ratios and reaches of all roles."""
        return geometry_of(self.sources)

    def with_method(self, method: FusionMethod) -> Plan:
        """The same work by the same method after it has learned something."""
        return replace(self, method=method)


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
    missing = method.card.lacks(present)
    finest = " (the finest that you have)" if missing[:1] == ["sharp"] else ""
    if missing:
        raise PlanError(
            f"method '{method.card.name}'",
            expected=f"cubes for the roles {', '.join(method.card.needs)}",
            got=", ".join(sorted(present)) or "none",
            mend=f"Give a cube as '{missing[0]}'{finest}, or choose a method that does without it.",
        )
