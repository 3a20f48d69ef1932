"""Evaluate: the series against the truth where there is one, and always against what was observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stsfusion import methods
from stsfusion.cube.store import CubeStore
from stsfusion.engine.exchange import read_window
from stsfusion.engine.plan import Plan, Source
from stsfusion.forward.compare import compare
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.assemble import Assembly
from stsfusion.pipeline.coarser import coarser_window, scores_coarser
from stsfusion.pipeline.contest import Table, contest
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.intake import TRUTH
from stsfusion.pipeline.middle import Dates, central_window
from stsfusion.pipeline.shorthand import name_of, text_of
from stsfusion.pipeline.stage import METRICS
from stsfusion.quality.scores import Dated, score
from stsfusion.window import Window

__all__ = ["Costs", "evaluate", "others"]

_FORM = 1
"""Of what is kept; another number, and it is made anew."""

Row = dict[str, Any]
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Costs:
    """What the published series took."""

    fit_s: float
    """Seconds of `fit`."""

    fuse_s: float
    """Seconds of `fuse`, summed over tiles."""

    peak_mb: float
    """Largest resident memory of a worker above what it had before its first tile, MiB."""


def evaluate(
    plan: Plan,
    assembly: Assembly,
    fused: CubeStore,
    rivals: Sequence[str | Mapping[str, Any]],
    *,
    size: int,
    coarser: bool,
    hidden: bool = False,
    costs: Costs,
    cache: Path,
    tell: Tell,
) -> dict[str, Any]:
    """Rows of scores as plain JSON: averages, by date, and without truth.

    Parameters
    ----------
    plan
        What was run; methods are compared on its central window of at most `size` pixels.
    fused
        The published series.
    rivals
        Methods that are run on the same input, each in a process of its own; the plan's own is scored once.
    coarser
        Where there is no truth, score one scale coarser instead.
    hidden
        There, hide dates as well.
    costs
        Of the published series.
    cache
        Folder of what rivals are done, so that a run that was cut off is resumed, and so is a training.
    tell
        Told of the share that is done, and of what.
    """
    rivals = others(plan.method, rivals)
    window = central_window(plan, size)
    question = read_window(plan, window)
    truth = _truth(plan, window)
    result: dict[str, Any] = {
        "window": {"rows": window.rows, "cols": window.cols},
        "rows": [],
        "per_date": [],
    }
    ours = _published(fused, plan, window)
    name = name_of(plan.method)
    result["without_truth"] = _consistency(name, ours, question, plan, assembly)
    if truth is None and coarser:
        wide = coarser_window(plan, size)
        result["rows"], dates = scores_coarser(plan, rivals, wide, tell, cache=cache, hidden=hidden)
        if result["rows"]:
            result["coarser_window"] = {"rows": wide.rows, "cols": wide.cols}
        result["per_date"] = [{**row, "date": _iso(assembly, row["date"])} for row in dates]
    if truth is None:
        return result
    lead = next(source for source in plan.sources if source.role == assembly.lead)
    asked = _Asked(question, truth, plan.written, lead)
    taken = {key: round(value, 3) for key, value in vars(costs).items()}
    table = asked.judge(ours)
    _add(result, assembly, name, {**table, "rows": [{**row, **taken} for row in table["rows"]]})
    for done, settings in enumerate(rivals):
        told = text_of(settings)
        tell(done / len(rivals), f"running '{told}' for comparison")
        ((_, table),) = contest(asked, {told: methods.create(settings)}, cache)
        _add(result, assembly, told, table)
    return result


@dataclass(frozen=True, eq=False)
class _Asked:
    """What every rival is asked, and the truth that no rival is given; see `contest.Stage`."""

    problem: Problem
    """Without the truth."""

    truth: torch.Tensor
    """(time, band, y, x) reflectance."""

    kept: tuple[int, ...]
    """Indices of the dates that are scored."""

    lead: Source
    """The sensor whose bands the series has, and whose dates count as observed."""

    @property
    def said(self) -> Row:
        """Nothing beside the figures."""
        return {}

    @property
    def blank(self) -> Row:
        """No scores over all dates."""
        return {"subset": "all"}

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores depend on: question, truth, settings and code."""
        code = fingerprint_of_code(method)
        return fingerprint("truth", self._asked, settings_of(method), code, METRICS, _FORM)

    @cached_property
    def _asked(self) -> str:
        return fingerprint(self.problem, self.truth, self.kept, self.lead.ratio, self.lead.dates)

    def judge(self, answer: Dated) -> Table:
        """`rows` of the published dates, observed and missing ones; and `per_date`."""
        kept = self.kept
        observed = [i for i, date in enumerate(kept) if date in self.lead.dates]
        truth = self.truth[list(kept)]
        scores = score(Dates(answer, kept), truth, self.lead.ratio, observed, names=METRICS)
        dates = [{**row, "date": kept[int(row["date"] or 0)]} for row in scores.to_dates()]
        return {"rows": scores.to_rows(), "per_date": dates}


def _add(result: dict[str, Any], assembly: Assembly, name: str, table: Table) -> None:
    """Put one method's rows beside the others."""
    result["rows"] += [{"method": name, **row} for row in table["rows"]]
    for row in table.get("per_date", ()):
        result["per_date"].append({"method": name, **row, "date": _iso(assembly, row["date"])})


def others(method: FusionMethod, rivals: Sequence[str | Mapping[str, Any]]) -> list[str | Mapping[str, Any]]:
    """The rivals that are not the method itself with the very settings it has."""
    own = settings_of(method)
    return [rival for rival in rivals if settings_of(methods.create(rival)) != own]


def _truth(plan: Plan, window: Window) -> torch.Tensor | None:
    """The simulated truth of a window, as it was before it was rounded for the store."""
    store = CubeStore(plan.inputs)
    if TRUTH not in store.names():
        return None
    return torch.from_numpy(store.read(TRUTH, window)[0])


def _published(store: CubeStore, plan: Plan, window: Window) -> Answer:
    """The published dates as an answer; dates that were not published are zero, and are not looked at."""
    time, band, _, _ = plan.target.shape
    values = np.zeros((time, band, *window.shape[1:]), np.float32)
    quality = np.zeros((time, 1, *window.shape[1:]), np.uint8)
    for out, date in enumerate(plan.written):
        place = Window((out, out + 1), window.rows, window.cols)
        values[date] = store.read("", place)[0][0]
        quality[date, 0] = store.read_qa("", place)[0]
    return Answer(torch.from_numpy(values), torch.from_numpy(quality))


def _consistency(name: str, answer: Answer, question: Problem, plan: Plan, assembly: Assembly) -> list[Row]:
    """The series degraded to each sensor and held against what it saw: needs no truth."""
    rows = []
    for found in compare(answer, {str(role): seen for role, seen in question.observations.items()}):
        if found.date in plan.written:
            row = {
                "method": name,
                "role": found.role,
                "date": _iso(assembly, found.date),
                "valid": found.valid,
            }
            rows.append({**row, "noise": found.noise, **found.values})
    return rows


def _iso(assembly: Assembly, date: int) -> str:
    return str(assembly.times[date])[:10]
