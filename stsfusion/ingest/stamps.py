"""Stamps: of all that the pixels of one date of a cube hang on, so that equal dates need not be made again.

A plan holds what was measured: how far a scene is moved onto another, and the lines that it is brought to its
brightness by. Whatever one date has from others is in its own part of the plan, and so in its stamp.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from stsfusion.cube.spec import CubeSpec
from stsfusion.ingest.options import Options
from stsfusion.ingest.plan import Piece
from stsfusion.sensing.scene import Scene

__all__ = ["STAMP", "bare", "frame_of", "print_of", "stamp_of", "unplaced"]

STAMP = "made_from"
"""Its name in the lineage of a date."""


def stamp_of(
    spec: CubeSpec, pieces: Sequence[Piece], told: Sequence[Mapping[str, Any]], options: Options, version: str
) -> str:
    """A sha256 of what one date's tiles are made from; the same wherever deliveries and cubes lie.

    Parameters
    ----------
    spec
        The frame of its cube.
    pieces, told
        The date's scenes, how they are read, and their lineage, which holds the checksums of their files,
        masks and heights.
    version
        Of the code, and of what is known of the instruments.
    """
    gains = {sensor: options.gains.get(sensor) for sensor in {piece.scene.sensor for piece in pieces}}
    return print_of(
        version, frame_of(spec), [bare(one) for one in pieces], told, gains, options.clouds, options.limits
    )


def frame_of(spec: CubeSpec) -> CubeSpec:
    """A frame but for its dates and what it says of itself."""
    return replace(spec, times=(), attributes={})


def bare(piece: Piece) -> Piece:
    """How a scene is read, but for where its files, its mask and the heights lie."""
    terrain = piece.terrain
    if terrain is not None and terrain.model is not None:
        terrain = replace(terrain, model=Path(terrain.model.name))
    mask = None if piece.mask is None else Path(piece.mask.name)
    return replace(piece, scene=unplaced(piece.scene), home=Path(), terrain=terrain, mask=mask)


def unplaced(scene: Scene) -> Scene:
    """What is known of a scene, but for where it lies."""
    return replace(scene, delivery=Path(scene.delivery).name)


def print_of(*things: Any) -> str:
    """One sha256 over things that JSON can tell."""
    return hashlib.sha256(json.dumps(to_jsonable_python(things), sort_keys=True).encode()).hexdigest()
