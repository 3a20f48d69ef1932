"""Words: what a run tells of itself, to people and to the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stsfusion.engine.plan import Plan
from stsfusion.fusion.method import FusionMethod
from stsfusion.pipeline.facts import Phase
from stsfusion.pipeline.fusing import Draft

__all__ = ["duration", "failures", "made_from_all", "phases", "promise", "size", "tile_facts", "unfinished"]


def duration(seconds: float) -> str:
    """'3 min 20 s'."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """'1.5 GiB', '24 MiB'."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def promise(draft: Draft, neighbours: int | None) -> str:
    """What a run would do, with what memory and disk."""
    plan, need = draft.plan, draft.need
    dates, band, rows, cols = plan.target.shape
    core = plan.tiles[0].core.shape
    return "\n".join(
        [
            f"Would fuse {dates} dates × {band} bands × {rows} × {cols} pixels "
            f"of {draft.assembly.grid.pixel:g} m with '{plan.method.card.name}',",
            f"and publish {len(plan.written)} of the dates.",
            f"tiles    {need.tiles} of {core[1]} × {core[2]} pixels, halo {plan.method.halo(plan.geometry)}",
            f"memory   {size(need.memory)} a worker",
            f"reading  {size(need.read)} with halos, before compression",
            f"disk     {size(need.disk)} at most",
            *made_from_all(plan.method, neighbours),
        ]
    )


def made_from_all(method: FusionMethod, neighbours: int | None) -> list[str]:
    """What an update costs where every date is made from all dates; nothing where it is not."""
    if neighbours is not None or method.span() is not None:
        return []
    return [
        "Every date is made from all dates, so that an update with new input makes every date anew; with "
        "'neighbours: 2' in the section 'fuse', each from the two dates of each sensor before and after it."
    ]


def tile_facts(plan: Plan, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over tiles, for the report."""
    core = plan.tiles[0].core.shape
    return {
        "tiles": len(records),
        "size": f"{core[1]} × {core[2]} pixels",
        "halo": plan.method.halo(plan.geometry),
        "workers": len({record["worker"] for record in records}),
        "read_s": round(sum(record["read_s"] for record in records), 3),
        "fuse_s": round(sum(record["fuse_s"] for record in records), 3),
        "write_s": round(sum(record["write_s"] for record in records), 3),
        "peak_mb": round(max((record["peak_bytes"] for record in records), default=0) / 2**20, 1),
        "grown_mb": round(max((record["grown_bytes"] for record in records), default=0) / 2**20, 1),
        "valid": round(sum(record["valid"] for record in records) / max(len(records), 1), 4),
    }


def failures(failed: Mapping[str, str], count: int) -> str:
    """Which tiles failed, and what to do."""
    (key, why), *_ = failed.items()
    return (
        f"{len(failed)} of {count} tiles failed; nothing was published. The first, {key}: {why}\n"
        "Mend the cause and run the same command: finished tiles are kept."
    )


def _many(count: int, what: str) -> str:
    """'1 tile', '2 tiles'."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def unfinished(labels: Sequence[str]) -> str:
    """Which methods of a comparison failed, and what to do."""
    names = ", ".join(dict.fromkeys(labels))
    return (
        f"{len(labels)} rows failed ({names}); the report says why. "
        "The same command tries these again: the others are kept."
    )


def phases(done: Mapping[str, Any]) -> list[Phase]:
    """Seconds and memory of each step, for the report."""
    tiles = done["fuse"]["tiles"]
    summed = (
        f"reading {tiles['read_s']:.1f} s, fusing {tiles['fuse_s']:.1f} s, writing {tiles['write_s']:.1f} s"
    )
    done_by = f"{_many(tiles['tiles'], 'tile')} on {_many(tiles['workers'], 'worker')}"
    words = {
        "cubes": "input cubes",
        "fit": "learning what is global",
        "fuse": f"{done_by}; summed over tiles: {summed}",
        "evaluate": "scores, and the methods compared with",
    }
    return [
        Phase(name, done[name]["seconds"], tiles["peak_mb"] if name == "fuse" else None, said)
        for name, said in words.items()
        if name in done
    ]
