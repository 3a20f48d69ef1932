"""Steps: what is done to a scene until it is part of a cube, in words and in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.options import Options
from stsfusion.ingest.sun import distance
from stsfusion.ingest.view import View
from stsfusion.ingest.warp import Terrain

__all__ = ["laid_together", "steps", "terrain_text"]


def steps(
    view: View, terrain: Terrain | None, source: str, options: Options, found: Mapping[str, Any]
) -> list[str]:
    """Every step from stored numbers to gaps; haze, brightness and the scenes of one day come after them.

    Parameters
    ----------
    source
        Where the height of the ground is from.
    found
        What was measured: `detectors`, `registration`, `mask`, `dead_lines`, as far as they are there.
    """
    return [
        *_reflectance(view),
        _place(view, terrain, source),
        *_images(view, found.get("detectors")),
        *_moved(found.get("registration")),
        *_masked(view, options, found.get("mask"), found.get("dead_lines")),
    ]


def _reflectance(view: View) -> Iterator[str]:
    """From stored numbers to reflectance."""
    scene = view.scene
    if scene.values == "reflectance":
        yield "taken as surface reflectance, as delivered"
        return
    if scene.values == "counts":
        yield "counts to radiance by gains and offsets"
    yield (
        "radiance to reflectance at the top of the atmosphere, sun's zenith "
        f"{scene.sun_zenith:.2f}°, Earth–Sun distance {distance(scene.time):.5f} au"
    )


def _place(view: View, terrain: Terrain | None, source: str) -> str:
    if any(image.rational is not None for image in view.images):
        return f"orthorectified by its RPC, {terrain_text(terrain)} ({source})"
    return "resampled from its map"


def _images(view: View, detectors: Mapping[str, Any] | None) -> Iterator[str]:
    """How the images of a scene become one."""
    if view.strips:
        yield f"{len(view.images)} strips mosaicked, of two the one that sees a pixel further inside"
    elif len(view.images) > 1:
        yield f"{len(view.images)} detectors laid one behind the other, all bands kept"
    if detectors is None:
        return
    name = detectors["detector"]
    if detectors["moved"]:
        yield f"detector {name} moved back by {_offset(detectors)} pixels, found in the overlap"
    if detectors["dimmed"]:
        yield f"detector {name} divided by {detectors['ratio']:g}, found in the overlap"
    if not detectors["moved"] and not detectors["dimmed"]:
        yield f"detector {name} held against the other in the overlap, and left as it is"


def _moved(registration: Mapping[str, Any] | None) -> Iterator[str]:
    """How a scene was laid onto another."""
    if registration is None:
        return
    against = registration["against"]
    if registration["moved"]:
        yield f"moved back by {_offset(registration)} pixels onto {against}"
    else:
        yield f"held against {against}, and left where it lies ({registration['status']})"


def _offset(found: Mapping[str, Any]) -> str:
    return f"{found['down']:.2f} down and {found['right']:.2f} right"


def _masked(
    view: View, options: Options, mask: Mapping[str, Any] | None, dead: Mapping[str, Any] | None
) -> Iterator[str]:
    """What becomes a gap."""
    top = known_sensor(view.scene.sensor).package
    saturated = top is not None and top.saturation is not None and view.scene.values == "counts"
    yield f"fill{f' and counts from {top.saturation} on' if top and saturated else ''} masked"
    if dead is not None:
        yield f"{dead['rows']} dead rows and {dead['columns']} dead columns of single bands masked"
    if mask is not None:
        yield f"cloud and shadow masked by {mask['path']}"
    if options.clouds:
        where = " where that mask says nothing" if mask is not None else ""
        yield f"thick cloud and its shadow masked by simple tests{where}"


def laid_together(told: Mapping[str, Any], others: int) -> dict[str, Any]:
    """The lineage of a scene with the step that makes one date of it and others of its day."""
    if not others:
        return dict(told)
    step = f"laid together with {others} more of its day; where two see a pixel, the earlier stays"
    return {**told, "steps": [*told["steps"], step]}


def terrain_text(terrain: Terrain | None) -> str:
    """The ground in words."""
    if terrain is None:
        return "no height needed"
    return f"at {terrain.height:g} m" if terrain.model is None else f"on the model {terrain.model.name}"
