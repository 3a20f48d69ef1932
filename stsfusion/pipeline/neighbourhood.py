"""Neighbourhood: from which dates each date of a series is made, and the tiles that keep to it.

::

    sharp   s . . . . . s . .          the date asked for, and of every sensor the nearest dates
    dense   d d d d d d d d d          before and after it: all that lies between counts
                ^
            [-----------]

A new date changes those in whose neighbourhood it lies, and no others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from stsfusion.engine.plan import Plan, Source
from stsfusion.running.tiling import Tile
from stsfusion.window import Interval, Window

__all__ = ["cut", "intervals"]


def intervals(
    time: int, sources: Sequence[Source], span: int | None, neighbours: int | None
) -> tuple[Interval, ...]:
    """For each date the first date that it is made from, and the one after the last.

    Parameters
    ----------
    time
        Number of dates.
    sources
        What was seen on which of them.
    span
        Dates on either side that the method asks for; None: all.
    neighbours
        Dates of each sensor on either side that are asked for in its place; None: the method's own.
    """
    if neighbours is not None:
        return tuple(_around(date, sources, neighbours) for date in range(time))
    reach = time if span is None else span
    return tuple((max(0, date - reach), min(time, date + reach + 1)) for date in range(time))


def _around(date: int, sources: Sequence[Source], neighbours: int) -> Interval:
    first, last = date, date
    for source in sources:
        before = source.dates[: bisect_left(source.dates, date)][-neighbours:] if neighbours else ()
        after = source.dates[bisect_right(source.dates, date) :][:neighbours]
        first, last = min((first, *before)), max((last, *after))
    return first, last + 1


def cut(plan: Plan, around: Sequence[Interval], dates: Collection[int] | None = None) -> Plan:
    """The plan with tiles that write these dates alone, each from its own neighbourhood.

    Parameters
    ----------
    plan
        Its tiles cover the area, whichever dates they write.
    around
        As `intervals` gives them.
    dates
        Of the target, those to be written; None: all that are published.
    """
    chosen = sorted(plan.written if dates is None else dates)
    whole = (0, plan.target.shape[0])
    if dates is None and all(interval == whole for interval in around):
        return plan
    places = {(tile.core.rows, tile.core.cols): tile.padded for tile in plan.tiles}
    tiles = [
        Tile(0, Window(run, *core), Window(around[run[0]], padded.rows, padded.cols))
        for run in _runs(chosen, plan.written, around)
        for core, padded in places.items()
    ]
    return replace(plan, tiles=tuple(replace(tile, index=at) for at, tile in enumerate(tiles)))


def _runs(chosen: Sequence[int], written: Sequence[int], around: Sequence[Interval]) -> Iterator[Interval]:
    """Chosen dates that follow each other and are made from the same dates, each run as an interval."""
    place = {date: at for at, date in enumerate(written)}
    begun: list[int] = []
    for date in chosen:
        if begun and (place[date] != place[begun[-1]] + 1 or around[date] != around[begun[0]]):
            yield begun[0], begun[-1] + 1
            begun = []
        begun.append(date)
    if begun:
        yield begun[0], begun[-1] + 1
