"""Report: one self-contained HTML page that says what was run, what came out and how good it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stsfusion.pipeline.facts import Input, MethodCard, Part, Phase, Report, Rows, Stored
from stsfusion.pipeline.headline import headline
from stsfusion.pipeline.scoreboard import ALONE, ScoreRow, Table, board, costs, day, flat, number, pivot, text
from stsfusion.pipeline.template import Image, fill, sections, write_page
from stsfusion.quality.metric import Metric
from stsfusion.quality.metrics import metrics
from stsfusion.views.curves import score_curves
from stsfusion.views.palette import Picture, png

__all__ = ["Input", "MethodCard", "Part", "Phase", "Picture", "Report", "Rows", "Stored", "render"]
__all__ += ["write_report"]

BY_DATE = ("cc", "sam", "psnr", "ssim")
"""Measures of which dates stand against methods; the others stand in the list of all."""


@dataclass(frozen=True)
class _Bar:
    """A phase as the template needs it."""

    name: str
    words: str
    seconds: str
    memory: str
    share: float


def write_report(path: str | Path, facts: Report) -> Path:
    """Write the page beside its final place, then move it there, so that no reader sees half of it.

    Raises
    ------
    StoreError
        When a picture is not a PNG file, or the folder does not exist.
    """
    return write_page(path, render(facts))


def render(facts: Report) -> str:
    """The page as text."""
    used = {key for row in (*facts.scores, *facts.per_date, *facts.without_truth) for key in row}
    return fill(
        "report.html",
        facts=facts,
        summary=headline(facts.scores, facts.method, simulated=facts.simulated),
        sections=sections((*facts.figures, *_curves(facts))),
        board=board(facts.scores),
        costs=costs(facts.scores),
        whose=_whose(facts),
        by_date=_by_date(facts.per_date),
        every_date=flat(facts.per_date),
        without_truth=flat(facts.without_truth),
        deliveries=[(part, _shown(part)) for part in facts.deliveries],
        bars=_bars(facts.phases),
        total=_duration(sum(phase.seconds for phase in facts.phases)),
        glossary=[metric for key, metric in metrics().items() if key in used],
    )


def _shown(part: Part) -> list[Image]:
    """A part's pictures, wherever they say that they stand."""
    return [image for images in sections(part.pictures).values() for image in images]


def _by_date(rows: Sequence[ScoreRow]) -> list[tuple[str, Table]]:
    tables = [(metrics()[key], pivot(rows, key)) for key in BY_DATE]
    return [(_named(metric), table) for metric, table in tables if table is not None]


def _named(metric: Metric) -> str:
    unit = "" if metric.unit == "1" else f" ({metric.unit})"
    return f"{_capital(metric.title)}{unit}"


def _whose(facts: Report) -> str:
    """What was learned and fused in the seconds that are told, and where."""
    if any(text(row, "subset").partition("/")[0] in ALONE for row in facts.scores):
        return (
            "Every method in a process of its own, on the middle of the area one scale coarser; of dates "
            "that were hidden one by one, the last."
        )
    own = f"{facts.method}: learning from the input and fusing all tiles of the published series."
    others = {text(row, "method") for row in facts.scores} - {facts.method}
    alone = " The others: each in a process of its own, on the window in which all are compared."
    return own + (alone if others else "")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _curves(facts: Report) -> list[Picture]:
    """SAM and PSNR over the dates, for rows that have a date by the calendar and not a mere number."""
    dated = [row for row in facts.per_date if len(day(row)) == 10 and "/" not in text(row, "subset")]
    return [picture for key in ("sam", "psnr") if (picture := _curve(facts, dated, key))]


def _curve(facts: Report, rows: Sequence[ScoreRow], key: str) -> Picture | None:
    values = {(text(row, "method"), day(row)): number(row.get(key)) for row in rows}
    if all(value is None for value in values.values()):
        return None
    metric, dates = metrics()[key], sorted({day(row) for row in rows})
    missing = {day(row) for row in rows if row.get("subset") == "missing"}
    curves = {
        method: [math.nan if (value := values.get((method, date))) is None else value for date in dates]
        for method in dict.fromkeys(method for method, _ in values)
    }
    figure = score_curves(
        np.array(dates, dtype="datetime64[D]"),
        curves,
        np.isin(dates, list(missing)),
        label=f"{key.upper()} ({'degrees' if metric.unit == 'degree' else metric.unit})",
        own=facts.method,
        note="simulated scene" if facts.simulated else "",
    )
    better = "Lower" if metric.direction == "lower" else "Higher"
    caption = f"{_capital(metric.title)} by date and method. {better} is better."
    return Picture("Scores by date", f"{key.upper()} over the dates", caption, png(figure), wide=False)


def _bars(phases: Sequence[Phase]) -> list[_Bar]:
    longest = max((phase.seconds for phase in phases), default=0.0) or 1.0
    return [
        _Bar(
            phase.name,
            phase.words,
            _duration(phase.seconds),
            _memory(phase.peak_mb),
            round(100 * phase.seconds / longest, 1),
        )
        for phase in phases
    ]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _memory(mebibytes: float | None) -> str:
    if mebibytes is None:
        return "–"
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.2f} GiB"
