"""Benchmark: methods on a simulated series whose truth is known, the engine behind `stsfusion bench sts`.

::

    truth.nc ─ simulate ─► stage ─ contest ─► rows
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stsfusion.forward.simulate import Protocol
from stsfusion.methods import create
from stsfusion.pipeline.contest import Table, Watch, contest, default_cache, keep, unwatched
from stsfusion.pipeline.shorthand import settings_from
from stsfusion.pipeline.stage import SeriesStage
from stsfusion.pipeline.truth import read_truth

__all__ = ["bench_sts", "told"]


def bench_sts(
    truth_path: str | Path,
    methods: Sequence[str],
    protocol: Protocol,
    json_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: Watch = unwatched,
) -> dict[str, Any]:
    """Score methods on what a protocol's sensors would have seen of a true series.

    Parameters
    ----------
    truth_path
        NetCDF file, see `read_truth`.
    methods
        Names, with settings as in `shorthand`.
    json_path
        Where the result is written, anew after every method; None: nowhere.
    cache_dir
        Folder of rows that are done, see `contest`; None: `default_cache()`.

    Returns
    -------
    dict
        `protocol`, `rows` (method × subset) and `per_date`, all of it plain JSON.

    Raises
    ------
    CubeError, MethodError, SensorError, ProblemError
        Before any work, when truth, methods or protocol cannot be used.
    """
    entrants = {text: create(settings_from(text)) for text in methods}
    stage = SeriesStage(read_truth(truth_path), protocol)
    cache = default_cache() if cache_dir is None else Path(cache_dir)
    return told(stage.said, contest(stage, entrants, cache, progress), json_path)


def told(
    protocol: Mapping[str, Any], tables: Iterable[tuple[str, Table]], json_path: str | Path | None
) -> dict[str, Any]:
    """Tables of methods as one result, written anew after every method where there is a path."""
    result: dict[str, Any] = {"protocol": dict(protocol), "rows": [], "per_date": []}
    for text, table in tables:
        for part, rows in table.items():
            result[part] += [{"method": text, **row} for row in rows]
        if json_path is not None:
            keep(Path(json_path), result)
    return result
