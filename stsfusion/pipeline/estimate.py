"""Estimate: what a run will take: tiles, bytes, memory, disk, hours; by shapes, and by a timed tile."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from stsfusion.cube.factors import Factors
from stsfusion.cube.spec import milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.engine.need import need_of
from stsfusion.engine.run import run_tile
from stsfusion.errors import PlanError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.intake import open_own, take_in
from stsfusion.pipeline.madefrom import published
from stsfusion.pipeline.prints import input_print
from stsfusion.pipeline.product import factors_for, size_of
from stsfusion.pipeline.reciperun import RecipeRun
from stsfusion.pipeline.rehearsal import foresee
from stsfusion.pipeline.room import of_dates
from stsfusion.pipeline.scenesections import Area
from stsfusion.pipeline.todo import ToDo, to_do
from stsfusion.pipeline.worksections import Fuse

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """What a run will take."""

    method: str
    """Its name."""

    target: tuple[int, int, int, int]
    """(time, band, y, x) of what is asked for."""

    published: int
    """Dates that are to be published."""

    new: int
    """Of these, dates that the present series does not show."""

    changed: int
    """Of these, dates that it shows and that would be made anew."""

    exact: bool
    """Whether the input was read: else what images processed anew change is not known, and comes on top."""

    learns: bool
    """Whether the method would learn first, for which no time is counted."""

    tiles: tuple[str, ...]
    """Keys of the tiles that would be fused."""

    tile: tuple[int, int]
    """Rows and columns of the largest core, pixels."""

    halo: int
    """Context around it, pixels."""

    read: int
    """Bytes that these tiles read, halos included, before compression."""

    disk: int | None
    """Bytes of the series at most, before compression; None: not known before the method has learned."""

    written: int | None
    """Bytes of these that would be written."""

    full: int
    """What a series with all bands takes, bytes before compression."""

    memory: int
    """Bytes of one worker."""

    workers: int
    """Processes that would work at once."""

    tile_seconds: float | None
    """Seconds of one tile in one process; None: not known."""

    known_from: str
    """Where that is from: 'stated', 'a timed tile', 'the last run', or '' when it is not known."""

    @property
    def hours(self) -> float | None:
        """Of fusing; learning comes on top."""
        if self.tile_seconds is None:
            return None
        return len(self.tiles) * self.tile_seconds / self.workers / 3600


def estimate(run: RecipeRun, *, sample: bool = False, tile_seconds: float | None = None) -> Estimate:
    """What the recipe will take; nothing is left behind.

    Parameters
    ----------
    sample
        Whether the tile in the middle is fused, and timed; its method learns from it alone.
    tile_seconds
        Seconds of a tile, where they are known.

    Raises
    ------
    StsfusionError
        When the recipe cannot be carried out.
    """
    run.journal.mute = True
    with tempfile.TemporaryDirectory(prefix="stsfusion-") as name:
        draft, there = _drafted(run, Path(name))
        found = to_do(run, draft)
        foresee(run, draft, found)
        known, source, factors = tile_seconds, "stated", None
        if known is None and sample:
            (known, factors), source = _timed(run, draft, there, Path(name)), "a timed tile"
        if known is None:
            known, source = _last(run.folder), "the last run"
        return _estimate(run, draft, found, known, source if known is not None else "", factors)


def _estimate(
    run: RecipeRun,
    draft: Draft,
    found: ToDo | None,
    seconds: float | None,
    source: str,
    factors: Factors | None,
) -> Estimate:
    plan, settings = draft.plan, run.recipe.fuse
    was = published(run.folder.fused)
    times = milliseconds(draft.assembly.times)[list(plan.written)].tolist()
    rows, cols = (max(tile.core.shape[axis] for tile in plan.tiles) for axis in (1, 2))
    new = len([time for time in times if was is None or time not in was.dates])
    changed, share = len(times) - new, 1.0
    if found is not None:
        chosen, changed = (*found.new, *found.changed), len(found.changed)
        plan, share = of_dates(plan, settings.neighbours, chosen), len(chosen) / len(times)
    need, disk = need_of(plan), _disk(run, draft, factors)
    return Estimate(
        method=plan.method.card.name,
        target=plan.target.shape,
        published=len(times),
        new=new,
        changed=changed,
        exact=found is None or found.exact,
        learns=found is None and plan.method.card.fits != "no",
        tiles=tuple(tile.key for tile in plan.tiles),
        tile=(rows, cols),
        halo=plan.method.halo(plan.geometry),
        read=need.read,
        disk=disk,
        written=None if disk is None else round(disk * share),
        full=draft.need.disk,
        memory=draft.need.memory,
        workers=_workers(settings),
        tile_seconds=None if seconds is None else round(seconds, 3),
        known_from=source,
    )


def _workers(settings: Fuse) -> int:
    """How many processes fuse at once, as far as the recipe says it."""
    if settings.executor == "slurm":
        return settings.slurm.jobs * settings.slurm.processes
    if settings.executor == "cuda":
        return max(1, torch.cuda.device_count())
    if settings.executor == "array":
        _, _, count = (settings.worker or "").partition("/")
        return int(count or 1)
    return settings.workers if settings.executor == "local" else 1


def _disk(run: RecipeRun, draft: Draft, factors: Factors | None) -> int | None:
    """Bytes of the series; of a compact one by what its method has just learned, or when it was published."""
    if run.recipe.fuse.product != "compact":
        return draft.need.disk
    if factors is None and published(run.folder.fused) is not None:
        factors = CubeStore(run.folder.fused).factors()
    if factors is None:
        return None
    sigma = draft.plan.method.card.sigma
    return size_of(fusing.frame(draft.assembly, draft.plan, run.recipe.fuse.shard_size, {}, sigma, factors))


def _drafted(run: RecipeRun, room: Path) -> tuple[Draft, Folder]:
    """A plan of the whole, and a folder whose cubes are those of the plan, if it has some."""
    recipe, folder = run.recipe, run.folder
    if folder.is_done("cubes", input_print(recipe, run.near), [folder.cubes]):
        return fusing.draft(recipe, fusing.cubes_of(folder), folder, run.near, folder.fused), folder
    if recipe.cubes is not None:
        unread = Folder(room / "unread", folder.owner, run.file)
        return fusing.draft(recipe, open_own(recipe, run.near), folder, run.near, folder.fused), unread
    if recipe.simulate is not None:
        trial = Folder(room / "simulated", folder.owner, run.file)
        with run.step("Simulating the scene") as bar:
            take_in(recipe, CubeStore(trial.cubes), trial.owner, run.near, bar.at)
        return fusing.draft(recipe, fusing.cubes_of(trial), trial, run.near, trial.fused), trial
    raise PlanError(
        f"recipe {run.file}",
        expected="scenes that have become cubes",
        got="cubes of other scenes or settings" if folder.cubes.exists() else "none yet",
        mend="'stsfusion run --dry-run' says which scenes are chosen, and which dates would be ingested; a "
        "run makes cubes of them first.",
    )


def _timed(run: RecipeRun, draft: Draft, there: Folder, room: Path) -> tuple[float, Factors | None]:
    """Seconds of the tile in the middle, in this process, and what a compact series of it would share."""
    if not there.cubes.exists():
        draft, there = _cut_out(run, draft, room)
    plan = draft.plan
    fit = run.recipe.fit.model_copy(update={"tiles": 1})
    with run.step("Timing a tile"):
        method = fusing.fit(plan, run.recipe.model_copy(update={"fit": fit}), room / "weights", _silent)
        middle = plan.tiles[len(plan.tiles) // 2]
        made = replace(plan, method=method, output=room / "tile.zarr")
        shard = run.recipe.fuse.shard_size
        factors = factors_for(made, run.recipe.fuse.product, shard)
        spec = fusing.frame(draft.assembly, made, shard, {}, method.card.sigma, factors)
        CubeStore(made.output).create("", spec)
        record = run_tile(made, middle)
    return record.read_s + record.fuse_s + record.write_s, factors


def _cut_out(run: RecipeRun, draft: Draft, room: Path) -> tuple[Draft, Folder]:
    """The user's own cubes around the tile in the middle, read into a store."""
    tile = draft.plan.tiles[len(draft.plan.tiles) // 2]
    recipe = run.recipe.model_copy(update={"area": Area(bounds=draft.assembly.grid.crop(tile.padded).bounds)})
    trial = Folder(room / "cut", run.folder.owner, run.file)
    with run.step("Reading a tile") as bar:
        take_in(recipe, CubeStore(trial.cubes), trial.owner, run.near, bar.at)
    return fusing.draft(recipe, fusing.cubes_of(trial), trial, run.near, trial.fused), trial


def _last(folder: Folder) -> float | None:
    """Seconds of a tile in the last run."""
    tiles = folder.marks().get("fuse", {}).get("tiles", {})
    if not tiles.get("tiles"):
        return None
    return float(tiles["read_s"] + tiles["fuse_s"] + tiles["write_s"]) / int(tiles["tiles"])


def _silent(done: float, what: str) -> None:
    """Nobody watches."""
