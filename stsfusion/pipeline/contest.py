"""Contest: methods on one question, each in a process of its own; rows that are done are kept.

::

    stage.problem ─ question ─► a fresh process each ─► answer ─► stage.judge ─► rows
         └───────── truth, never handed out ────────────────────────┘
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from stsfusion.errors import StsfusionError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod, Tick
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.trial import Trial, attempt

__all__ = ["COST", "Keepsake", "Stage", "Table", "Watch", "contest", "default_cache", "failures", "keep"]
__all__ += ["nothing", "unwatched"]

COST = ("fit_s", "fuse_s", "peak_mb")
"""What a method took: seconds to fit and to fuse, MiB above its process's own."""

Watch = Callable[[str, float, str], None]
"""Called with the method as it was written, the share that is done (0 to 1) and a few words."""

Row = dict[str, Any]
"""Plain JSON."""

Table = dict[str, Any]
"""`rows` of one method, and whatever else its judge says; plain JSON."""

Keepsake = Callable[[Trial], Mapping[str, Any]]
"""What else is kept of a trial beside what its judge says, as plain JSON."""


class Stage(Protocol):
    """A question, and how an answer to it is judged."""

    @property
    def problem(self) -> Problem:
        """What is asked; its truth never leaves this process."""
        ...

    @property
    def said(self) -> Row:
        """What stands beside the figures: protocol, truth, version."""
        ...

    @property
    def blank(self) -> Row:
        """The row of a method that gave no answer, without its error."""
        ...

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's table depends on."""
        ...

    def judge(self, answer: Answer) -> Table:
        """The scores; raises ProblemError for an answer that cannot be scored."""
        ...


def unwatched(method: str, done: float, what: str) -> None:
    """The Watch of those who do not look."""


def nothing(trial: Trial) -> Mapping[str, Any]:
    """Keep nothing else of a trial."""
    return {}


def default_cache() -> Path:
    """Where rows are kept unless told otherwise: the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "stsfusion" / "bench"


def contest(
    stage: Stage,
    entrants: Mapping[str, FusionMethod],
    cache: Path,
    watch: Watch = unwatched,
    keepsake: Keepsake = nothing,
) -> Iterator[tuple[str, Table]]:
    """Each method as it was written, with its table.

    A method that fails gets a row with `error` and the others go on. Tables of the cache are taken from
    there, so that a run that was cut off is resumed, and so is a training that was; failures are not kept.
    """
    for text, method in entrants.items():
        table = _table(stage, method, cache, partial(watch, text), keepsake)
        yield text, table
        watch(text, 1.0, "failed" if "error" in table["rows"][0] else "done")


def failures(rows: Sequence[Row]) -> list[str]:
    """The methods that failed, as they were written; a run is a success when there are none."""
    return [row["method"] for row in rows if "error" in row]


def _table(stage: Stage, method: FusionMethod, cache: Path, tick: Tick, keepsake: Keepsake) -> Table:
    """From the cache, or from a trial that is then kept; failures are not."""
    key = stage.key(method)
    kept, learning = cache / f"{key}.json", cache / f"{key}.partial"
    known = _recall(kept)
    if known is not None:
        return known
    try:
        table = _compete(stage, method, tick, learning, keepsake)
    except StsfusionError as error:
        return {"rows": [{**stage.blank, **dict.fromkeys(COST), "error": str(error)}]}
    keep(kept, table)
    shutil.rmtree(learning, ignore_errors=True)
    return table


def _compete(stage: Stage, method: FusionMethod, tick: Tick, learning: Path, keepsake: Keepsake) -> Table:
    """Try the method in a process of its own and judge what it gives back."""
    tick(0.0, "starting")
    trial = attempt(stage.problem.question(), settings_of(method), tick, learning)
    tick(0.95, "scoring")
    table = stage.judge(trial.answer)
    cost = {name: round(getattr(trial, name), 3) for name in COST}
    return {**table, "rows": [{**row, **cost} for row in table["rows"]], **keepsake(trial)}


def _recall(path: Path) -> Table | None:
    """A table of the cache; None when it is not there or was damaged."""
    try:
        table: Table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return table


def keep(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.partial")
    unfinished.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
