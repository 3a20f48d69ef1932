"""Pairboards: a comparison as tables for people: methods by metrics, point spread functions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from stsfusion.pipeline.contest import COST
from stsfusion.pipeline.pairpictures import KINDS
from stsfusion.pipeline.pairstage import SCORES
from stsfusion.pipeline.scoreboard import Cell, Column, Group, Line, best, columns, number
from stsfusion.quality.metrics import metrics

__all__ = ["Span", "Wide", "apart", "beaten", "costs", "firsts", "medians", "scenes"]

Row = Mapping[str, Any]

_INSIDE = {
    "coverage90": ("inside", "share of the truth in the method's own 90 % intervals"),
    "coverage90_low": ("least", "the least such share among tenths of its standard deviation"),
    "coverage90_high": ("most", "the most such share among tenths of its standard deviation"),
}


@dataclass(frozen=True)
class Span:
    """Columns under a heading of their own."""

    title: str
    """The heading."""

    columns: tuple[Column, ...]
    """The columns of numbers."""


@dataclass(frozen=True)
class Wide:
    """A table whose columns are grouped."""

    title: str
    """What it is of."""

    heads: tuple[str, ...]
    """Names of the leading columns."""

    spans: tuple[Span, ...]
    """The columns."""

    groups: tuple[Group, ...]
    """The body; a line's cells go through all spans."""


def scenes(rows: Sequence[Row]) -> list[Wide]:
    """One table a scene: every metric under every point spread function, nothing left out."""
    return [_table(scene, [row for row in rows if row["scene"] == scene]) for scene in _values(rows, "scene")]


def medians(rows: Sequence[Row]) -> Wide | None:
    """The same over all scenes, each number a median; None for a single scene."""
    names = _values(rows, "scene")
    if len(names) < 2:
        return None
    return _table(f"Medians over {len(names)} scenes", _middles(rows, SCORES))


def _middles(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """A row for each point spread function and method, with medians over the scenes."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["psf"], row["method"]), []).append(row)
    return [{**some[0], **{name: _middle(some, name) for name in names}} for some in found.values()]


def _middle(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if number(row.get(name)) is not None]
    return median(values) if values else None


def _table(title: str, rows: Sequence[Row]) -> Wide:
    return _wide(title, rows, _own(SCORES, columns(rows)))


def costs(rows: Sequence[Row]) -> Wide:
    """Seconds, memory, and whether intervals hold: medians over scenes."""
    inside = [
        Column(key, label, title, digits=3)
        for key, (label, title) in _INSIDE.items()
        if any(number(row.get(key)) is not None for row in rows)
    ]
    own = (*_own(COST, columns(rows, cost=True)), *inside)
    return _wide("What each method costs", _middles(rows, [column.key for column in own]), own)


def firsts(rows: Sequence[Row]) -> Wide:
    """How often no method was better, by metric, over all scenes and point spread functions."""
    own = tuple(
        Column(name, name.upper(), f"questions where no method was better in {name.upper()}", digits=0)
        for name in SCORES
    )
    counted = []
    for method in _values(rows, "method"):
        mine = [row for row in rows if row["method"] == method]
        wins = {name: sum(_rival(row, name, rows) is None for row in mine) for name in SCORES}
        counted.append({"method": method, "psf": "", "assumed": mine[0]["assumed"], **wins})
    questions = len({(row["scene"], row["psf"]) for row in rows})
    return _wide(f"Times first among {questions} questions", counted, own)


def beaten(rows: Sequence[Row], method: str) -> list[tuple[str, str, str, str, str]]:
    """Where a method is not first: scene, point spread function, metric, its value, and the best one's."""
    said = {column.key: column for column in _own(SCORES, columns(rows))}
    found = []
    for row in rows:
        for name in SCORES if row["method"] == method else ():
            rival = _rival(row, name, rows)
            if rival is not None:
                shown = apart(said[name], row.get(name), rival.get(name))
                found.append(
                    (row["scene"], row["psf"], name.upper(), shown[0], f"{rival['method']} {shown[1]}")
                )
    return found


def apart(column: Column, own: Any, other: Any) -> tuple[str, str]:
    """Both values, with as many digits as it takes to tell them apart."""
    for digits in range(column.digits, 17):
        wider = replace(column, digits=digits)
        shown = wider.show(own), wider.show(other)
        if shown[0] != shown[1] or number(own) is None:
            break
    return shown


def _rival(row: Row, name: str, rows: Sequence[Row]) -> Row | None:
    """The best of those that are better in this question; None: nobody is. Without a value all are."""
    metric = metrics()[name]
    others = [r for r in rows if (r["scene"], r["psf"]) == (row["scene"], row["psf"])]
    others = [other for other in others if number(other.get(name)) is not None]
    own = number(row.get(name))
    better = [other for other in others if own is None or metric.better(other[name], own)]
    if not better:
        return None if own is not None else row
    return sorted(better, key=lambda other: other[name], reverse=metric.direction == "higher")[0]


def _own(names: Sequence[str], known: Sequence[Column]) -> tuple[Column, ...]:
    """The columns in the order of their names; ERGAS with three digits, for the sake of width."""
    found = {column.key: replace(column, digits=3) if column.key == "ergas" else column for column in known}
    return tuple(found[name] for name in names if name in found)


def _wide(title: str, rows: Sequence[Row], own: Sequence[Column]) -> Wide:
    """Rows of methods and point spread functions as lines of methods, best values marked over all lines."""
    psfs, kinds = _values(rows, "psf"), _values(rows, "assumed")
    methods = {row["method"]: row for row in rows}
    cells = {method: _cells(method, psfs, rows, own) for method in methods}
    groups = []
    for kind in kinds:
        lines = [Line((_name(row),), cells[m]) for m, row in methods.items() if row["assumed"] == kind]
        groups.append(Group(KINDS[kind] if len(kinds) > 1 else "", tuple(lines)))
    return Wide(title, ("method",), tuple(Span(psf, tuple(own)) for psf in psfs), tuple(groups))


def _cells(method: str, psfs: Sequence[str], rows: Sequence[Row], own: Sequence[Column]) -> tuple[Cell, ...]:
    found = []
    for psf in psfs:
        some = [row for row in rows if row["psf"] == psf]
        place = next((i for i, row in enumerate(some) if row["method"] == method), None)
        for column in own:
            shown = [column.show(row.get(column.key)) for row in some]
            marks = best(shown, column.better)
            found.append(Cell("–") if place is None else Cell(shown[place], marks[place]))
    return tuple(found)


def _name(row: Row) -> str:
    """The method, without the point spread function that the heading names, and whether it was shortened."""
    name = str(row["method"])
    if row["assumed"]:
        name = name.removesuffix(f":psf={row['assumed']}").removesuffix(f",psf={row['assumed']}")
    return name + ("*" if row.get("quick") else "")


def _values(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))
