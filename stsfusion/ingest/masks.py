"""Masks: whose scene a mask of the user's is, and whether it lies on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rasterio.warp import transform_bounds

from stsfusion.cube.grid import Grid
from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.frame import pixels_of
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.sensing.scene import Scene

__all__ = ["mask_of", "named_masks"]


def named_masks(chosen: Chosen, masks: Mapping[str, Path]) -> dict[str, Path]:
    """Masks by the names of the scenes as they are written in the catalog; cases may differ.

    Raises
    ------
    DeliveryError
        When a mask is for no scene that is used.
    """
    names = {
        scene.name.casefold(): scene.name
        for days in chosen.days.values()
        for day in days
        for scene in day.scenes
    }
    for name in masks:
        if name.casefold() not in names:
            raise DeliveryError(
                f"ingest.masks, '{name}'",
                expected=f"one of the scenes {', '.join(sorted(names.values()))}",
                got="a scene that is not used",
                mend="Name the scene as it is listed, or leave its mask out.",
            )
    return {names[name.casefold()]: path for name, path in masks.items()}


def mask_of(masks: Mapping[str, Path], scene: Scene, grid: Grid) -> Path | None:
    """The mask of a scene; None where there is none.

    Parameters
    ----------
    grid
        Of the scene's cube.

    Raises
    ------
    DeliveryError
        When it lies beside all of the scene that the cube shows.
    """
    path = masks.get(scene.name)
    if path is None:
        return None
    with open_raster(path) as raster:
        if raster.crs is None or raster.transform is None:
            raise DeliveryError(f"mask {path}", expected="a place on a map", got="none")
        _, rows, cols = raster.shape
        a, b, c, d, e, f = raster.transform
        x = [c + a * col + b * row for row in (0, rows) for col in (0, cols)]
        y = [f + d * col + e * row for row in (0, rows) for col in (0, cols)]
        west, south, east, north = transform_bounds(
            raster.crs, grid.crs or raster.crs, min(x), min(y), max(x), max(y)
        )
    (top, bottom), (left, right) = pixels_of(scene, grid)
    own = grid.x[left:right], grid.y[top:bottom]
    if not own[0].size or not own[1].size:
        return path
    apart = west > own[0].max() or east < own[0].min() or south > own[1].max() or north < own[1].min()
    if apart:
        raise DeliveryError(
            f"mask {path}",
            expected=f"a mask that lies on scene {scene.name}",
            got=f"one of x {west:.0f} to {east:.0f}, y {south:.0f} to {north:.0f} in {grid.crs}, beside it",
        )
    return path
