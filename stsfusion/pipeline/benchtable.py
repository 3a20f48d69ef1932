"""Benchtable: a benchmark on the terminal, while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stsfusion.pipeline.benchmark import COST, Watch
from stsfusion.pipeline.stage import METRICS
from stsfusion.quality.metrics import metrics

__all__ = ["table", "watching"]

_DIGITS = {"sam": 3, "psnr": 2, "ergas": 3, "rmse": 5}
_TITLES = {"fit_s": "fit [s]", "fuse_s": "fuse [s]", "peak_mb": "peak [MiB]"}


def table(result: Mapping[str, Any]) -> Table:
    """All subsets of all methods; what failed says why."""
    protocol = result["protocol"]
    board = Table(title=f"{protocol['truth']}, simulated sensors, seed {protocol['seed']}")
    board.add_column("method", overflow="fold")
    board.add_column("dates")
    for name in METRICS:
        metric = metrics()[name]
        arrow = "↑" if metric.direction == "higher" else "↓"
        unit = "" if metric.unit in ("1", "reflectance") else f" [{metric.unit}]"
        board.add_column(Text(f"{name.upper()}{unit} {arrow}"), justify="right")
    for name in COST:
        board.add_column(Text(_TITLES[name]), justify="right")
    for method, rows in groupby(result["rows"], key=lambda row: row["method"]):
        for i, row in enumerate(rows):
            board.add_row(Text(method if i == 0 else ""), *_cells(row, i == 0))
        board.add_section()
    return board


def _cells(row: Mapping[str, Any], first: bool) -> list[Text]:
    if "error" in row:
        return [Text(row["error"].splitlines()[0], style="red")]
    scores = [_number(row[name], _DIGITS.get(name, 4)) for name in METRICS]
    return [Text(row["subset"]), *scores, *(_number(row[name] if first else None, 1, "") for name in COST)]


def _number(value: float | None, digits: int, absent: str = "–") -> Text:
    return Text(absent if value is None else f"{value:.{digits}f}")


@contextmanager
def watching(console: Console | None = None) -> Iterator[Watch]:
    """A Watch that draws one progress bar a method."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def watch(method: str, done: float, what: str) -> None:
            if method not in tasks:
                tasks[method] = bars.add_task(method, total=1.0, what=what)
            bars.update(tasks[method], completed=done, what=what)

        yield watch
