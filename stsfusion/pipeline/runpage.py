"""Run page: how the tiles of a run went: how fast, on how many workers, what they left out, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stsfusion.pipeline.facts import Rows
from stsfusion.pipeline.folder import Folder
from stsfusion.running.ledger import Ledger

__all__ = ["TileEnds", "tile_ends", "tile_lines", "troubles"]

_LISTED = 50
"""Tiles that a list names at most."""

_PLACE = re.compile(r"t(\d+)-(\d+)\.y(\d+)-(\d+)\.x(\d+)-(\d+)")

_EMPTY = "nothing valid came out: no input reaches it, or all of it is masked there"


@dataclass(frozen=True)
class TileEnds:
    """How each tile ended, as the ledger knows it."""

    records: tuple[Mapping[str, Any], ...] = ()
    """What each finished tile noted: key, read_s, fuse_s, write_s, valid, worker."""

    failures: Mapping[str, str] | None = None
    """Why each failed tile failed."""

    left: int = 0
    """Tiles that were planned and not tried to the end."""

    @property
    def empty(self) -> list[str]:
        """Finished tiles without a valid pixel."""
        return [str(record["key"]) for record in self.records if not record["valid"]]

    @property
    def valid(self) -> float | None:
        """Share of the written pixels that hold data, each tile by its size; None where no tile is known."""
        sizes = [_size(str(record["key"])) for record in self.records]
        shares = [float(record["valid"]) for record in self.records]
        whole = sum(sizes)
        return sum(s * v for s, v in zip(sizes, shares, strict=True)) / whole if whole else None


def tile_ends(folder: Folder) -> TileEnds:
    """What the ledger of a folder knows of the series that was published last."""
    fingerprint = folder.marks().get("fuse", {}).get("fingerprint")
    if fingerprint is None or not folder.ledger.exists():
        return TileEnds()
    with Ledger.open(folder.ledger, fingerprint, readonly=True) as ledger:
        return TileEnds(tuple(ledger.records()), ledger.failures(), ledger.summary()["planned"])


def tile_lines(tiles: Mapping[str, Any], ends: TileEnds) -> dict[str, str]:
    """Facts about the tiles, each with its unit, by what they are.

    Parameters
    ----------
    tiles
        Sums over the tiles, as `words.tile_facts` makes them.
    """
    busy = float(tiles["read_s"]) + float(tiles["fuse_s"]) + float(tiles["write_s"])
    count, workers = int(tiles["tiles"]), max(1, int(tiles["workers"]))
    failed, empty = len(ends.failures or {}), len(ends.empty)
    said = {
        "tiles": f"{count} done, {failed} failed, {ends.left} left, {empty} of the done without data",
        "size": f"{tiles['size']}, read with {tiles['halo']} more on each side",
        "workers": f"{workers}",
        "speed": _speed(count, busy, workers),
        "seconds summed": f"reading {_seconds(tiles['read_s'])}, fusing {_seconds(tiles['fuse_s'])}, "
        f"writing {_seconds(tiles['write_s'])}",
        "peak memory": f"{float(tiles['peak_mb']):.0f} MiB of one worker's process, of which "
        f"{float(tiles['grown_mb']):.0f} MiB came with its tiles",
        "valid share": _valid(tiles, ends),
    }
    longest = max(ends.records, key=_time, default=None)
    if longest is not None:
        said["longest tile"] = f"{longest['key']}, {_seconds(_time(longest))}"
    return said


def troubles(ends: TileEnds) -> list[Rows]:
    """Lists of the tiles that failed or gave nothing; none where all went well."""
    failed = [(key, " ".join(why.split())) for key, why in (ends.failures or {}).items()]
    empty = [(key, _EMPTY) for key in ends.empty]
    named = (("Tiles that failed", failed), ("Tiles without data", empty))
    return [Rows(title, ("tile", "why"), "hw", _shortened(lines)) for title, lines in named if lines]


def _shortened(lines: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    more = len(lines) - _LISTED
    return (*lines[:_LISTED], *([("…", f"and {more} more")] if more > 0 else []))


def _speed(count: int, busy: float, workers: int) -> str:
    if not count or busy <= 0:
        return "–"
    rate = count * workers / busy
    shown = f"{rate:.1f} tiles per second" if rate >= 1 else f"{rate:.3f} tiles per second"
    return f"{shown} while all workers are busy; a tile takes {_seconds(busy / count)}"


def _valid(tiles: Mapping[str, Any], ends: TileEnds) -> str:
    share = ends.valid
    if share is None:
        return f"{100 * float(tiles['valid']):.1f} % (mean over tiles)"
    shares = [100 * float(record["valid"]) for record in ends.records]
    if len(shares) == 1:
        return f"{100 * share:.1f} % of the pixels that were written"
    spread = f"by tile {min(shares):.1f} to {max(shares):.1f} %"
    return f"{100 * share:.1f} % of the pixels that were written; {spread}"


def _time(record: Mapping[str, Any]) -> float:
    return float(record["read_s"] + record["fuse_s"] + record["write_s"])


def _size(key: str) -> int:
    """Pixels times dates of a tile, from its name; 1 where it has another kind of name."""
    found = _PLACE.fullmatch(key)
    if found is None:
        return 1
    t0, t1, y0, y1, x0, x1 = map(int, found.groups())
    return (t1 - t0) * (y1 - y0) * (x1 - x0)


def _seconds(value: Any) -> str:
    seconds = float(value)
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"
