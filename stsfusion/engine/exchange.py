"""Exchange: labelled cube windows in, Problem out; Answer in, shards out. The only file that knows both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from stsfusion.cube.factors import Factors
from stsfusion.cube.store import CubeStore
from stsfusion.engine.factoring import date_maps, require_same
from stsfusion.engine.packed import Packed, Seen
from stsfusion.engine.plan import Plan, Source
from stsfusion.errors import StoreError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.problem import Problem, Target
from stsfusion.operators.linear import Shape
from stsfusion.operators.resample import blocks
from stsfusion.running.tiling import Tile
from stsfusion.window import Window

__all__ = ["Written", "checksum", "dead", "read", "read_window", "unseen", "write"]


@dataclass(frozen=True)
class Written:
    """What one tile left in the output."""

    valid: float
    """Share of its pixels and dates that hold data."""

    checksum: str
    """Over the bytes of its shards."""


def read(plan: Plan, tile: Tile) -> Packed:
    """The question of a tile, its core and its halo, still packed."""
    return _packed(plan, tile.padded)


def read_window(plan: Plan, window: Window, device: str = "cpu") -> Problem:
    """The problem of any window of the target, edges on multiples of every ratio, on a device.

    Its days are counted as the plan counts them, so that what was learned by days holds in every window. A
    role that saw none of the window's dates is absent.
    """
    return _packed(plan, window).problem(device)


def _packed(plan: Plan, window: Window) -> Packed:
    store = CubeStore(plan.inputs)
    time, rows, cols = window.shape
    shape = (time, plan.target.shape[1], rows, cols)
    target = Target(shape, plan.target.wavelengths, plan.target.days[slice(*window.dates)])
    return Packed(target, {s.role: _seen(store, s, window, shape) for s in plan.sources})


def _seen(store: CubeStore, source: Source, window: Window, shape: Shape) -> Seen | None:
    first, last = window.dates
    own = [i for i, date in enumerate(source.dates) if first <= date < last]
    if not own:
        return None
    place = Window((own[0], own[-1] + 1), window.rows, window.cols).coarsen(source.ratio)
    view = source.view(shape, [source.dates[i] - first for i in own])
    return Seen(store.read_counts(source.cube, place), view, source.noise)


def unseen(problem: Problem) -> torch.Tensor:
    """(y, x) bool: ground of which no sensor has a valid band on any date: nothing can be told of it."""
    known = torch.zeros(problem.target.shape[2:], dtype=torch.bool, device=problem.target.days.device)
    for seen in problem.observations.values():
        mask = seen.valid.any(0).any(0).expand(seen.data.shape[2:])
        known = known.to(mask.device) | blocks(mask, seen.ratio)
    return ~known


def dead(problem: Problem) -> torch.Tensor | None:
    """(band,) bool: bands that the sensor that has them lacks while it shows others; None: it lacks none.

    That is the hyperspectral one, or without it another with the target's bands. A tile that it never saw,
    under clouds on all of its dates, has no dead bands: what can be told there is the method's to say.
    """
    bands = list(range(problem.target.shape[1]))
    seen = problem.observations.values()
    lead = next((each for each in seen if each.view.spectral.chosen() == bands), None)
    found = None if lead is None else lead.dead_bands
    return None if found is None or bool(found.all()) else found


def write(
    plan: Plan,
    tile: Tile,
    answer: Answer,
    dead: torch.Tensor | None = None,
    hidden: torch.Tensor | None = None,
) -> Written:
    """Write the tile's own shards, date by date, so that a factored answer is never expanded whole.

    Parameters
    ----------
    dead
        (band,) bool: bands of which nothing is known here; they become gaps. None: all are known.
    hidden
        (y, x) bool, halo included: ground that no sensor saw (see `unseen`); it becomes a gap on every date,
        whatever the method put there. None: all was seen.

    Raises
    ------
    StoreError
        When another series is being written there by now: this worker outlived the run that it served.
    """
    if hidden is not None:
        lacking = hidden.to(answer.quality.device)
        answer = replace(answer, quality=answer.quality.masked_fill(lacking, int(Quality.NO_DATA)))
    store = CubeStore(plan.output)
    _admit(plan, tile, store)
    factors = store.factors("", staged=True)
    if factors is not None:
        require_same(factors, answer, tile)
    lost = np.zeros(answer.shape[1], dtype=bool) if dead is None else dead.cpu().numpy()
    shares = []
    for date in _dates(plan, tile):
        k, out = date - tile.padded.dates[0], plan.written.index(date)
        place = Window((out, out + 1), tile.core.rows, tile.core.cols)
        if factors is None:
            shares.append(_write_bands(store, place, answer, tile, k, lost))
        else:
            shares.append(_write_maps(store, place, answer, tile, k, lost, factors))
    return Written(float(np.mean(shares)) if shares else 0.0, checksum(plan, tile))


def _admit(plan: Plan, tile: Tile, store: CubeStore) -> None:
    """Let a tile be written into the series that its plan was made for."""
    if plan.begun and store.begun() != plan.begun:
        raise StoreError(
            f"tile '{tile.key}' of {plan.output}",
            expected="the series of its plan, being written",
            got="another one, or none",
            mend="Another run has gone on since: this worker served one that ended, and may be ended.",
        )


def _write_bands(
    store: CubeStore, place: Window, answer: Answer, tile: Tile, k: int, lost: np.ndarray
) -> float:
    """Write all bands of one date; the share of values that hold data."""
    _, _, down, across = tile.interior.slices
    quality = answer.quality[k, 0, down, across].cpu().numpy()
    values = answer.date(k)[:, down, across].float().cpu().numpy()
    valid = np.isfinite(values) & (quality != int(Quality.NO_DATA)) & ~lost[:, None, None]
    sigma = answer.sigma_of(k)
    said = None if sigma is None else sigma[:, down, across].float().cpu().numpy()[None]
    store.write("", place, values[None], valid[None], qa=quality[None], sigma=said)
    return float(valid.mean())


def _write_maps(
    store: CubeStore, place: Window, answer: Answer, tile: Tile, k: int, lost: np.ndarray, factors: Factors
) -> float:
    """Write the maps of one date; the share of values that hold data."""
    _, _, down, across = tile.interior.slices
    quality = answer.quality[k, 0, down, across].cpu().numpy()
    kept = date_maps(factors, answer, tile, k)
    store.write_maps(
        "",
        place,
        kept.maps,
        kept.valid,
        residual=kept.residual,
        dead=lost,
        qa=quality[None],
        sigma=kept.sigma,
    )
    return float(kept.valid.mean() * (~lost).mean())


def checksum(plan: Plan, tile: Tile, *, staged: bool = True) -> str:
    """sha256 of the bytes that a tile's shards hold now, in a series being made or in a published one."""
    outs = [plan.written.index(date) for date in _dates(plan, tile)]
    dates = (outs[0], outs[-1] + 1) if outs else (0, 0)
    return CubeStore(plan.output).checksum("", Window(dates, tile.core.rows, tile.core.cols), staged=staged)


def _dates(plan: Plan, tile: Tile) -> list[int]:
    """The tile's dates that are published."""
    return [date for date in range(*tile.core.dates) if date in plan.written]
