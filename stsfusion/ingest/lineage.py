"""Lineage: where every date of a cube comes from and what was done to it, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

import stsfusion
from stsfusion.ingest.files import digest
from stsfusion.ingest.options import Options
from stsfusion.ingest.steps import steps, terrain_text
from stsfusion.ingest.sun import distance
from stsfusion.ingest.view import View
from stsfusion.ingest.warp import Terrain
from stsfusion.sensing.scene import Scene

__all__ = ["SURFACE", "TOA", "brief", "lineage"]

TOA, SURFACE = "toa_bidirectional_reflectance", "surface_bidirectional_reflectance"
"""What a scene's numbers are, as CF names them."""


def lineage(
    view: View, terrain: Terrain | None, source: str, options: Options, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """One scene: its files with their sha256, its steps with their parameters, its gains, what made it.

    The Earth–Sun distance that reflectance was computed with is in astronomical units.

    Parameters
    ----------
    source
        Where the height of the ground is from.
    options
        What was asked for.
    extra
        What else was found, as its registration; see `steps`.
    """
    scene = view.scene
    ready = scene.values == "reflectance"
    return {
        "scene": scene.name,
        "sensor": scene.sensor,
        "platform": scene.platform,
        "level": scene.level,
        "time": scene.time.isoformat(),
        "sun_zenith": scene.sun_zenith,
        "sun_azimuth": scene.sun_azimuth,
        **({} if ready else {"earth_sun_distance": round(distance(scene.time), 6)}),
        "view_zenith": scene.view_zenith,
        "delivery": Path(scene.delivery).name,
        **({"sha256": scene.archive} if scene.archive else {}),
        "files": [{"path": f.path, "sha256": f.sha256} for f in scene.files],
        "quantity": SURFACE if ready else TOA,
        "gains": list(view.provenance),
        "steps": steps(view, terrain, source, options, extra),
        "parameters": _parameters(scene.sensor, terrain, options),
        "versions": _versions(),
        "notes": list(scene.notes),
        **extra,
    }


def _parameters(sensor: str, terrain: Terrain | None, options: Options) -> dict[str, Any]:
    """What was asked for, in plain words and numbers; files with their sha256."""
    said: dict[str, Any] = {
        "terrain": terrain_text(terrain),
        "kernel": "cubic",
        "detectors": options.detectors,
        "register": options.register,
        "threshold": options.threshold,
        "clouds": options.clouds,
        "atmosphere": options.atmosphere,
        "normalise": options.normalise,
    }
    if terrain is not None and terrain.model is not None:
        state = terrain.model.stat()
        said["terrain_sha256"] = _of_model(terrain.model, state.st_size, state.st_mtime_ns)
    if sensor in options.gains:
        said["gains"] = options.gains[sensor].model_dump(mode="json")
    return said


@cache
def _of_model(path: Path, size: int, changed: int) -> str:
    """The sha256 of a model of heights, which is large: taken once while it stays the same."""
    return digest(path)


def _versions() -> dict[str, str]:
    """Of what makes a pixel."""
    return {
        "stsfusion": stsfusion.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
        "numpy": np.__version__,
    }


def brief(scene: Scene) -> dict[str, Any]:
    """A scene in a line, angles in degrees: for attributes of what is made of many."""
    angles = {
        "sun_zenith": scene.sun_zenith,
        "sun_azimuth": scene.sun_azimuth,
        "view_zenith": scene.view_zenith,
        "view_azimuth": scene.view_azimuth,
    }
    return {
        "scene": scene.name,
        "time": scene.time.isoformat(),
        "sha256": scene.archive or _rasters(scene),
        **{name: angle for name, angle in angles.items() if angle is not None},
    }


def _rasters(scene: Scene) -> str:
    return " ".join(file.sha256 for file in scene.files if file.role == "raster")
