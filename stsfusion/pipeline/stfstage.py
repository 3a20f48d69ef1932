"""StfStage: real fine and coarse series, the fine image of one date hidden, and how an answer is judged.

::

    fine    F(0)   ·   F(2)  F(3)        the hidden one is never handed out
    coarse  C(0)  C(1)  C(2)  C(3)       every date
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.errors import CubeError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.fusion.weights import settings_of
from stsfusion.operators.blur import Blur, box_kernel, identity_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.operators.mix import pick
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.intervals import SIGMA_RANK, intervals, rank_correlation
from stsfusion.pipeline.middle import Dates
from stsfusion.pipeline.stage import METRICS
from stsfusion.pipeline.stfscene import FineAndCoarse
from stsfusion.quality.scores import score

__all__ = ["StfStage"]

_FORM = 1
"""Of the table; another number, and it is made anew."""


@dataclass(frozen=True, eq=False)
class StfStage:
    """One hidden date of two real series, see `contest.Stage`."""

    scene: FineAndCoarse
    """What both sensors saw."""

    hidden: int
    """Index of the date whose fine image is to be predicted."""

    coarse: str = "coarse"
    """The coarse sensor's name."""

    def __post_init__(self) -> None:
        dates = len(self.scene.fine.times)
        where = f"series {self.scene.fine.name}"
        if not 0 <= self.hidden < dates:
            raise CubeError(
                f"{where}, date to predict",
                expected=f"an index from 0 to {dates - 1}",
                got=f"{self.hidden}",
                mend="Count the dates of the file from 0.",
            )
        if dates < 2:
            raise CubeError(where, expected="two dates at least", got="one, and it is to be predicted")
        if not self.scene.fine.valid[self.hidden].any():
            raise CubeError(
                f"{where}, {self._day}", expected="a fine image to score against", got="gaps everywhere"
            )

    @cached_property
    def problem(self) -> Problem:
        """The question: fine images of all other dates, coarse ones of all; optics are not known."""
        fine = self.scene.fine
        time, band, rows, cols = fine.values.shape
        shape = (time, band, rows, cols)
        nm, days = torch.from_numpy(fine.wavelengths), torch.from_numpy(fine.days)
        shown = [date for date in range(time) if date != self.hidden]
        sharp = _seen(fine.values[shown], fine.valid[shown], shape, shown, 1, known=True)
        dense = _seen(
            self.scene.values, self.scene.valid, shape, list(range(time)), self.scene.ratio, known=False
        )
        return Problem(Target(shape, nm, days), sharp=sharp, dense=dense)

    @property
    def _day(self) -> str:
        return self.scene.fine.times[self.hidden]

    @cached_property
    def said(self) -> dict[str, Any]:
        """Scene, question and version as plain JSON: what stands beside the figures."""
        fine = self.scene.fine
        return {
            "truth": fine.name,
            "truth_sha256": fingerprint(fine.values, fine.valid, fine.wavelengths, fine.days),
            "truth_shape": dict(zip(("dates", "bands", "rows", "cols"), fine.values.shape, strict=True)),
            "times": list(fine.times),
            "coarse": self.coarse,
            "ratio": self.scene.ratio,
            "predict": self.hidden,
            "stsfusion": version("stsfusion"),
        }

    @property
    def blank(self) -> dict[str, Any]:
        """No scores."""
        return {"subset": "missing", **dict.fromkeys(METRICS)}

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores depend on: series, question, settings and code."""
        return fingerprint(self._asked, settings_of(method), fingerprint_of_code(method), METRICS, _FORM)

    @cached_property
    def _asked(self) -> str:
        fine = self.scene.fine
        return fingerprint(self.problem, self.hidden, fine.values[self.hidden], fine.valid[self.hidden])

    def judge(self, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """`rows` (one, of the hidden date) and `per_date`.

        Rows of an answer that says how sure it is say how honestly, see `intervals`.

        Raises
        ------
        ProblemError
            When the answer has another shape, or is not finite where it is scored.
        """
        once = slice(self.hidden, self.hidden + 1)
        truth, valid = (torch.from_numpy(x[once]) for x in (self.scene.fine.values, self.scene.fine.valid))
        known = None if bool(valid.all()) else valid
        asked = Dates(answer, (self.hidden,))
        scores = score(asked, truth, self.scene.ratio, [], valid=known, names=METRICS)
        row = {"subset": "missing", **scores.average("missing").values}
        honest = self._honesty(answer, truth[0], valid[0])
        return {
            "rows": [row | honest],
            "per_date": [{"time": self._day, "date": self.hidden, **row}],
        }

    def _honesty(self, answer: Answer, truth: Tensor, valid: Tensor) -> dict[str, float | None]:
        """Whether stated deviations of the hidden date hold; nothing where none are stated."""
        if (said := answer.sigma_of(self.hidden)) is None:
            return {}
        sigma, values, true = said[valid], answer.date(self.hidden)[valid], truth[valid]
        return {**intervals(values, true, sigma), SIGMA_RANK: rank_correlation(values, true, sigma)}


def _seen(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    shape: Shape,
    dates: list[int],
    ratio: int,
    *,
    known: bool,
) -> Observation:
    """A sensor with the target's bands; unknown optics are at least as wide as a pixel."""
    temporal = pick(dates, shape)
    bands = pick(range(shape[1]), temporal.out_shape, "band")
    kernel = box_kernel(ratio) if ratio > 1 or known else pad(identity_kernel(), (1, 1, 1, 1))
    view = Degradation(temporal, bands, Blur(kernel, ratio, bands.out_shape, known=known))
    mask = torch.from_numpy(valid)
    same = bool((mask == mask[:, :1]).all())
    return Observation(torch.from_numpy(values), mask[:, :1] if same else mask, view)
