"""Summary: methods over many scenes: medians, and how often each was first."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from stsfusion.quality.metrics import metrics

__all__ = ["MEDIANS", "WINS", "summary"]

MEDIANS = ("psnr", "sam", "ergas")
"""Metrics of which the median over scenes is shown."""

WINS = ("psnr", "sam")
"""Metrics in which wins are counted."""

Row = dict[str, Any]


def summary(rows: Sequence[Row]) -> list[Row]:
    """One row a point spread function and method, best median PSNR first; empty for a single scene.

    A method wins a scene when no other has a better value; those that share the best value all win it. What
    failed or could not be scored wins nothing and is left out of the medians; `scenes` counts the others.
    """
    psfs = list(dict.fromkeys(row["psf"] for row in rows))
    if len({row["scene"] for row in rows}) < 2:
        return []
    return [line for psf in psfs for line in _ranking(psf, [row for row in rows if row["psf"] == psf])]


def _ranking(psf: str, rows: Sequence[Row]) -> list[Row]:
    names = list(dict.fromkeys(row["method"] for row in rows))
    lines = [{"psf": psf, "method": name, **_figures(name, rows)} for name in names]
    return sorted(lines, key=lambda line: -(line["psnr"] or 0.0))


def _figures(method: str, rows: Sequence[Row]) -> Row:
    own = [row for row in rows if row["method"] == method]
    said = {name: [row[name] for row in own if row[name] is not None] for name in MEDIANS}
    middle = {name: median(values) if values else None for name, values in said.items()}
    wins = {f"{name}_wins": sum(_best(row, name, rows) for row in own) for name in WINS}
    return {"scenes": len(said["psnr"]), **middle, **wins}


def _best(row: Row, name: str, rows: Sequence[Row]) -> bool:
    """Whether no method has a better value in this row's scene."""
    metric = metrics()[name]
    rivals = [other[name] for other in rows if other["scene"] == row["scene"] and other[name] is not None]
    return row[name] is not None and not any(metric.better(value, row[name]) for value in rivals)
