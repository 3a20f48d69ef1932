"""Stage: a true series under a protocol, what is asked of a method, and how its answer is judged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stsfusion.forward.padding import pad_to_multiple, unpad
from stsfusion.forward.simulate import Protocol, simulate
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.intervals import INTERVALS, SIGMA_RANK, intervals, rank_correlation
from stsfusion.pipeline.ranges import ranges
from stsfusion.pipeline.truth import Truth
from stsfusion.quality.scores import Scores, score

__all__ = ["METRICS", "Extent", "SeriesStage"]

METRICS = ("cc", "sam", "psnr", "ssim", "rmse", "ergas")
"""Columns of the table, in this order."""

_FORM = 2
"""Of the table; another number, and it is made anew."""

_SUPPORT = 0.999
"""Share of an instrument's weights that must lie on known truth for an observation to be valid."""


@dataclass(frozen=True, eq=False)
class Extent:
    """An answer cut back to the truth's own rows and columns."""

    answer: Answer
    """On the padded grid."""

    rows: int
    """Rows that are the truth's own."""

    cols: int
    """Columns that are the truth's own."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        return *self.answer.shape[:2], self.rows, self.cols

    def date(self, i: int) -> Tensor:
        """(band, y, x) reflectance of one date."""
        return unpad(self.answer.date(i), self.rows, self.cols)


@dataclass(frozen=True, eq=False)
class SeriesStage:
    """A true series under a protocol, see `contest.Stage`."""

    truth: Truth
    """The series, on its own extent."""

    protocol: Protocol
    """Who observes it, and with what errors."""

    @cached_property
    def problem(self) -> Problem:
        """The simulated problem with its truth, padded by reflection to what the ratios divide.

        Gaps of the truth are filled with the mean of their band and date, and what was seen through them is
        marked as invalid.
        """
        multiple = math.lcm(self.protocol.rich_ratio, self.protocol.dense_ratio)
        values = pad_to_multiple(torch.from_numpy(_filled(self.truth)), multiple)
        nm, days = torch.from_numpy(self.truth.wavelengths), torch.from_numpy(self.truth.days)
        problem = simulate(values, nm, days, self.protocol)
        if self.truth.valid.all():
            return problem
        known = pad_to_multiple(torch.from_numpy(self.truth.valid), multiple).float()
        seen = {role: _masked(each, known) for role, each in problem.observations.items()}
        return Problem(problem.target, truth=problem.truth, **seen)

    @property
    def observed(self) -> list[int]:
        """Indices of the dates that the rich sensor saw."""
        return self.problem.require("rich", by="benchmark")[0].dates

    @cached_property
    def said(self) -> dict[str, Any]:
        """Protocol, truth and version as plain JSON: what stands beside the figures."""
        truth = self.truth
        shape = dict(zip(("dates", "bands", "rows", "cols"), truth.values.shape, strict=True))
        content = fingerprint(truth.values, truth.valid, truth.wavelengths, truth.days)
        about = {
            "truth": truth.name,
            "truth_sha256": content,
            "truth_shape": shape,
            "times": list(truth.times),
        }
        return {
            **self.protocol.settings(),
            "rich_dates": self.observed,
            **about,
            "stsfusion": version("stsfusion"),
        }

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores depend on: truth, question, settings and code."""
        parts = list(ranges(self.truth.wavelengths.tolist()))
        code = fingerprint_of_code(method)
        return fingerprint(self._scene, settings_of(method), code, METRICS, parts, _FORM)

    @property
    def blank(self) -> dict[str, Any]:
        """No scores over all dates."""
        return {"subset": "all", **dict.fromkeys(METRICS)}

    def judge(self, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """`rows` (all, observed, missing dates; then parts of the spectrum) and `per_date`, see `scores`.

        Rows of an answer that says how sure it is say how honestly, see `intervals`.
        """
        scores = self.scores(answer)
        return {
            "rows": [
                {**{key: value for key, value in row.items() if key != "dates"}, **honest}
                for row, honest in zip(scores.to_rows(), self._honesty(answer, scores), strict=True)
            ],
            "per_date": [
                {"time": self.truth.times[date.date], **row}
                for date, row in zip(scores.dates, scores.to_dates(), strict=True)
            ],
        }

    def _honesty(self, answer: Answer, scores: Scores) -> Iterator[dict[str, float | None]]:
        """For each average whether stated deviations hold; nothing where none are stated."""
        if (said := answer.sigma) is None:
            yield from ({} for _ in scores.averages)
            return
        parts = ranges(self.truth.wavelengths.tolist())
        sigma = said.expand(answer.shape)
        for row in scores.averages:
            asked = {"all": (False, True), "observed": (True,), "missing": (False,)}[row.subset]
            dates = [date for date in range(len(sigma)) if (date in self.observed) in asked]
            bands = parts.get(row.bands) or list(range(answer.shape[1]))
            looks = [self._known(answer, sigma, date, bands) for date in dates]
            if not looks:
                yield dict.fromkeys((*INTERVALS, SIGMA_RANK))
                continue
            values, truth, stated = (torch.cat(part) for part in zip(*looks, strict=True))
            held = intervals(values, truth, stated)
            yield {**held, SIGMA_RANK: rank_correlation(values, truth, stated)}

    def _known(
        self, answer: Answer, sigma: Tensor, date: int, bands: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(n,) values, truth and sigma of a date, where the truth is known."""
        rows, cols = self.truth.values.shape[2:]
        known = torch.from_numpy(self.truth.valid[date][bands])
        true = torch.from_numpy(self.truth.values[date][bands])
        own, stated = (unpad(x, rows, cols)[bands] for x in (answer.date(date), sigma[date]))
        return own[known], true[known], stated[known]

    @cached_property
    def _scene(self) -> str:
        return fingerprint(self.problem, self.truth.values.shape, self.truth.valid)

    def scores(self, answer: Answer) -> Scores:
        """Scores on the truth's own extent, gaps left out; VNIR and SWIR apart where there are both.

        Raises
        ------
        ProblemError
            When the answer has another shape, or is not finite where it is scored.
        """
        values, valid = torch.from_numpy(self.truth.values), torch.from_numpy(self.truth.valid)
        own = Extent(answer, *values.shape[2:])
        ratio, known = self.protocol.rich_ratio, None if bool(valid.all()) else valid
        parts = ranges(self.truth.wavelengths.tolist())
        return score(own, values, ratio, self.observed, valid=known, names=METRICS, groups=parts)


def _filled(truth: Truth) -> NDArray[np.float32]:
    """Gaps get the mean of their band and date; of their band, where a date has none; else zero."""
    if truth.valid.all():
        return truth.values
    count = truth.valid.sum((2, 3))
    total = truth.values.sum((2, 3), dtype=np.float64)
    band = total.sum(0) / np.maximum(count.sum(0), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), band)
    return np.where(truth.valid, truth.values, mean[:, :, None, None]).astype(np.float32)


def _masked(observation: Observation, known: Tensor) -> Observation:
    """Invalid wherever more than a trace of what it saw is a gap of the truth."""
    support = observation.view(known) >= _SUPPORT
    return replace(observation, valid=observation.valid & support)
