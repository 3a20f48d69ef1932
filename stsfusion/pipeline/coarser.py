"""Coarser: methods scored one scale coarser, where what the hyperspectral sensor saw is the truth.

Needs no other truth (Wald's protocol): every image is degraded on its own grid, methods fuse those, and the
answer is held against the hyperspectral image as it was. Every method runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from stsfusion import methods
from stsfusion.engine.exchange import read_window
from stsfusion.engine.plan import Plan
from stsfusion.errors import StsfusionError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.problem import Observation
from stsfusion.fusion.wald import Wald, coarsen
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.intervals import INTERVALS, intervals
from stsfusion.pipeline.middle import Dates, central_window
from stsfusion.pipeline.stage import METRICS
from stsfusion.pipeline.trial import attempt
from stsfusion.quality.scores import score
from stsfusion.window import Window

__all__ = ["COARSER", "coarser_window", "scores_coarser"]

COARSER = "coarser"
"""The subset of these rows."""

Row = dict[str, Any]


def coarser_window(plan: Plan, size: int) -> Window:
    """The middle of the target that has `size` pixels on a side when it is one scale coarser, at most."""
    return central_window(plan, size * plan.geometry.ratio("rich"))


def scores_coarser(
    plan: Plan,
    rivals: Sequence[str | Mapping[str, Any]],
    window: Window,
    tell: Callable[[float, str], None],
) -> list[Row]:
    """A row of scores for the plan's own method and each of its rivals; none where pixels are all alike.

    Parameters
    ----------
    window
        What is coarsened.
    """
    ratio = plan.geometry.ratio("rich")
    if ratio == 1:
        return []
    own = settings_of(plan.method)
    asked = [own, *(settings_of(methods.create(rival)) for rival in rivals)]
    try:
        wald = coarsen(read_window(plan, window))
    except StsfusionError as error:
        return [_failed(str(own["name"]), error)]
    rows = []
    for done, settings in enumerate(asked):
        name = str(settings["name"])
        tell(done / len(asked), f"running '{name}' one scale coarser")
        try:
            trial = attempt(wald.problem, settings)
        except StsfusionError as error:
            rows.append(_failed(name, error))
            continue
        cost = {"fit_s": trial.fit_s, "fuse_s": trial.fuse_s, "peak_mb": trial.peak_mb}
        rounded = {key: round(value, 3) for key, value in cost.items()}
        rows.append({"method": name, "subset": COARSER, **_judged(trial.answer, wald, ratio), **rounded})
    return rows


def _failed(name: str, error: StsfusionError) -> Row:
    return {"method": name, "subset": COARSER, "error": str(error)}


def _judged(answer: Answer, wald: Wald, ratio: int) -> Row:
    """Means over the dates that the hyperspectral sensor saw."""
    labels = wald.labels
    dates = Dates(answer, tuple(labels.dates))
    observed = range(len(labels.dates))
    found = score(dates, labels.data, ratio, observed, valid=labels.valid, names=METRICS)
    return {"dates": len(labels.dates), **found.average("all").values, **_honesty(answer, labels)}


def _honesty(answer: Answer, labels: Observation) -> Row:
    """How often the stated intervals hold, over all valid values."""
    if answer.sigma is None:
        return dict.fromkeys(INTERVALS)
    known = labels.valid.expand(labels.data.shape)
    values = torch.stack([answer.date(date) for date in labels.dates])
    sigma = answer.sigma.expand(answer.shape)[labels.dates]
    return {**intervals(values[known], labels.data[known], sigma[known])}
