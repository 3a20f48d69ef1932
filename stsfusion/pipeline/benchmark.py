"""Benchmark: methods on a simulated question whose truth is known, the engine behind `stsfusion bench sts`.

::

    truth.nc ─ simulate ─► problem ─ question ─► a fresh process each ─► answer ─► scores ─► rows
                              └───────── truth, never handed out ───────────────────┘
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stsfusion.errors import StsfusionError
from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.weights import settings_of
from stsfusion.methods import create
from stsfusion.pipeline.shorthand import settings_from
from stsfusion.pipeline.stage import METRICS, Stage
from stsfusion.pipeline.trial import attempt
from stsfusion.pipeline.truth import read_truth

__all__ = ["COST", "Watch", "bench_sts", "default_cache", "failures", "unwatched"]

COST = ("fit_s", "fuse_s", "peak_mb")
"""What a method took: seconds to fit and to fuse, MiB above its process's own."""

Watch = Callable[[str, float, str], None]
"""Called with the method as it was written, the share that is done (0 to 1) and a few words."""

Table = dict[str, list[dict[str, Any]]]
"""`rows` and `per_date` of one method."""


def unwatched(method: str, done: float, what: str) -> None:
    """The Watch of those who do not look."""


def default_cache() -> Path:
    """Where rows are kept unless told otherwise: the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "stsfusion" / "bench"


def bench_sts(
    truth_path: str | Path,
    methods: Sequence[str],
    protocol: Protocol,
    json_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: Watch = unwatched,
) -> dict[str, Any]:
    """Score methods on what a protocol's sensors would have seen of a true series.

    A method that fails gets a row with `error` and the others go on, see `failures`. Rows of the cache are
    taken from there, so that a run that was cut off is resumed.

    Parameters
    ----------
    truth_path
        NetCDF file, see `read_truth`.
    methods
        Names, with settings as in `shorthand`.
    json_path
        Where the result is written, anew after every method; None: nowhere.
    cache_dir
        Folder of the cache; None: `default_cache()`.

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
    stage = Stage(read_truth(truth_path), protocol)
    cache = default_cache() if cache_dir is None else Path(cache_dir)
    result: dict[str, Any] = {"protocol": stage.said, "rows": [], "per_date": []}
    for text, method in entrants.items():
        table = _table(stage, method, text, cache, progress)
        for part, rows in table.items():
            result[part] += [{"method": text, **row} for row in rows]
        progress(text, 1.0, "failed" if "error" in table["rows"][0] else "done")
        if json_path is not None:
            _write(Path(json_path), result)
    return result


def failures(result: Mapping[str, Any]) -> list[str]:
    """The methods that failed, as they were written; a run is a success when there are none."""
    return [row["method"] for row in result["rows"] if "error" in row]


def _table(stage: Stage, method: FusionMethod, text: str, cache: Path, watch: Watch) -> Table:
    """From the cache, or from a trial that is then kept; failures are not."""
    kept = cache / f"{stage.key(method)}.json"
    known = _recall(kept)
    if known is not None:
        return known
    try:
        table = _compete(stage, method, lambda done, what: watch(text, done, what))
    except StsfusionError as error:
        nothing = dict.fromkeys((*METRICS, *COST))
        return {"rows": [{"subset": "all", **nothing, "error": str(error)}], "per_date": []}
    _write(kept, table)
    return table


def _compete(stage: Stage, method: FusionMethod, tick: Callable[[float, str], None]) -> Table:
    """Try the method in a process of its own and judge what it gives back."""
    tick(0.0, "starting")
    trial = attempt(stage.problem.question(), settings_of(method), tick)
    tick(0.95, "scoring")
    scores = stage.judge(trial.answer)
    cost = {name: round(getattr(trial, name), 3) for name in COST}
    return {
        "rows": [{"subset": row.subset, **row.values, **cost} for row in scores.averages],
        "per_date": [
            {"time": time, **row} for time, row in zip(stage.truth.times, scores.to_dates(), strict=True)
        ],
    }


def _recall(path: Path) -> Table | None:
    """A table of the cache; None when it is not there or was damaged."""
    try:
        table: Table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return table


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """As JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
