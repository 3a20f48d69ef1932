"""Intake: whatever a recipe starts from becomes one store of cubes, a dataset a role."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from xarray import DataArray

from stsfusion.cube.files import open_cube
from stsfusion.cube.filling import fill
from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.schema import check
from stsfusion.cube.spec import INNER, SHARD, CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.errors import RecipeError
from stsfusion.forward.optics import seen_bands
from stsfusion.forward.sample import open_scene
from stsfusion.forward.seasons import Season, make_seasons
from stsfusion.forward.simulate import Protocol, simulate
from stsfusion.fusion.problem import Problem, Role
from stsfusion.pipeline.delivered import located
from stsfusion.pipeline.ingesting import ingest_scenes
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.scenesections import Area
from stsfusion.pipeline.sections import CubeFiles, Simulate
from stsfusion.sensing.sensor import Sensor, load_sensor
from stsfusion.window import Window

__all__ = ["TRUTH", "Intake", "open_own", "take_in"]

TRUTH = "truth"
"""Name of the dataset that holds a simulated scene's truth."""

_SAY = (
    "Say where they are: --set cubes.rich=FILE --set cubes.sharp=FILE, each a NetCDF, a Zarr or a folder of "
    "GeoTIFF files; or copy the recipe and write them there."
)

Tell = Callable[[float, str], None]
"""Told of the share that is done, and of what."""


@dataclass(frozen=True)
class Intake:
    """What came in."""

    words: str
    """What it is, in a sentence."""

    simulated: bool
    """Whether the cubes are simulated; then there is a truth."""

    inputs: Mapping[str, str]
    """Where each role came from."""

    facts: Mapping[str, Any]
    """What else there is to tell: events of a simulated season, how hard it is."""


def take_in(recipe: Recipe, store: CubeStore, owner: str, near: Path, tell: Tell) -> Intake:
    """Fill the store and publish it.

    Parameters
    ----------
    near
        The recipe's folder: its paths are seen from there, then from the working folder.
    """
    if recipe.simulate is not None:
        return _simulated(recipe.simulate, store, owner, near, tell)
    if recipe.scenes is not None:
        words, inputs, facts = ingest_scenes(recipe, store, owner, near, tell)
        return Intake(words, False, inputs, facts)
    return _own(recipe, store, owner, near, tell)


# ---------------------------------------------------------------- a user's own cubes


def open_own(recipe: Recipe, near: Path) -> dict[Role, DataArray]:
    """The user's cubes, cut to the area; labels are checked, values are not read.

    Parameters
    ----------
    near
        The recipe's folder: its paths are seen from there, then from the working folder.

    Raises
    ------
    CubeError, RecipeError
        When no cube is named, or one is not there or not what it should be.
    """
    assert recipe.cubes is not None
    if not recipe.cubes.files:
        raise RecipeError("section 'cubes'", expected="your own cubes", got="none", mend=_SAY)
    opened: dict[Role, DataArray] = {
        role: open_cube(_placed(files, near), role, role) for role, files in recipe.cubes.files.items()
    }
    return _cut(opened, recipe.area)


def _own(recipe: Recipe, store: CubeStore, owner: str, near: Path, tell: Tell) -> Intake:
    assert recipe.cubes is not None
    cubes = open_own(recipe, near)
    paths = {role: str(files.path) for role, files in recipe.cubes.files.items()}
    fine = min((grid_of(cube) for cube in cubes.values()), key=lambda grid: grid.pixel)
    for done, (role, cube) in enumerate(cubes.items()):
        tell(done / len(cubes), f"reading '{role}'")
        ratio = grid_of(cube).ratio_to(fine)
        spec = _laid_out(CubeSpec.like(cube, attributes={"source": paths[role], "role": role}), ratio)
        store.create(role, spec, owner=owner, replace=True)
        fill(
            store,
            role,
            check(cube, role, role),
            done=_Count(tell, done, len(cubes), role, len(spec.shards())),
        )
    store.publish()
    return Intake("The user's own cubes.", False, {str(role): path for role, path in paths.items()}, {})


def _laid_out(spec: CubeSpec, ratio: int) -> CubeSpec:
    """Shards and inner chunks as large on the ground as those of the base grid, for any ratio."""
    inner = max(INNER // ratio, 1)
    return replace(spec, shard=inner * (SHARD // INNER), inner=inner)


@dataclass
class _Count:
    """Tells how far the reading of one cube among several is."""

    tell: Tell
    before: int
    cubes: int
    role: str
    shards: int
    done: int = 0

    def __call__(self, window: Window) -> None:
        """One more shard was written."""
        self.done += 1
        self.tell((self.before + self.done / self.shards) / self.cubes, f"reading '{self.role}'")


def _placed(files: CubeFiles, near: Path) -> dict[str, Any]:
    """What `open_cube` is told, with paths seen from the recipe's folder first."""
    said = {key: value for key, value in files.model_dump().items() if value is not None}
    return {
        **said,
        "path": [located(text, near) for text in files.path]
        if isinstance(files.path, tuple)
        else located(files.path, near),
    }


def _cut(cubes: Mapping[Role, DataArray], area: Area | None) -> dict[Role, DataArray]:
    """The part of each cube that covers the area, edges on whole pixels of every cube."""
    if area is None or area.bounds is None:
        return dict(cubes)
    grids = {role: grid_of(cube) for role, cube in cubes.items()}
    fine = min(grids.values(), key=lambda grid: grid.pixel)
    ratios = {role: grid.ratio_to(fine) for role, grid in grids.items()}
    wanted = fine.window_of(area.bounds).snap(math.lcm(*ratios.values())).clip(1, *fine.shape)
    cut: dict[Role, DataArray] = {}
    for role, cube in cubes.items():
        window = wanted.coarsen(ratios[role])
        cut[role] = cube.isel(y=slice(*window.rows), x=slice(*window.cols))
    return cut


# ---------------------------------------------------------------- a simulated series


def _simulated(settings: Simulate, store: CubeStore, owner: str, near: Path, tell: Tell) -> Intake:
    tell(0.0, f"opening the scene '{settings.scene}'")
    path = near / settings.scene
    scene = open_scene(path if path.is_file() else settings.scene)
    protocol = _protocol(settings, near)
    tell(0.1, "making seven dates of it")
    season = make_seasons(scene.reflectance, scene.wavelengths, seed=settings.seed)
    truth, grid = _whole(season.values, scene.pixel, protocol)
    tell(0.6, "simulating what three sensors saw")
    problem = simulate(
        torch.from_numpy(truth), torch.from_numpy(season.wavelengths), torch.from_numpy(season.days), protocol
    )
    tell(0.8, "writing the cubes")
    for name, spec, values, valid in _datasets(problem, season.dates, grid, protocol, scene.title):
        store.create(name, spec, owner=owner, replace=True)
        for window in spec.shards():
            store.write(name, window, values[window.slices], valid[window.slices])
    store.publish()
    words = f"One real scene, {scene.title}; {season.description}.{_hardness(season)}"
    facts = {
        "events": [
            {"kind": event.kind, "date": str(season.dates[event.date])[:10], "pixels": int(event.area.sum())}
            for event in season.events
        ],
        "hardness_deg": {str(season.dates[i])[:10]: round(float(a), 2) for i, a in season.hardness.items()},
        "quantity": scene.quantity,
        "protocol": protocol.settings(),
    }
    return Intake(words, True, dict.fromkeys(problem.observations, settings.scene), facts)


def _hardness(season: Season) -> str:
    """How far the truth is from a straight line in time, in words; nothing for a series too short to tell."""
    angles = list(season.hardness.values())
    if not angles:
        return ""
    mean = sum(angles) / len(angles)
    return f" Its every second date lies {mean:.1f}° (SAM) off the line through its true neighbours in time."


def _protocol(settings: Simulate, near: Path) -> Protocol:
    """The protocol, its sensors taken from the catalogs as the recipe sees them."""
    said = settings.protocol.model_dump()
    for role in ("sharp", "dense"):
        said[role] = None if said[role] is None else load_sensor(said[role], near)
    return Protocol(**said)


def _whole(values: np.ndarray, pixel: float | None, protocol: Protocol) -> tuple[np.ndarray, Grid]:
    """The truth cut at its last rows and columns to a multiple of the ratios, and its local grid."""
    multiple = np.lcm(protocol.rich_ratio, protocol.dense_ratio)
    rows, cols = (size // multiple * multiple for size in values.shape[2:])
    return np.ascontiguousarray(values[:, :, :rows, :cols]), Grid.local((int(rows), int(cols)), pixel or 10.0)


def _datasets(
    problem: Problem, dates: np.ndarray, grid: Grid, protocol: Protocol, title: str
) -> Iterator[tuple[str, CubeSpec, np.ndarray, np.ndarray]]:
    """Name, frame, values and mask of the truth and of each role."""
    assert problem.truth is not None
    names = tuple(f"b{i + 1:03d}" for i in range(problem.target.shape[1]))
    nm = tuple(problem.target.wavelengths.tolist())
    times = milliseconds(dates)
    said = {"simulated": True, "title": f"simulated from {title}"}
    truth = CubeSpec(grid, tuple(times.tolist()), names, nm, attributes={**said, "role": TRUTH})
    yield TRUTH, truth, problem.truth.numpy(), np.ones(problem.truth.shape, bool)
    for role, seen in problem.observations.items():
        sensor = protocol.sensor(role)
        own, centres, widths = (names, nm, None) if sensor is None else _bands_of(sensor, problem)
        noise = [] if seen.noise is None else [round(level, 7) for level in seen.noise.tolist()]
        stated = {**said, "role": role, "noise": noise}
        place, stamps = grid.coarsen(seen.ratio), tuple(times[seen.dates].tolist())
        spec = CubeSpec(place, stamps, own, centres, widths, attributes=stated)
        yield (
            role,
            _laid_out(spec, seen.ratio),
            seen.data.numpy(),
            np.broadcast_to(seen.valid.numpy(), seen.data.shape),
        )


def _bands_of(
    sensor: Sensor, problem: Problem
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Names, centres and widths (nm) of the bands that the target's wavelengths cover."""
    bands = sensor.pick(seen_bands(sensor, problem.target.wavelengths))
    return tuple(b.name for b in bands), tuple(b.wavelength for b in bands), tuple(b.fwhm for b in bands)
