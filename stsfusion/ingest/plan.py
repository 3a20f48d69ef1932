"""Plan: all that it takes to make any tile of the cubes, measured before; a file that every worker opens.

A tile is one shard of one date: it has one writer, and its bytes hang on the plan alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.deadlines import DeadLines
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.shade import Shade
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.scene import Scene
from stsfusion.window import Window

__all__ = ["Cube", "Found", "Move", "Piece", "Plan", "Scale", "load_plan", "save_plan"]

_FILE = "plan.json"


@dataclass(frozen=True)
class Move:
    """What one image of a scene is put right by."""

    layer: str
    """The image."""

    east: float
    """Map units by which its content lies too far."""

    north: float
    """Map units by which its content lies too far."""

    gain: float
    """Factor by which it is too bright."""


@dataclass(frozen=True)
class Scale:
    """A line that one band of a scene is put on after it was tested for cloud."""

    band: str
    """The band."""

    slope: float
    """Reflectance per reflectance."""

    offset: float
    """Reflectance."""


@dataclass(frozen=True)
class Piece:
    """One scene of a day, and how it is read."""

    scene: Scene
    """What is known of it."""

    home: Path
    """The folder of its files."""

    terrain: Terrain | None = None
    """How high the ground is; None: it lies on a map."""

    moves: tuple[Move, ...] = ()
    """One an image, where anything was measured."""

    mask: Path | None = None
    """The user's own of cloud and shadow."""

    dead: tuple[DeadLines, ...] = ()
    """Lines of its raw images that hold nothing of the ground."""

    shade: Shade | None = None
    """Where shadow of its clouds may lie; None: nowhere."""

    scales: tuple[Scale, ...] = ()
    """Lines in the order in which they are laid; bands without one stay as they are."""


@dataclass(frozen=True)
class Found:
    """One scene that was measured."""

    piece: Piece
    """How it is read."""

    told: dict[str, Any]
    """Its lineage."""


@dataclass(frozen=True)
class Cube:
    """One cube that is to be made."""

    role: str
    """Name of the dataset."""

    spec: CubeSpec
    """Its frame, lineage included."""

    days: tuple[tuple[Piece, ...], ...]
    """(time,) scenes of each date; where two see a pixel, the first stays."""


@dataclass(frozen=True)
class Plan:
    """Every cube that is to be made."""

    store: Path
    """The store's folder."""

    cubes: tuple[Cube, ...]
    """Those that are to be made, the sharp one first."""

    gains: Mapping[str, GainsFile] = field(default_factory=dict)
    """The user's own, by instrument."""

    clouds: bool = True
    """Whether the simple tests for cloud and shadow are made where there is no mask."""

    limits: Limits | None = None
    """Of deliveries."""

    @property
    def tiles(self) -> dict[str, tuple[Cube, Window]]:
        """Every tile by its key, date by date."""
        return {
            f"{cube.role} {window.dates[0]} {window.rows[0]} {window.cols[0]}": (cube, window)
            for cube in self.cubes
            for window in cube.spec.shards()
        }


def save_plan(plan: Plan, folder: Path, stamp: str) -> None:
    """Write a plan into a folder, whole or not at all.

    Parameters
    ----------
    stamp
        Of all that the plan was made from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{_FILE}.new"
    new.write_text(json.dumps({"stamp": stamp, "plan": _adapter().dump_python(plan, mode="json")}))
    new.replace(folder / _FILE)


def load_plan(folder: Path, stamp: str) -> Plan | None:
    """The plan of a folder; None when there is none of this stamp, or it is damaged."""
    try:
        found = json.loads((folder / _FILE).read_text())
        plan: Plan | None = _adapter().validate_python(found["plan"]) if found["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return plan


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Plan)
