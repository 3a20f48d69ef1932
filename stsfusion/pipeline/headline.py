"""Headline: what a hurried reader should know of a table of scores, in two sentences."""

from __future__ import annotations

from collections.abc import Sequence

from stsfusion.pipeline.scoreboard import Column, ScoreRow, best, columns, number, text

__all__ = ["headline"]

PLAIN = {"lineartime": "linear interpolation", "bicubic": "the nearest observed date, upsampled"}
"""What the plain methods do, in words, the stronger first."""


def headline(rows: Sequence[ScoreRow], method: str, *, simulated: bool) -> tuple[str, ...]:
    """How the method did where it is hardest, and what it lost; what was lost is said like what was won.

    Parameters
    ----------
    rows
        As in `scoreboard.board`.
    method
        The one that the report is about.
    simulated
        Said in the sentence.
    """
    some = _of(rows, "missing")
    where = "on the dates no hyperspectral sensor saw"
    if all(number(row.get("sam")) is None for row in some):
        some, where = _of(rows, "all"), "over all dates"
    if not some:
        some, where = _of(rows, "coarser"), "one scale coarser, where the hyperspectral image is the truth"
    own = next((row for row in some if row.get("method") == method), None)
    if own is None:
        return ()
    rival = next((row for name in PLAIN for row in some if row.get("method") == name != method), None)
    kind = " (simulated scene)" if simulated else ""
    said = _values(own, own, rival)
    if rival is not None and said:
        said += f", against {_values(rival, own, rival)} for {PLAIN[text(rival, 'method')]}"
    first = f"{method}: {said} {where}{kind}." if rival is None else f"{method}, {where}: {said}{kind}."
    return tuple(sentence for sentence in (first if said else "", _standing(some, method)) if sentence)


def _of(rows: Sequence[ScoreRow], subset: str) -> list[ScoreRow]:
    return [row for row in rows if row.get("subset") == subset]


def _values(row: ScoreRow, *others: ScoreRow | None) -> str:
    """SAM and PSNR of a row with their units, where all the others have them too."""
    shown = [column for column in columns([row]) if column.key in ("sam", "psnr")]
    both = [
        c for c in shown if all(other is None or number(other.get(c.key)) is not None for other in others)
    ]
    return " and ".join(f"{column.label} {_quantity(column, row)}" for column in both)


def _quantity(column: Column, row: ScoreRow) -> str:
    return column.show(row[column.key]) + (column.unit if column.unit == "°" else f" {column.unit}")


def _standing(rows: Sequence[ScoreRow], method: str) -> str:
    """In how many measures the method is best among its rivals, and who is better in the others."""
    names = [text(row, "method") for row in rows]
    won, lost = 0, []
    for column in columns(rows):
        marks = best([column.show(row.get(column.key)) for row in rows], column.better)
        first = [name for name, top in zip(names, marks, strict=True) if top]
        won += method in first
        lost += [f"{column.label} ({', '.join(first)})"] if first and method not in first else []
    if not won and not lost:
        return ""
    behind = f" Others are better in {', '.join(lost)}." if lost else ""
    return f"Of {len(names)} methods it is the best in {won} of {won + len(lost)} measures there.{behind}"
