"""Scores as tables for people: columns with units, and the best value of each marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stsfusion.quality.metrics import metrics

__all__ = [
    "ALONE",
    "Cell",
    "Column",
    "Group",
    "Line",
    "ScoreRow",
    "Table",
    "best",
    "board",
    "columns",
    "costs",
    "day",
]
__all__ += ["flat", "number", "pivot", "text"]

ScoreRow = Mapping[str, object]
"""One row of scores as it stands in scores.json: names in text, values as numbers or None.

Keys that are understood: method, subset, time (ISO) or date, role, the metrics, fit_s, fuse_s, peak_mb,
valid, noise, and error (why there are no values).
"""

SUBSETS = {
    "all": "All dates",
    "observed": "Dates that the hyperspectral sensor observed",
    "missing": "Dates that the hyperspectral sensor missed",
    "coarser": "One scale coarser, the hyperspectral image as truth (Wald's protocol)",
    "hidden": "The same, dates hidden from the hyperspectral and the fine sensor, and asked for",
}

ALONE = ("coarser", "hidden")
"""Subsets that are questions of their own: methods learn and fuse for each."""

UNITS = {"degree": ("°", 2), "dB": ("dB", 2), "reflectance": ("reflectance", 4), "1": ("", 4)}
"""A metric's unit -> how it is shown, and digits after the point."""

TEXTS = ("role", "time", "date", "method", "subset")
"""Keys of texts, in the order in which they lead a row."""


@dataclass(frozen=True)
class Column:
    """What a column of numbers means."""

    key: str
    """Key in the rows."""

    label: str
    """Short name."""

    title: str
    """Name in words."""

    unit: str = ""
    """Unit as it is shown; '' for a plain number."""

    better: str = ""
    """'higher', 'lower', or '' where neither is better."""

    digits: int = 4
    """Digits after the point."""

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return {"higher": "↑", "lower": "↓"}.get(self.better, "")

    def show(self, value: object) -> str:
        """The value with its digits, or a dash."""
        found = number(value)
        return "–" if found is None else f"{found:.{self.digits}f}"


@dataclass(frozen=True)
class Cell:
    """One number of a table."""

    text: str
    """As it is shown."""

    best: bool = False
    """Whether no rival is better at the digits shown."""


@dataclass(frozen=True)
class Line:
    """One row."""

    heads: tuple[str, ...]
    """Leading texts: method, date, role."""

    cells: tuple[Cell, ...]
    """One for each column."""

    note: str = ""
    """Why there are no numbers; stands in their place."""


@dataclass(frozen=True)
class Group:
    """Rows that belong together."""

    title: str
    """Shown above them; '' for none."""

    lines: tuple[Line, ...]
    """The rows."""


@dataclass(frozen=True)
class Table:
    """A table ready to be written."""

    heads: tuple[str, ...]
    """Names of the leading columns."""

    columns: tuple[Column, ...]
    """The columns of numbers."""

    groups: tuple[Group, ...]
    """The body."""


COST = (
    Column("fit_s", "fit", "seconds to learn", "s", "lower", 1),
    Column("fuse_s", "fuse", "seconds to fuse the series", "s", "lower", 1),
    Column("peak_mb", "peak", "most memory above the start", "MiB", "lower", 0),
)

OTHER = (
    Column("valid", "valid", "share of the observed values that could be compared"),
    Column("coverage90", "in 90 %", "share of the truth inside the stated 90 % intervals"),
    Column("noise", "noise", "the sensor's own noise: no answer is asked to come closer", "reflectance"),
)


def columns(rows: Iterable[ScoreRow], *, cost: bool = False) -> tuple[Column, ...]:
    """The columns of numbers that any of the rows has: those of quality, or those of cost.

    Measures stay though no method gave a number; what is told beside them is left out then.
    """
    rows = list(rows)
    keys = {key for row in rows for key in row}
    keys -= {c.key for c in OTHER if all(number(row.get(c.key)) is None for row in rows)}
    quality = tuple(
        Column(key, key.upper(), metric.title, *_unit(metric.unit, metric.direction))
        for key, metric in metrics().items()
    )
    return tuple(column for column in (COST if cost else quality + OTHER) if column.key in keys)


def _unit(unit: str, better: str) -> tuple[str, str, int]:
    shown, digits = UNITS.get(unit, (unit, 4))
    return shown, better, digits


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def text(row: ScoreRow, key: str) -> str:
    """A value as text; '' where there is none."""
    value = row.get(key)
    return "" if value is None else str(value)


def day(row: ScoreRow) -> str:
    """The day of a row as it is shown: of its time, else its date."""
    return text(row, "time")[:10] or text(row, "date")


def best(shown: Sequence[str], better: str) -> list[bool]:
    """Which of the texts are the best number: all that look equal, and none when there is no rival."""
    values = [None if word == "–" else float(word) for word in shown]
    said = [value for value in values if value is not None]
    if len(said) < 2 or not better:
        return [False] * len(shown)
    top = min(said) if better == "lower" else max(said)
    return [value == top for value in values]


def _group(rows: Iterable[ScoreRow], key: Callable[[ScoreRow], str]) -> dict[str, list[ScoreRow]]:
    found: dict[str, list[ScoreRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _lines(rows: Sequence[ScoreRow], own: Sequence[Column]) -> tuple[Line, ...]:
    """A row for each method, the best of each column marked."""
    shown = [[column.show(row.get(column.key)) for row in rows] for column in own]
    marks = [best(texts, column.better) for texts, column in zip(shown, own, strict=True)]
    cells = [[Cell(*pair) for pair in zip(*both, strict=True)] for both in zip(shown, marks, strict=True)]
    return tuple(
        Line((text(row, "method"),), tuple(column[i] for column in cells), text(row, "error"))
        for i, row in enumerate(rows)
    )


def board(rows: Sequence[ScoreRow]) -> Table | None:
    """Methods by metrics, a group for each subset, the best values marked within it; None without rows."""
    own = columns(rows)
    groups = [
        Group(_subset(name), _lines(some, own))
        for name, some in _group(rows, lambda r: text(r, "subset")).items()
    ]
    return Table(("method",), own, tuple(groups)) if rows else None


def _subset(subset: str) -> str:
    """A subset in words; a group of bands, as in 'missing/swir', follows after a comma."""
    name, _, bands = subset.partition("/")
    return SUBSETS.get(name, name) + (f", {bands}" if bands else "")


def costs(rows: Sequence[ScoreRow]) -> Table | None:
    """Methods by time and memory, once a question that was asked; None when nothing was measured."""
    own = columns(rows, cost=True)
    groups = []
    for name, some in _group(rows, _question).items():
        firsts = [each[0] for each in _group(some, lambda row: text(row, "method")).values()]
        groups.append(Group(_subset(name), _lines(firsts, own)))
    return Table(("method",), own, tuple(groups)) if own else None


def _question(row: ScoreRow) -> str:
    """The subset when it was asked for by itself; '' for those that one answer to all dates is scored on."""
    name = text(row, "subset").partition("/")[0]
    return name if name in ALONE else ""


def pivot(rows: Sequence[ScoreRow], key: str) -> Table | None:
    """Dates by methods for one metric, the best method of each date marked; None when it was not measured."""
    metric = next((column for column in columns(rows) if column.key == key), None)
    if metric is None:
        return None
    methods = list(_group(rows, lambda row: text(row, "method")))
    own = tuple(Column(m, m, metric.title, metric.unit, metric.better, metric.digits) for m in methods)
    dates = _group(rows, lambda row: f"{day(row)} {text(row, 'subset')}")
    lines = (_date_line(some, methods, metric) for some in dates.values())
    return Table(("date", "rich sensor"), own, (Group("", tuple(lines)),))


def _date_line(rows: Sequence[ScoreRow], methods: Sequence[str], metric: Column) -> Line:
    values = {text(row, "method"): row.get(metric.key) for row in rows}
    shown = [metric.show(values.get(method)) for method in methods]
    cells = tuple(Cell(*pair) for pair in zip(shown, best(shown, metric.better), strict=True))
    seen = text(rows[0], "subset").replace("missing", "missed")
    return Line((day(rows[0]), seen), cells)


def flat(rows: Sequence[ScoreRow]) -> Table | None:
    """Rows as they are, texts first, for what does not compete; None without rows."""
    if not rows:
        return None
    own = columns(rows)
    keys = {key for row in rows for key in row}
    heads = tuple(head for head in TEXTS if head in keys and not (head == "date" and "time" in keys))
    lines = tuple(
        Line(
            tuple(day(row) if head in ("time", "date") else text(row, head) for head in heads),
            tuple(Cell(column.show(row.get(column.key))) for column in own),
        )
        for row in rows
    )
    return Table(tuple("date" if head == "time" else head for head in heads), own, (Group("", lines),))
