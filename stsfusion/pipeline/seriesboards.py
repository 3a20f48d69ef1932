"""Seriesboards: a comparison on series as tables for people, as papers on series show them.

::

    method │ all dates: CC SAM PSNR SSIM time │ dates seen: … │ dates missed: …      one a series
    method │ all dates, VNIR: … │ SWIR: … │ dates missed, VNIR: … │ SWIR: …          where there is SWIR
    method │ 13 Dec │ 20 Jan │ …                                                     one a metric
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stsfusion.pipeline.contest import COST
from stsfusion.pipeline.pairboards import Span, Wide, apart
from stsfusion.pipeline.scoreboard import Cell, Column, Group, Line, best, columns, number
from stsfusion.quality.metrics import metrics

__all__ = ["SHOWN", "beaten", "boards", "costs", "dates"]

Row = Mapping[str, Any]

SHOWN = ("cc", "sam", "psnr", "ssim")
"""Metrics of the tables, in the order of the long-time-series literature."""

SUBSETS = {
    "all": "All dates",
    "observed": "Dates that the hyperspectral sensor saw",
    "missing": "Dates that it missed",
}
"""Subsets of dates, in words."""

_PARTS = {
    "all/vnir": "All dates, VNIR",
    "all/swir": "All dates, SWIR",
    "missing/vnir": "Missed dates, VNIR",
    "missing/swir": "Missed dates, SWIR",
}

_TIME = Column("time_s", "time", "seconds to learn and to fuse", "s", "lower", 1)


def boards(rows: Sequence[Row]) -> list[Wide]:
    """Means over dates of every series, all bands and, where there are both, VNIR and SWIR apart."""
    found = []
    for scene in _values(rows, "scene"):
        some = [_timed(row) for row in rows if row["scene"] == scene]
        own = _own(some)
        found.append(_board(f"{scene}, all bands", some, SUBSETS, (*own, _TIME)))
        if any(row["subset"] in _PARTS for row in some):
            found.append(_board(f"{scene}, VNIR (up to 1000 nm) and SWIR apart", some, _PARTS, own))
    return found


def dates(per_date: Sequence[Row]) -> list[Wide]:
    """A table a series and metric: dates side by side."""
    return [
        _by_date(scene, metric, [row for row in per_date if row["scene"] == scene])
        for scene in _values(per_date, "scene")
        for metric in SHOWN
    ]


def costs(rows: Sequence[Row]) -> Wide:
    """Seconds and memory, summed over the series, the most memory of any."""
    firsts: dict[tuple[str, str], Row] = {}
    for row in rows:
        firsts.setdefault((row["scene"], row["method"]), row)
    own = tuple(column for key in COST for column in columns(rows, cost=True) if column.key == key)
    names = _values(rows, "method")
    merged = {
        name: {key: _joined(key, [row for row in firsts.values() if row["method"] == name]) for key in COST}
        for name in names
    }
    return _wide("What each method costs", rows, [("", own)], lambda name, _, key: merged[name].get(key))


def beaten(rows: Sequence[Row], method: str) -> list[tuple[str, str, str, str, str]]:
    """Where a method is not first: series, dates, metric, its value, and the best one's."""
    said, found = {column.key: column for column in _own(rows)}, []
    for row in rows:
        if row["method"] != method:
            continue
        place = (row["scene"], row["subset"])
        rivals = [other for other in rows if (other["scene"], other["subset"]) == place]
        for name in SHOWN:
            rival = _best(rivals, name)
            if rival is not None and _is_better(name, rival.get(name), row.get(name)):
                own, other = apart(said[name], row.get(name), rival.get(name))
                words = str(SUBSETS.get(row["subset"]) or _PARTS.get(row["subset"], row["subset"]))
                found.append((row["scene"], words, name.upper(), own, f"{rival['method']} {other}"))
    return found


def _timed(row: Row) -> Row:
    seconds = [number(row.get(key)) for key in ("fit_s", "fuse_s")]
    return {**row, "time_s": None if None in seconds else sum(value or 0.0 for value in seconds)}


def _joined(key: str, rows: Sequence[Row]) -> float | None:
    values = [value for row in rows if (value := number(row.get(key))) is not None]
    if not values:
        return None
    return max(values) if key == "peak_mb" else sum(values)


def _own(rows: Sequence[Row]) -> tuple[Column, ...]:
    known = {column.key: column for column in columns(rows)}
    return tuple(known[name] for name in SHOWN if name in known)


def _board(title: str, rows: Sequence[Row], subsets: Mapping[str, str], own: Sequence[Column]) -> Wide:
    found = {(row["method"], row["subset"]): row for row in rows}
    spans = [(subset, own) for subset in subsets if any(row["subset"] == subset for row in rows)]
    table = _wide(title, rows, spans, lambda name, subset, key: found.get((name, subset), {}).get(key))
    return replace(table, spans=tuple(Span(subsets[span.title], span.columns) for span in table.spans))


def _by_date(scene: str, metric: str, rows: Sequence[Row]) -> Wide:
    (known,) = [column for column in columns(rows) if column.key == metric]
    whole = [row for row in rows if "/" not in row["subset"]]
    missed = {row["time"] for row in whole if row["subset"] == "missing"}
    own = tuple(
        replace(known, key=time, label=time[:10], unit="missed" if time in missed else "seen")
        for time in _values(whole, "time")
    )
    found = {(row["method"], row["time"]): row[metric] for row in whole}
    unit = f" ({known.unit})" if known.unit else ""
    title = f"{scene}: {metric.upper()}{unit} by date"
    return _wide(title, whole, [("", own)], lambda name, _, time: found.get((name, time)))


def _wide(
    title: str,
    rows: Sequence[Row],
    spans: Sequence[tuple[str, Sequence[Column]]],
    value: Callable[[str, str, str], Any],
) -> Wide:
    """A line for each method, the best of every column marked."""
    names = _values(rows, "method")
    hasty = {row["method"] for row in rows if row.get("quick")}
    cells: dict[str, list[Cell]] = {name: [] for name in names}
    for span, own in spans:
        for column in own:
            shown = [column.show(value(name, span, column.key)) for name in names]
            for name, text, mark in zip(names, shown, best(shown, column.better), strict=True):
                cells[name].append(Cell(text, mark))
    lines = tuple(Line((name + "*" * (name in hasty),), tuple(cells[name])) for name in names)
    return Wide(title, ("method",), tuple(Span(span, tuple(own)) for span, own in spans), (Group("", lines),))


def _best(rows: Sequence[Row], name: str) -> Row | None:
    good = [row for row in rows if number(row.get(name)) is not None]
    higher = metrics()[name].direction == "higher"
    return max(good, key=lambda row: row[name] if higher else -row[name], default=None)


def _is_better(name: str, other: Any, own: Any) -> bool:
    mine = number(own)
    return mine is None or bool(metrics()[name].better(other, mine))


def _values(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))
