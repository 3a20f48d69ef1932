"""Tiling: core + halo windows. Whole numbers only; no data, no files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from stsfusion.errors import PlanError
from stsfusion.window import Interval, Window

__all__ = ["Tile", "tiles"]


@dataclass(frozen=True, order=True)
class Tile:
    """One piece of the work: what it writes, and what it must read to do so.

    ::

        padded  +-----------------+     read: core + halo, snapped outward to whole coarse pixels
                |   core +---+    |     written: whole shards, by this tile alone
                |        +---+    |
                +-----------------+
    """

    index: int
    """Place in the order of work, from 0: blocks of dates first, then rows, then columns."""

    core: Window
    """What the tile writes, target pixels; the cores of a scene cover each pixel and date once."""

    padded: Window
    """What the tile reads, target pixels; contains the core, lies inside the scene."""

    @property
    def dates(self) -> Interval:
        """First date the tile writes and the one after the last."""
        return self.core.dates

    @property
    def key(self) -> str:
        """The tile's name by its place, such as `t0-7.y0-384.x384-768`; the same in every run."""
        core = self.core
        return ".".join(
            f"{axis}{a}-{b}" for axis, (a, b) in zip("tyx", (core.dates, core.rows, core.cols), strict=True)
        )

    @property
    def interior(self) -> Window:
        """The core counted from the padded window's corner: the part of an answer that is written."""
        return self.core.within(self.padded)

    def to_json(self) -> str:
        """One line of JSON, about 200 bytes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Tile:
        """The tile that `to_json` wrote.

        Raises
        ------
        PlanError
            When the text is not a tile's.
        """
        try:
            record = json.loads(text)
            return cls(int(record["index"]), _window(record["core"]), _window(record["padded"]))
        except (ValueError, KeyError, TypeError) as error:
            raise PlanError(
                "tile from JSON",
                expected="what Tile.to_json writes",
                got=text[:80],
                mend="Plan the tiles anew.",
            ) from error


def tiles(
    dates: int,
    rows: int,
    cols: int,
    *,
    tile: int = 384,
    shard: int = 384,
    halo: int = 0,
    multiple: int = 1,
    span: int | None = None,
    block: int | None = None,
) -> list[Tile]:
    """Every tile of a scene, in the order of work.

    Parameters
    ----------
    dates, rows, cols
        Size of the scene on the target's grid; rows and cols are whole multiples of `multiple`.
    tile
        Side of a core, target pixels: a whole number of shards. The last ones are cut at the scene's edge.
    shard
        Side of an output shard, target pixels.
    halo
        Context a core needs on every side, target pixels.
    multiple
        Least common multiple of the ratios: padded windows begin and end on coarse pixels of every grid.
    span
        Neighbouring dates needed on either side; None: all dates.
    block
        Dates a tile writes; None: all dates at once.

    Raises
    ------
    PlanError
        When a tile is no whole number of shards, a ratio does not divide the scene, or a size is negative.
    """
    _check(dates, rows, cols, tile, shard, halo, multiple, span, block)
    grid = (dates, rows, cols)
    cores = (
        Window(when, down, across)
        for when in _cut(dates, block or dates)
        for down in _cut(rows, tile)
        for across in _cut(cols, tile)
    )
    reach = dates if span is None else span
    return [
        Tile(i, core, core.pad(halo).snap(multiple).reach(reach).clip(*grid)) for i, core in enumerate(cores)
    ]


def _cut(size: int, step: int) -> Iterator[Interval]:
    return ((start, min(start + step, size)) for start in range(0, size, step))


def _window(record: dict[str, Any]) -> Window:
    (t0, t1), (r0, r1), (c0, c1) = record["dates"], record["rows"], record["cols"]
    return Window((int(t0), int(t1)), (int(r0), int(r1)), (int(c0), int(c1)))


def _check(
    dates: int,
    rows: int,
    cols: int,
    tile: int,
    shard: int,
    halo: int,
    multiple: int,
    span: int | None,
    block: int | None,
) -> None:
    """Refuse what cannot be cut, each with its mend."""
    sizes = {"dates": dates, "rows": rows, "cols": cols, "tile": tile, "shard": shard, "multiple": multiple}
    if block is not None:
        sizes["block"] = block
    for name, size in sizes.items():
        if size < 1:
            raise PlanError(
                f"tiling, '{name}'", expected="at least 1", got=str(size), mend="Give a positive number."
            )
    for name, reach in {"halo": halo, "span": span or 0}.items():
        if reach < 0:
            raise PlanError(
                f"tiling, '{name}'", expected="0 or more", got=str(reach), mend="Give 0 for no context."
            )
    if tile % shard:
        fits = max(tile // shard, 1) * shard
        raise PlanError(
            "tiling, 'tile'",
            expected=f"a whole number of shards of {shard} pixels",
            got=f"{tile} pixels",
            mend=f"Use tile {fits}, or a store whose shards divide {tile}: one shard must have one writer.",
        )
    if rows % multiple or cols % multiple:
        whole = tuple(-(-size // multiple) * multiple for size in (rows, cols))
        raise PlanError(
            "tiling, scene",
            expected=f"rows and columns in whole multiples of {multiple}, so that every ratio nests",
            got=f"{rows} × {cols}",
            mend=f"Pad the base grid to {whole[0]} × {whole[1]}.",
        )
