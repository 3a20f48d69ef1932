"""Need: what a plan will take of memory and disk. What cannot do is refused before any work starts."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from stsfusion.engine.plan import Plan
from stsfusion.errors import PlanError
from stsfusion.running.tiling import tiles
from stsfusion.window import Interval, Window

__all__ = ["Need", "largest_tile", "need_of", "overlapped", "refuse_if_no_room", "refuse_if_too_large"]

_PROCESS = 500 * 2**20
"""Bytes of a worker that has imported torch and opened the stores, before it reads a tile."""

_WRITING = 4
"""Times the bytes of one date's target that are held while it is expanded, packed and written."""


@dataclass(frozen=True)
class Need:
    """What a plan will take."""

    memory: int
    """Bytes of one worker at its peak."""

    disk: int
    """Bytes of the output at most (before compression)."""

    tiles: int
    """Number of tiles."""

    read: int
    """Bytes of pixels that all tiles read, halos included."""


def need_of(plan: Plan) -> Need:
    """Memory, disk and bytes read, from shapes alone."""
    windows = [tile.padded for tile in plan.tiles]
    _, band, rows, cols = plan.target.shape
    sigma = 2 * band if plan.method.card.sigma else 0
    packed = len(plan.written) * rows * cols * (2 * band + sigma + 3)
    read = sum(2 * _values(plan, window.dates, _area(window)) for window in windows)
    memory = max((_memory(plan, window.dates, _area(window)) for window in windows), default=_PROCESS)
    return Need(memory, packed, len(windows), read)


def overlapped(plan: Plan, *, budget: int | None, workers: int) -> Plan:
    """The plan with the next tile read and the last one written beside the one that is fused, if that fits.

    Parameters
    ----------
    plan
        What is to run.
    budget, workers
        See `refuse_if_too_large`.
    """
    beside = replace(plan, overlap=True)
    return beside if need_of(beside).memory <= _allowed(budget, workers) else plan


def _allowed(budget: int | None, workers: int) -> int:
    """Bytes that one worker may use."""
    return int(psutil.virtual_memory().available) // workers if budget is None else budget


def _area(window: Window) -> int:
    return math.prod(window.shape[1:])


def _memory(plan: Plan, dates: Interval, area: int) -> int:
    """Bytes of a worker with a tile that reads so many target pixels on these dates: float32 and masks.

    Where tiles overlap, the next one is there as it lies in the store, two bytes a value, and the last one's
    answer, which is no larger than its method's peak, a date of it being written.
    """
    time, band = dates[1] - dates[0], plan.target.shape[1]
    seen, date = _values(plan, dates, area), 4 * band * area
    fused = plan.method.peak((time, band, area, 1), plan.geometry)
    answer = min(fused, time * date) + _WRITING * date
    if plan.overlap:
        return int(_PROCESS + fused + 5 * seen + answer + 2 * seen)
    return int(_PROCESS + max(fused + 5 * seen, answer))


def _values(plan: Plan, dates: Interval, area: int) -> int:
    """Observed values of all roles on these dates (indices) of so many target pixels."""
    own, (first, last) = plan.target.shape[1], dates
    return sum(
        sum(first <= date < last for date in s.dates)
        * (own if s.spectral is None else len(s.spectral))
        * area
        // s.ratio**2
        for s in plan.sources
    )


def refuse_if_too_large(plan: Plan, *, budget: int | None, workers: int, shard: int) -> Need:
    """The plan's needs, or a refusal of its memory with the numbers and a tile that fits.

    Parameters
    ----------
    plan
        What is to run.
    budget
        Bytes that one worker may use; None: its share of the memory that is free now.
    workers
        Processes that run at once.
    shard
        Side of an output shard, pixels: a smaller tile is a multiple of it.

    Raises
    ------
    PlanError
        When memory cannot do.
    """
    need = need_of(plan)
    allowed = _allowed(budget, workers)
    if need.memory > allowed:
        side = max(plan.tiles[0].core.shape[1:])
        raise PlanError(
            f"tiles of {side} pixels with a halo of {plan.method.halo(plan.geometry)}",
            expected=f"at most {_gb(allowed)} in each of {workers} worker(s)",
            got=f"{_gb(need.memory)} ({_multiple(plan):.2g} times the tile's target of"
            f" {_longest(plan)} dates × {plan.target.shape[1]} bands, its inputs, and the process)",
            mend=_smaller(plan, allowed, shard),
        )
    return need


def refuse_if_no_room(output: Path, disk: int, *, spare: int = 0, measured: bool = False) -> None:
    """Refuse an output of so many bytes where there is no room for it.

    Parameters
    ----------
    spare
        Bytes that come free before it is written.
    measured
        Whether what is written of it already tells how many bytes the rest takes; else they are counted
        before compression.

    Raises
    ------
    PlanError
        With what is free.
    """
    free = shutil.disk_usage(_existing(output)).free + spare
    known = "by what is written already" if measured else "before compression"
    if disk > free:
        raise PlanError(
            f"output {output}",
            expected=f"room for {_size(disk)} ({known})",
            got=f"{_size(free)} free",
            mend="Free some disk, ask for fewer dates or a smaller area, or write elsewhere with 'output:'.",
        )


def _smaller(plan: Plan, allowed: int, shard: int) -> str:
    """The largest tile that would fit, in words."""
    multiple = plan.geometry.multiple
    side = max(plan.tiles[0].core.shape[1:])
    whole = range((side - 1) // shard * shard, 0, -shard)
    parts = range((min(shard, side) - 1) // multiple * multiple, 0, -multiple)
    for smaller in (*whole, *parts):
        need = _largest(plan, smaller)
        if need <= allowed:
            also = "" if smaller % shard == 0 else f" and 'shard: {smaller}'"
            return f"Use 'tile: {smaller}'{also}, which needs {_gb(need)}, or a larger 'budget:'."
    least = _largest(plan, multiple)
    return f"No tile fits; give at least {_gb(least)} with 'budget:', or choose a method that needs less."


def largest_tile(plan: Plan, *, budget: int | None, workers: int, shard: int) -> int:
    """Side of the largest tiles, whole shards, that fit, the next one read and the last one written beside.

    Where not even one shard fits, that one: `refuse_if_too_large` says what can be done.

    Parameters
    ----------
    plan
        In tiles of any size.
    budget, workers, shard
        See `refuse_if_too_large`.
    """
    beside, allowed = replace(plan, overlap=True), _allowed(budget, workers)
    most = math.ceil(max(plan.target.shape[2:]) / shard) * shard
    return next((side for side in range(most, shard, -shard) if _largest(beside, side) <= allowed), shard)


def _multiple(plan: Plan) -> float:
    """Peak of the method in multiples of a tile's target."""
    time, _, rows, cols = max((tile.padded.shape[0], 0, *tile.padded.shape[1:]) for tile in plan.tiles)
    shape = (time, plan.target.shape[1], rows, cols)
    return plan.method.peak(shape, plan.geometry) / (4 * math.prod(shape))


def _longest(plan: Plan) -> int:
    """Dates that a tile reads at most."""
    return max(tile.padded.shape[0] for tile in plan.tiles)


def _largest(plan: Plan, tile: int) -> int:
    """Bytes of a worker with the tile that needs most, if cores had this side."""
    area = _largest_area(plan, tile)
    return max(_memory(plan, dates, area) for dates in {each.padded.dates for each in plan.tiles})


def _largest_area(plan: Plan, tile: int) -> int:
    """Target pixels that the largest tile would read, if cores had this side."""
    multiple, halo = plan.geometry.multiple, plan.method.halo(plan.geometry)
    return math.prod(
        max(
            one.padded.shape[1]
            for one in tiles(1, size, multiple, tile=tile, shard=tile, halo=halo, multiple=multiple)
        )
        for size in plan.target.shape[2:]
    )


def _gb(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"


def _size(size: float) -> str:
    return _gb(size) if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
