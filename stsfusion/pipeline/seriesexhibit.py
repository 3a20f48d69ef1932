"""Seriesexhibit: a series stage of which pictures of one date are kept: of every answer, on a missed date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from stsfusion.forward.padding import unpad
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Observation, Problem
from stsfusion.pipeline.contest import Row, Table
from stsfusion.pipeline.fingerprint import fingerprint
from stsfusion.pipeline.plates import Plates, every
from stsfusion.pipeline.stage import SeriesStage
from stsfusion.pipeline.trial import Trial
from stsfusion.views.composite import FALSE, TRUE, Choice, Composite, choose

__all__ = ["SeriesExhibit"]

_FORM = 1
"""Of what is kept; another number, and rows are computed anew."""


@dataclass(frozen=True, eq=False)
class SeriesExhibit:
    """A series under a protocol, see `contending.Question`, and what is shown of the answers."""

    stage: SeriesStage
    """The question and its judge."""

    words: ClassVar[Mapping[str, str]] = {
        "hyperspectral": "given, nearest date",
        "multispectral": "given, nearest date",
        "dense": "given, this date",
    }
    """What is said of the images that methods were given."""

    maps: ClassVar[tuple[str, ...]] = ("rmse", "sam")
    """Error maps that are shown."""

    @property
    def problem(self) -> Problem:
        """What is asked."""
        return self.stage.problem

    @property
    def said(self) -> Row:
        """What stands beside the figures."""
        return self.stage.said

    @property
    def blank(self) -> Row:
        """No scores."""
        return self.stage.blank

    @property
    def place(self) -> str:
        """The series."""
        return self.stage.truth.name

    @cached_property
    def date(self) -> int:
        """Index of the date that is shown: the middle one of those that the rich sensor missed, or of all."""
        every_date = range(len(self.stage.truth.times))
        missed = [date for date in every_date if date not in self.stage.observed]
        return (missed or list(every_date))[len(missed or every_date) // 2]

    @property
    def title(self) -> str:
        """Series and date."""
        missed = "" if self.date in self.stage.observed else ", missed by the hyperspectral sensor"
        return f"{self.place}, {self.stage.truth.times[self.date][:10]}{missed}"

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """(band,) nm."""
        return self.stage.truth.wavelengths

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores and pictures depend on."""
        shown = (_FORM, self.date, list(self.choice.bands))
        return fingerprint(self.stage.key(method), "series exhibit", shown)

    def judge(self, answer: Answer) -> Table:
        """The scores."""
        return {**self.stage.judge(answer)}

    def keepsake(self, trial: Trial) -> Mapping[str, Any]:
        """`plates` of the date that is shown."""
        image = unpad(trial.answer.date(self.date), *self._true.shape[1:]).numpy()
        return {"plates": Plates.of(image, self._true, self.choice.bands).to_json()}

    def figure(self, table: Table, name: str) -> float | None:
        """A number of the date that is shown."""
        time = self.stage.truth.times[self.date]
        row = next(row for row in table["per_date"] if row["time"] == time and "/" not in row["subset"])
        value: float | None = row[name]
        return value

    @cached_property
    def composite(self) -> Composite:
        """True colour, or false colour where the truth sees no blue."""
        return TRUE if choose(self._labelled, TRUE).exact else FALSE

    @cached_property
    def choice(self) -> Choice:
        """The truth's bands that are shown as red, green and blue."""
        return choose(self._labelled, self.composite)

    def given(self) -> dict[str, NDArray[np.float32]]:
        """(3, y, x) composites of the truth and of what methods were given, on the truth's pixels."""
        size = (self._true.shape[1], self._true.shape[2])
        seen = self.problem.observations
        looks = {"truth": torch.from_numpy(self._true[list(self.choice.bands)])}
        names = {"rich": "hyperspectral", "sharp": "multispectral", "dense": "dense"}
        looks |= {names[role]: self._nearest(each, self._bands(each)) for role, each in seen.items()}
        step = every(size)
        return {name: unpad(look, *size)[:, step, step].numpy() for name, look in looks.items()}

    def _nearest(self, seen: Observation, bands: list[int]) -> Tensor:
        """(3, y, x) its image of the date nearest to the one that is shown, pixels repeated."""
        days = self.problem.target.days
        gaps = [abs(float(days[date] - days[self.date])) for date in seen.dates]
        image = seen.data[gaps.index(min(gaps))][bands]
        return image.repeat_interleave(seen.ratio, 1).repeat_interleave(seen.ratio, 2)

    def _bands(self, seen: Observation) -> list[int]:
        """A sensor's bands nearest to the composite's."""
        weights = seen.view.spectral.matrix.double().numpy()
        centres = weights @ self.wavelengths / np.maximum(weights.sum(1), 1e-12)
        return list(choose(_cube(np.zeros((len(centres), 1, 1), np.float32), centres), self.composite).bands)

    @property
    def _true(self) -> NDArray[np.float32]:
        """(band, y, x) truth of the date that is shown."""
        return self.stage.truth.values[self.date]

    @property
    def _labelled(self) -> xr.DataArray:
        return _cube(self._true, self.wavelengths)


def _cube(values: NDArray[np.float32], wavelengths: NDArray[np.float64]) -> xr.DataArray:
    return xr.DataArray(values, dims=("band", "y", "x"), coords={"wavelength": ("band", wavelengths)})
