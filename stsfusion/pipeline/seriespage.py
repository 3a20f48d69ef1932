"""Seriespage: a comparison of methods on series as one page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stsfusion.pipeline.doctor import versions
from stsfusion.pipeline.entrants import named
from stsfusion.pipeline.facts import Input, Report
from stsfusion.pipeline.pairpage import card_of
from stsfusion.pipeline.seriesboards import SHOWN, beaten, boards, costs, dates
from stsfusion.pipeline.seriescompare import CompareSeries
from stsfusion.pipeline.template import fill, sections
from stsfusion.quality.metrics import metrics
from stsfusion.views.palette import Picture

__all__ = ["compared_series_page"]

Row = Mapping[str, Any]

_TERMS = (
    ("VNIR", "Bands up to 1000 nm, which multispectral sensors see."),
    ("SWIR", "Bands beyond 1000 nm; a sensor that sees none of them leaves them to be inferred."),
    ("a+b", "A chain: the spatio-temporal method a completes the fine multispectral series, which guides b."),
)

_DATA = (
    "Simulated: the series is taken to be true, the observations made of it were computed. Figures say how "
    "methods compare on such data."
)

_COST = (
    "Each method in a process of its own; memory above what the process had with its libraries and the "
    "question."
)


def compared_series_page(
    result: Mapping[str, Any], pictures: Sequence[Picture], *, title: str, recipe_text: str, made: str
) -> str:
    """The page as text; what was lost is said like what was won.

    Parameters
    ----------
    result
        `protocol`, `scenes`, `rows` and `per_date`, see `seriescomparing`.
    """
    asked = CompareSeries.model_validate_json(json.dumps(result["protocol"]))
    rows, known = result["rows"], metrics()
    lost = beaten(rows, asked.about) if asked.about else []
    facts = Report(
        title=title,
        simulated=True,
        method=asked.about or "",
        made=made,
        recipe_text=recipe_text,
        inputs=[_input(said) for said in result["scenes"]],
        versions=versions(),
        methods=[card_of(row) for row in named(asked.methods, quick=asked.profile == "quick")],
    )
    failed = [(f"{row['scene']}, {row['method']}", row["error"]) for row in rows if "error" in row]
    return fill(
        "comparison.html",
        facts=facts,
        words=list(_words(asked, result["scenes"])),
        summary=_summary(asked.about, rows, len(lost)),
        about_data=_DATA,
        sections=sections(pictures),
        tables=[*boards(rows), *dates(result["per_date"])],
        firsts=None,
        costs=costs(rows),
        cost_words=_COST,
        lost=lost,
        lost_heads=("series", "dates and bands", "metric"),
        failed=failed,
        hurried=any(row["quick"] for row in rows),
        glossary=[known[name] for name in SHOWN],
        terms=_TERMS,
    )


def _summary(about: str | None, rows: Sequence[Row], lost: int) -> str:
    """What a hurried reader should know."""
    asked = len(SHOWN) * sum(row["method"] == about for row in rows)
    if not asked or any("error" in row for row in rows if row["method"] == about):
        return ""
    others = "The other one is" if lost == 1 else f"The {lost} others are"
    tail = "" if lost == 0 else f" {others} listed below the tables."
    return (
        f"{about} is first in {asked - lost} of {asked} comparisons, each a metric over some of the dates "
        f"and bands, among all methods and settings of this page.{tail}"
    )


def _words(asked: CompareSeries, said: Sequence[Row]) -> Iterable[str]:
    """What was done, sentence by sentence."""
    p = asked.protocol
    yield (
        f"A hyperspectral sensor with pixels {p.rich_ratio} times as large saw dates "
        f"{', '.join(str(date + 1) for date in said[0]['rich_dates'])} of {said[0]['truth_shape']['dates']}; "
        f"{p.sharp or 'no sensor'} saw the same dates with the truth's pixels; {p.dense or 'no sensor'} saw "
        f"every date with pixels {p.dense_ratio} times as large. Methods give all bands on all dates with "
        "the truth's pixels."
    )
    wrong = [
        f"{words} {value:g}{unit}"
        for words, value, unit in (
            ("misregistered by", p.shift, " pixels"),
            ("gains wrong by", p.gain, " %"),
        )
        if value
    ]
    if wrong:
        yield f"Planted errors: {', '.join(wrong)}."
    if asked.profile == "quick":
        yield (
            f"Quick profile: the middle {asked.side} × {asked.side} pixels of each series; methods with a "
            "star are shortened and do not reach their full settings. The full profile: "
            "--set compare_series.profile=full."
        )


def _input(said: Row) -> Input:
    size = said["truth_shape"]
    words = f"{size['dates']} dates × {size['bands']} bands × {size['rows']} × {size['cols']} pixels"
    return Input("truth", said["truth"], words, said["truth_sha256"])
