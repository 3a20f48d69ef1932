"""Benchtable: a benchmark on the terminal, while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stsfusion.pipeline.contest import COST, Watch
from stsfusion.pipeline.intervals import INTERVALS, SIGMA_RANK
from stsfusion.pipeline.stage import METRICS
from stsfusion.quality.metrics import metrics

__all__ = ["add_columns", "inside", "number", "scores", "table", "watching"]

_DIGITS = {"sam": 3, "psnr": 2, "ergas": 3, "rmse": 5, "fit_s": 1, "fuse_s": 1, "peak_mb": 1}
_TITLES = {"fit_s": "fit [s]", "fuse_s": "fuse [s]", "peak_mb": "peak [MiB]"}
_BARS = 16
"""Progress bars that are shown at a time."""


def table(result: Mapping[str, Any]) -> Table:
    """All subsets of all methods of `bench sts` and `bench stf`; what failed says why."""
    board = Table(title=_title(result["protocol"]))
    board.add_column("method", overflow="fold")
    board.add_column("dates")
    add_columns(board, METRICS)
    sure = any(INTERVALS[0] in row for row in result["rows"])
    if sure:
        board.add_column("in 90 % (deciles)", justify="right")
        board.add_column("rank of σ", justify="right")
    add_columns(board, COST)
    for method, rows in groupby(result["rows"], key=lambda row: row["method"]):
        for i, row in enumerate(rows):
            board.add_row(Text(method if i == 0 else ""), *_cells(row, i == 0, sure))
        board.add_section()
    return board


def _title(protocol: Mapping[str, Any]) -> str:
    if "predict" in protocol:
        hidden = protocol["times"][protocol["predict"]]
        return f"{protocol['truth']}: {hidden} from '{protocol['coarse']}' and the other dates"
    return f"{protocol['truth']}, simulated sensors, seed {protocol['seed']}"


def _cells(row: Mapping[str, Any], first: bool, sure: bool) -> list[Text]:
    if "error" in row:
        return [Text(row["error"].splitlines()[0], style="red")]
    cost = scores(row, COST) if first else []
    return [Text(row["subset"]), *scores(row, METRICS), *(_honest(row) if sure else []), *cost]


def _honest(row: Mapping[str, Any]) -> list[Text]:
    """How far stated deviations can be trusted: what lies inside, and how they rank errors."""
    return [inside(row), number(row.get(SIGMA_RANK), 2)]


def add_columns(board: Table, names: Sequence[str]) -> None:
    """A column for each metric, with its unit and which way is better, or cost."""
    for name in names:
        board.add_column(Text(_TITLES.get(name) or _headed(name)), justify="right")


def _headed(name: str) -> str:
    metric = metrics()[name]
    arrow = "↑" if metric.direction == "higher" else "↓"
    unit = "" if metric.unit in ("1", "reflectance") else f" [{metric.unit}]"
    return f"{name.upper()}{unit} {arrow}"


def scores(row: Mapping[str, Any], names: Sequence[str]) -> list[Text]:
    """The row's numbers of these names, each with the digits that it deserves."""
    return [number(row[name], _DIGITS.get(name, 4)) for name in names]


def inside(row: Mapping[str, Any]) -> Text:
    """Share of the truth in 90 % intervals, per cent, with the least and the most over deciles of sigma."""
    shares = [row.get(name) for name in INTERVALS]
    if None in shares:
        return number(None, 0)
    middle, low, high = (100 * share for share in shares if share is not None)
    return Text(f"{middle:.1f} ({low:.0f}–{high:.0f})")


def number(value: float | None, digits: int) -> Text:
    """Rounded, or a dash."""
    return Text("–" if value is None else f"{value:.{digits}f}")


@contextmanager
def watching(console: Console | None = None) -> Iterator[Watch]:
    """A Watch that draws one progress bar a method; of very many only the latest."""
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
                for old in list(tasks.values())[:-_BARS]:
                    bars.update(old, visible=False)
            bars.update(tasks[method], completed=done, what=what)

        yield watch
