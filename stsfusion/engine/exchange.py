"""Exchange: labelled cube windows in, Problem out; Answer in, shards out. The only file that knows both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Plan, Source
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.problem import Observation, Problem, Role, Target
from stsfusion.running.tiling import Tile
from stsfusion.window import Window

__all__ = ["Written", "checksum", "read", "read_window", "write"]


@dataclass(frozen=True)
class Written:
    """What one tile left in the output."""

    valid: float
    """Share of its pixels and dates that hold data."""

    checksum: str
    """Over the bytes of its shards."""


def read(plan: Plan, tile: Tile) -> Problem:
    """The problem of a tile: its core and its halo."""
    return read_window(plan, tile.padded)


def read_window(plan: Plan, window: Window) -> Problem:
    """The problem of any window of the target, edges on multiples of every ratio.

    Its days are counted as the plan counts them, so that what was learned by days holds in every window. A
    role that saw none of the window's dates is absent.
    """
    store = CubeStore(plan.inputs)
    time, rows, cols = window.shape
    shape = (time, plan.target.shape[1], rows, cols)
    days = plan.target.days[slice(*window.dates)]
    target = Target(shape, plan.target.wavelengths, days)
    seen: dict[Role, Observation | None] = {
        source.role: _observe(store, source, window, shape) for source in plan.sources
    }
    return Problem(target).with_observations(seen)


def _observe(
    store: CubeStore, source: Source, window: Window, shape: tuple[int, int, int, int]
) -> Observation | None:
    first, last = window.dates
    own = [i for i, date in enumerate(source.dates) if first <= date < last]
    if not own:
        return None
    place = Window((own[0], own[-1] + 1), window.rows, window.cols).coarsen(source.ratio)
    values, valid = store.read(source.cube, place)
    view = source.view(shape, [source.dates[i] - first for i in own])
    noise = None if source.noise is None else torch.from_numpy(source.noise).float()
    return Observation(torch.from_numpy(values), torch.from_numpy(valid), view, noise)


def write(plan: Plan, tile: Tile, answer: Answer, dead: torch.Tensor | None = None) -> Written:
    """Write the tile's own shards, date by date, so that a factored answer is never expanded whole.

    Parameters
    ----------
    dead
        (band,) bool: bands of which nothing is known here; they become gaps. None: all are known.
    """
    store = CubeStore(plan.output)
    _, _, down, across = tile.interior.slices
    shares = []
    for date in _dates(plan, tile):
        k, out = date - tile.padded.dates[0], plan.written.index(date)
        quality = answer.quality[k, 0, down, across].cpu().numpy()
        values = answer.date(k)[:, down, across].float().cpu().numpy()
        valid = np.isfinite(values) & (quality != int(Quality.NO_DATA))
        if dead is not None:
            valid &= ~dead.cpu().numpy()[:, None, None]
        sigma = None if answer.sigma is None else _sigma(answer, k)[:, down, across].cpu().numpy()[None]
        place = Window((out, out + 1), tile.core.rows, tile.core.cols)
        store.write("", place, values[None], valid[None], qa=quality[None], sigma=sigma)
        shares.append(float(valid.mean()))
    return Written(float(np.mean(shares)) if shares else 0.0, checksum(plan, tile))


def checksum(plan: Plan, tile: Tile, *, staged: bool = True) -> str:
    """sha256 of the bytes that a tile's shards hold now, in a series being made or in a published one."""
    outs = [plan.written.index(date) for date in _dates(plan, tile)]
    dates = (outs[0], outs[-1] + 1) if outs else (0, 0)
    return CubeStore(plan.output).checksum("", Window(dates, tile.core.rows, tile.core.cols), staged=staged)


def _dates(plan: Plan, tile: Tile) -> list[int]:
    """The tile's dates that are published."""
    return [date for date in range(*tile.core.dates) if date in plan.written]


def _sigma(answer: Answer, k: int) -> torch.Tensor:
    assert answer.sigma is not None
    return answer.sigma.expand(answer.shape)[k].float()
