"""Coarser: methods scored one scale coarser, where what the hyperspectral sensor saw is the truth.

::

    seen     every image coarsened, all dates kept                    scored on the hyperspectral dates
    hidden   the same without one date of rich and sharp, in turn     scored on that date

Needs no other truth (Wald's protocol): every image is degraded on its own grid, methods fuse those, and the
answer is held against the hyperspectral image as it was. Where the point spread function is not known, images
are degraded by the one that they tell themselves. Every method runs in a process of its own; what is
done is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from stsfusion import methods
from stsfusion.engine.exchange import read_window
from stsfusion.engine.plan import Plan
from stsfusion.errors import StsfusionError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.wald import Wald, coarsen, hide
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.pairkernel import told_kernel
from stsfusion.pipeline.contest import COST, Table, contest
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.intervals import INTERVALS, intervals
from stsfusion.pipeline.middle import Dates, central_window
from stsfusion.pipeline.ranges import ranges
from stsfusion.pipeline.shorthand import name_of, text_of
from stsfusion.pipeline.stage import METRICS
from stsfusion.quality.scores import DateScore, Scores, score
from stsfusion.window import Window

__all__ = ["COARSER", "HIDDEN", "coarser_window", "scores_coarser"]

COARSER, HIDDEN = "coarser", "hidden"
"""The subsets of these rows: all dates kept, and dates that were hidden."""

_FORM = 1
"""Of what is kept; another number, and it is made anew."""

Row = dict[str, Any]
Tell = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class _Asked:
    """One question, and the dates on which it is scored; see `contest.Stage`."""

    problem: Problem
    """Without the truth."""

    labels: Observation
    """What the rich sensor saw of the dates that are scored."""

    subset: str
    """COARSER or HIDDEN, to which its rows belong."""

    ratio: int
    """Target pixels along one side of a pixel of the rich sensor."""

    @property
    def said(self) -> Row:
        """What is asked."""
        return {"subset": self.subset, "dates": self.labels.dates}

    @property
    def blank(self) -> Row:
        """No scores."""
        return {"subset": self.subset}

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores depend on: question, labels, settings and code."""
        code = fingerprint_of_code(method)
        return fingerprint("coarser", self._asked, settings_of(method), code, METRICS, _FORM)

    @cached_property
    def _asked(self) -> str:
        labels = self.labels
        return fingerprint(self.problem, labels.data, labels.valid, labels.dates, self.ratio)

    def judge(self, answer: Answer) -> Table:
        """`rows`: one, how honest it is; `scores` of every date and part of the spectrum; `groups`."""
        scores = _scores(answer, self)
        dates = [asdict(each) for each in scores.dates]
        return {"rows": [_honesty(answer, self.labels)], "scores": dates, "groups": list(scores.groups)}


def coarser_window(plan: Plan, size: int) -> Window:
    """The middle of the target that has `size` pixels on a side when it is one scale coarser, at most."""
    return central_window(plan, size * plan.geometry.ratio("rich"))


def scores_coarser(
    plan: Plan,
    rivals: Sequence[str | Mapping[str, Any]],
    window: Window,
    tell: Tell,
    *,
    cache: Path,
    hidden: bool = False,
) -> tuple[list[Row], list[Row]]:
    """Rows of scores for the plan's own method and each of its rivals; none where pixels are all alike.

    Parameters
    ----------
    window
        What is coarsened.
    cache
        Folder of what is done, so that a run that was cut off is resumed, and so is a training that was.
    hidden
        Whether methods are asked as well for each date between others that rich and sharp are made to miss.

    Returns
    -------
    tuple of list
        Averages, VNIR and SWIR apart where there are both; and rows by date, `date` the target's index.
    """
    ratio = plan.geometry.ratio("rich")
    if ratio == 1:
        return [], []
    asked = [(name_of(plan.method), settings_of(plan.method))]
    asked += [(text_of(rival), settings_of(methods.create(rival))) for rival in rivals]
    try:
        problem = read_window(plan, window)
        wald = coarsen(problem, kernel=told_kernel(problem))
    except StsfusionError as error:
        return [_failed(asked[0][0], COARSER, str(error))], []
    averages, dates = list[Row](), list[Row]()
    questions = [_Asked(wald.problem, wald.labels, COARSER, ratio)]
    questions += _hidden(wald, ratio) if hidden else ()
    for done, (name, settings) in enumerate(asked):
        share = done / len(asked)
        rows, by_date = _judged(
            name,
            settings,
            questions,
            cache,
            lambda what, share=share: tell(share, what),  # type: ignore[misc]
        )
        averages += rows
        dates += by_date
    return averages, dates


def _hidden(wald: Wald, ratio: int) -> Iterator[_Asked]:
    """A question for each date between others, of which neither rich nor sharp saw anything."""
    labels = wald.labels
    for place, date in list(enumerate(labels.dates))[1:-1]:
        problem = hide(hide(wald.problem, "rich", [date]), "sharp", [date])
        yield _Asked(problem, labels.select([place]), HIDDEN, ratio)


def _judged(
    name: str,
    settings: Mapping[str, Any],
    questions: Sequence[_Asked],
    cache: Path,
    tell: Callable[[str], None],
) -> tuple[list[Row], list[Row]]:
    """One method's rows; one that fails a question is not asked the next."""
    rows, found = list[Row](), dict[str, list[DateScore]]()
    by_date = list[Row]()
    for asked in questions:
        hiding = " with a hidden date" if asked.subset == HIDDEN else ""
        tell(f"running '{name}' one scale coarser{hiding}")
        ((_, table),) = contest(asked, {name: methods.create(settings)}, cache)
        (row,) = table["rows"]
        if "error" in row:
            rows.append(_failed(name, asked.subset, row["error"]))
            break
        scores = Scores(tuple(DateScore(**each) for each in table["scores"]), tuple(table["groups"]))
        found.setdefault(asked.subset, []).extend(scores.dates)
        by_date += _dated(name, asked, scores)
        whole = Scores(tuple(found[asked.subset]), scores.groups)
        rows = [row for row in rows if row["subset"].partition("/")[0] != asked.subset]
        rows += _averages(name, asked.subset, whole, row)
    return rows, by_date


def _averages(name: str, subset: str, scores: Scores, latest: Row) -> list[Row]:
    """Means over the dates scored so far, with what the latest trial cost and how honest it was."""
    cost = {key: latest[key] for key in COST}
    rows = []
    for group in scores.groups:
        mean = scores.average("all", group)
        honest = {} if group else {key: latest[key] for key in INTERVALS}
        said = f"{subset}/{group}" if group else subset
        rows.append({"method": name, "subset": said, "dates": mean.dates, **mean.values, **honest, **cost})
    return rows


def _dated(name: str, asked: _Asked, scores: Scores) -> list[Row]:
    said = "missing" if asked.subset == HIDDEN else "observed"
    rows = []
    for each in scores.dates:
        subset = f"{said}/{each.bands}" if each.bands else said
        rows.append({"method": name, "date": asked.labels.dates[each.date], "subset": subset, **each.values})
    return rows


def _failed(name: str, subset: str, error: str) -> Row:
    return {"method": name, "subset": subset, "error": error}


def _scores(answer: Answer, asked: _Asked) -> Scores:
    """On the dates that are scored."""
    labels = asked.labels
    parts = ranges(asked.problem.target.wavelengths.tolist())
    observed = range(len(labels.dates))
    dates = Dates(answer, tuple(labels.dates))
    return score(dates, labels.data, asked.ratio, observed, valid=labels.valid, names=METRICS, groups=parts)


def _honesty(answer: Answer, labels: Observation) -> Row:
    """How often the stated intervals hold, over all valid values."""
    sigma = [said for date in labels.dates if (said := answer.sigma_of(date)) is not None]
    if not sigma:
        return dict.fromkeys(INTERVALS)
    known = labels.valid.expand(labels.data.shape)
    values = torch.stack([answer.date(date) for date in labels.dates])
    return {**intervals(values[known], labels.data[known], torch.stack(sigma)[known])}
