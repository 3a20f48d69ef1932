"""Fusing: from a store of cubes and a recipe to a published series; killed, it goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from xarray import DataArray

from stsfusion import methods
from stsfusion.cube.factors import Factors
from stsfusion.cube.spec import CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.engine.exchange import checksum
from stsfusion.engine.need import Need, largest_tile, need_of, overlapped
from stsfusion.engine.plan import Plan, make_plan, require_roles
from stsfusion.engine.planfile import save_plan
from stsfusion.engine.samples import Samples, sample_windows
from stsfusion.errors import MethodError, PlanError, StoreError
from stsfusion.fusion.method import FusionMethod, Tick
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.fusion.weights import load_state, save_state
from stsfusion.pipeline.assemble import Assembly, assemble, chosen_dates
from stsfusion.pipeline.chosen import chosen
from stsfusion.pipeline.executing import executor_of
from stsfusion.pipeline.fingerprint import fingerprint as digest_of
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.neighbourhood import cut, intervals
from stsfusion.pipeline.ourcode import our_code
from stsfusion.pipeline.product import require_factored
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.reciperun import Orders
from stsfusion.pipeline.worker import fuse_tile
from stsfusion.pipeline.worksections import Fuse
from stsfusion.running.array import Unbegun
from stsfusion.running.ledger import Ledger
from stsfusion.running.notes import Notes
from stsfusion.running.outcome import Failure, Outcome, Success
from stsfusion.running.progress import Bar
from stsfusion.running.rounds import run_in_rounds

__all__ = ["Draft", "cubes_of", "draft", "executor_of", "fit", "frame", "fuse_tiles"]


@dataclass(frozen=True, eq=False)
class Draft:
    """What would be done, and what all of it would take."""

    assembly: Assembly
    """What is asked, and of whom."""

    plan: Plan
    """The tiles; the method has not learned anything yet."""

    need: Need
    """Memory, disk and bytes read."""


def cubes_of(folder: Folder) -> dict[Role, DataArray]:
    """The input cubes of a folder, lazy, each with its stated noise, and whether it was simulated.

    Raises
    ------
    StoreError
        When a disk has changed their labels so that they cannot be read.
    """
    store = CubeStore(folder.cubes)
    try:
        return {
            role: store.cube(role).assign_attrs(
                noise=store.spec(role).attributes.get("noise"),
                simulated=bool(store.spec(role).attributes.get("simulated", False)),
            )
            for role in ROLES
            if role in store.names()
        }
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(
            f"input {folder.cubes}",
            expected="the cubes as they were made",
            got=f"labels that cannot be read ({' '.join(str(error).split())[:100]})",
            mend="Run the recipe again, which makes them again.",
        ) from error


def draft(recipe: Recipe, cubes: Mapping[Role, DataArray], folder: Folder, near: Path, output: Path) -> Draft:
    """Plan the work on these cubes, without reading a pixel; whether it fits, `room` says.

    Raises
    ------
    PlanError, CubeError, SensorError, RecipeError
        When it cannot be done as asked.
    """
    method = methods.create(recipe.fuse.method)
    require_roles(method, cubes.keys())
    require_factored(method, recipe.fuse.product)
    assembly = assemble(cubes, recipe.roles, near)
    settings = recipe.fuse
    budget, shard = settings.budget_bytes(), settings.shard_size
    workers = settings.workers if settings.executor == "local" else 1
    around = intervals(len(assembly.times), assembly.sources, method.span(), settings.neighbours)

    def planned(tile: int) -> Plan:
        plan = make_plan(
            inputs=folder.cubes,
            output=output,
            sources=assembly.sources,
            target=assembly.target,
            method=method,
            tile=tile,
            shard=shard,
            written=chosen_dates(assembly, settings.dates),
            device=_device(settings),
        )
        return cut(plan, around)

    plan = overlapped(planned(_side(settings, planned)), budget=budget, workers=workers)
    return Draft(assembly, plan, need_of(plan))


def _side(settings: Fuse, planned: Callable[[int], Plan]) -> int:
    """Of a tile, target pixels."""
    if settings.tile is not None:
        return settings.tile
    budget, shard = settings.budget_bytes(), settings.shard_size
    if budget is None:
        raise PlanError(
            "recipe, 'fuse.tile: null'",
            expected="a 'budget:', so that the tiles are the same in every run",
            got="none",
            mend="Say what a worker may use, such as 'budget: 2 GB', or give the tile's side.",
        )
    return largest_tile(planned(shard), budget=budget, workers=1, shard=shard)


def _device(settings: Fuse) -> str:
    name = settings.device
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if settings.elsewhere:
        return name
    try:
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:
        raise PlanError(
            f"device '{name}'",
            expected="a torch device of this machine",
            got=str(error).splitlines()[0],
            mend="Use 'auto' or 'cpu'.",
        ) from error


def fit(plan: Plan, recipe: Recipe, weights: Path, tick: Tick) -> FusionMethod:
    """The method after it has learned from sampled tiles; learned before, it is read from its file."""
    if weights.exists():
        try:
            return load_state(plan.method, weights)
        except MethodError:
            weights.unlink()  # cut short or damaged: learned anew, which gives the same
    chosen = recipe.fit
    windows = sample_windows(plan, count=chosen.tiles, size=chosen.size, seed=chosen.seed)
    fitted = plan.method.fit(Samples(plan, windows), tick)
    save_state(fitted, weights)
    return load_state(plan.method, weights)


def fuse_tiles(
    plan: Plan,
    spec: CubeSpec,
    folder: Folder,
    settings: Fuse,
    fingerprint: str,
    ledger: Ledger,
    bar: Bar,
    orders: Orders | None = None,
) -> Outcome[str]:
    """Fuse every tile that is not done, through the recipe's executor.

    Parameters
    ----------
    plan
        With the fitted method.
    spec
        The output's frame.
    fingerprint
        Of all that the series depends on.
    ledger
        Where the ends of tiles are kept.
    bar
        Of as many steps as there are tiles.
    orders
        Which tiles are fused if they are not done; None: all.
    """
    store = CubeStore(plan.output)
    store.create("", spec, owner=folder.owner)
    plan = replace(plan, begun=store.begun())
    folder.ready.unlink(missing_ok=True)
    save_plan(plan, folder.plan, our_code(plan.method))
    write_text(folder.ready, fingerprint)
    tiles = {tile.key: tile for tile in plan.tiles}
    keys = list(tiles)
    ledger.plan(keys)
    _take_over(folder, fingerprint, ledger, tiles)
    only = chosen(orders or Orders(), ledger.failures())

    def now(key: str) -> str:
        return checksum(plan, tiles[key])

    done = ledger.still_done(now)
    left = [key for key in keys if key not in done and (only is None or key in only)]
    left.sort(key=ledger.failures().__contains__)  # one that hung does not hold the others up again
    bar.advance(len(done), f"{len(done)} were done before" if done else "")

    def ended(key: str, end: Success[dict[str, Any]] | Failure) -> None:
        ledger.record(key, end)
        bar.advance(int(key not in done), key if isinstance(end, Success) else f"{key} failed: {end.kind}")
        done.add(key)

    work = partial(fuse_tile, str(folder.plan.resolve()), _stamp(fingerprint, plan))
    executor = Unbegun() if settings.prepares else executor_of(settings, folder.jobs, bar.say)
    outcome = run_in_rounds(executor, work, left, ended, ledger, now)
    if outcome.interrupted:
        bar.stopped()
    return outcome


def _stamp(series: str, plan: Plan) -> str:
    """Tells a plan from all that a worker may hold, of the same series too: with other tiles, elsewhere."""
    return digest_of(series, str(plan.output), plan.begun, [tile.key for tile in plan.tiles])


def _take_over(folder: Folder, fingerprint: str, ledger: Ledger, tiles: Collection[str]) -> None:
    """Enter what workers of an array noted into the ledger, and put their notes away."""
    known = {record["key"] for record in ledger.records()}
    for key, (end, clock) in Notes(folder.notes(fingerprint)).ended().items():
        if key in tiles and key not in known:
            ledger.record(key, end, clock)
    shutil.rmtree(folder.notes(), ignore_errors=True)


def frame(
    assembly: Assembly,
    plan: Plan,
    shard: int,
    attributes: dict[str, Any],
    sigma: bool,
    factors: Factors | None = None,
) -> CubeSpec:
    """The frame of the published series; with factors, of a compact one."""
    times = milliseconds(assembly.times)[list(plan.written)]
    fwhm = tuple(assembly.fwhm.tolist()) if not any(assembly.fwhm != assembly.fwhm) else None
    return CubeSpec(
        assembly.grid,
        tuple(times.tolist()),
        assembly.names,
        tuple(plan.target.wavelengths.tolist()),
        fwhm,
        shard=shard,
        inner=_inner(shard),
        sigma=sigma if factors is None else factors.anchors is not None,
        attributes=attributes,
        factors=factors,
    )


def _inner(shard: int) -> int:
    """The side of an inner chunk: 96 where that divides the shard, else its largest divisor below."""
    return next(side for side in range(min(96, shard), 0, -1) if shard % side == 0)
