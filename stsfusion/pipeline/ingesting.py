"""Ingesting: from the `scenes` of a recipe to cubes, by the executor that fuses; killed, it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stsfusion import resources
from stsfusion.cube.spec import SHARD
from stsfusion.cube.store import CubeStore
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.choose import Chosen, Day
from stsfusion.ingest.lineage import brief
from stsfusion.ingest.options import Options
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.warp import Terrain
from stsfusion.pipeline.delivered import choose_scenes, gains_of, located, sensors_of
from stsfusion.pipeline.executing import executor_of
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_parts
from stsfusion.pipeline.onecode import OneCode
from stsfusion.pipeline.publisheddates import left_out
from stsfusion.pipeline.recipe import Recipe
from stsfusion.running.executor import Inline, Local
from stsfusion.running.outcome import Executor
from stsfusion.sensing.sensor import sensor_names

__all__ = ["ingest_scenes", "work_of"]

Tell = Callable[[float, str], None]

_PARTS = ("cube", "ingest", "sensing")
"""Parts of the package by which tiles of cubes are made."""

_LOOKED = 0.1
"""Part of the work that is done once the deliveries were looked at."""

_FEW = 6
"""Tiles for which it does not pay to begin processes."""


def work_of(work: Path) -> Path:
    """Where, in what is private to a run, plan and ledger of its cubes lie; there once tiles are made."""
    return work / "ingest"


def ingest_scenes(
    recipe: Recipe, store: CubeStore, owner: str, near: Path, tell: Tell
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Fill and publish the store.

    Returns
    -------
    What came in, in a sentence; where each role came from; and what else there is to tell.

    Raises
    ------
    StsfusionError
        When scenes are not as they should be, or tiles failed.
    KeyboardInterrupt
        When it was stopped; tiles that were made are kept.
    """
    tell(0.0, "looking at the deliveries")
    private, version = store.path.parent / ".stsfusion", _version(sensors_of(recipe).values())
    before = Remembered(private / "looked", _version(sensor_names()))
    found = choose_scenes(recipe, near, store.path.parent / "catalog", before)
    chosen, missing = found.chosen, found.missing
    options = _options(recipe, near)
    executor = _executor(recipe, chosen, private / "jobs", lambda words: tell(_LOOKED, words))
    built = build_cubes(
        chosen,
        store,
        options,
        owner=owner,
        work=work_of(private),
        stamp=_stamp(chosen, options, missing, version),
        version=version,
        missing=missing,
        executor=OneCode(executor, _PARTS),
        tell=lambda done, words: tell(_LOOKED + (1 - _LOOKED) * done, words),
    )
    scenes = {role: [[brief(scene) for scene in day] for day in days] for role, days in built.scenes.items()}
    inputs = {
        role: ", ".join(scene.name for day in days for scene in day) for role, days in built.scenes.items()
    }
    used = {role: tuple(Day(tuple(day)) for day in days) for role, days in built.scenes.items()}
    dates = {role: [day.time.date() for day in days] for role, days in used.items()}
    words = f"Delivered scenes: {replace(chosen, days=used)}.{_missed(len(built.missing))}"
    words += left_out(dates, recipe.fuse.dates)
    facts = {
        "scenes": scenes,
        "refused": list(built.missing),
        "unrecognised": list(found.strange),
        "tiles": {"all": built.tiles, "made": built.made, "carried": built.carried},
    }
    return words, inputs, facts


def _executor(recipe: Recipe, chosen: Chosen, logs: Path, tell: Callable[[str], None]) -> Executor:
    """Where tiles are made: where they are fused, but on no GPU; a few of them need no processes."""
    asked = recipe.fuse
    if asked.executor == "cuda":
        asked = asked.model_copy(update={"executor": "local"})
    executor = executor_of(asked, logs, tell)
    small = max(chosen.grid.shape) <= SHARD and sum(map(len, chosen.days.values())) <= _FEW
    return Inline() if small and isinstance(executor, Local) else executor


def _version(sensors: Iterable[str]) -> str:
    """Of the code, and of what the catalogs say of instruments and of the sun."""
    named = [f"sensors/{name}.yaml" for name in sensors]
    paths = [resources.find("catalogs", each) for each in (*named, "sun/tsis1-hsrs.yaml")]
    known = [path.read_bytes() for path in paths if path is not None]
    return fingerprint("version", known, fingerprint_of_parts(*_PARTS))


def _stamp(chosen: Chosen, options: Options, missing: Sequence[str], version: str) -> str:
    """Of all that the cubes depend on: scenes with the checksums of their files, settings, and code."""
    beside = [*options.masks.values()]
    if options.terrain is not None and options.terrain.model is not None:
        beside.append(options.terrain.model)
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in beside if path.is_file()]
    said = [TypeAdapter(kind).dump_json(it) for kind, it in ((Chosen, chosen), (Options, options))]
    return fingerprint("ingest", said, list(missing), files, version)


def _missed(count: int) -> str:
    return f" {count} {'delivery is' if count == 1 else 'deliveries are'} missing." if count else ""


def _options(recipe: Recipe, near: Path) -> Options:
    asked = recipe.ingest
    return Options(
        terrain=_terrain(asked.terrain, near),
        gains=gains_of(recipe, near),
        detectors=asked.detectors,
        register=asked.align,
        threshold=asked.threshold,
        clouds=asked.clouds,
        masks={scene: located(path, near) for scene, path in asked.masks.items()},
        atmosphere=asked.atmosphere,
        normalise=asked.normalise,
        allow_missing=asked.allow_missing,
    )


def _terrain(given: float | str | None, near: Path) -> Terrain | None:
    if given is None:
        return None
    return Terrain(model=located(given, near)) if isinstance(given, str) else Terrain(height=given)
