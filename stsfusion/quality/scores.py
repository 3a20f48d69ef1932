"""Scores: an answer against the truth, date by date, with the three averages that every table shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.quality.metric import average, pair
from stsfusion.quality.metrics import choose

__all__ = ["Dated", "Scores", "Subset", "Values", "score"]

Subset = Literal["all", "observed", "missing"]
"""All dates, those that the rich sensor observed, those that it missed."""

SUBSETS: tuple[Subset, ...] = ("all", "observed", "missing")

Values = Mapping[str, float | None]
"""Value of each metric by name; None: nothing could be said."""


class Dated(Protocol):
    """What can be scored: a cube that gives one date at a time, so that it is never expanded whole."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, band, y, x)."""
        ...

    def date(self, i: int) -> Tensor:
        """(band, y, x) reflectance of one date."""
        ...


@dataclass(frozen=True)
class DateScore:
    """The values of one date."""

    date: int
    """Index of the date, from 0."""

    observed: bool
    """Whether the rich sensor saw it."""

    bands: str
    """Name of the group of bands; '' for all of them."""

    values: Values
    """Metrics of this date."""


@dataclass(frozen=True)
class Average:
    """Means over the dates of a subset."""

    subset: Subset
    """Which dates."""

    bands: str
    """Name of the group of bands; '' for all of them."""

    dates: int
    """How many dates there are in the subset."""

    values: Values
    """Means over those dates at which something could be said."""


@dataclass(frozen=True)
class Scores:
    """A table of scores: every date, and three averages."""

    dates: tuple[DateScore, ...]
    """One row a date and group of bands."""

    groups: tuple[str, ...] = ("",)
    """Groups of bands, '' for all of them."""

    @property
    def averages(self) -> tuple[Average, ...]:
        """All, observed and missing dates, for each group of bands; the three are always there."""
        return tuple(self._average(subset, group) for group in self.groups for subset in SUBSETS)

    def average(self, subset: Subset = "all", bands: str = "") -> Average:
        """The means over one subset of dates and one group of bands."""
        return self._average(subset, bands)

    def to_rows(self) -> list[dict[str, float | int | str | None]]:
        """The averages as plain rows for JSON; a group of bands is named as in 'missing/swir'."""
        return [
            {"subset": _label(row.subset, row.bands), "dates": row.dates, **row.values}
            for row in self.averages
        ]

    def to_dates(self) -> list[dict[str, float | int | str | None]]:
        """The dates as plain rows for JSON."""
        return [
            {
                "date": row.date,
                "subset": _label("observed" if row.observed else "missing", row.bands),
                **row.values,
            }
            for row in self.dates
        ]

    def _average(self, subset: Subset, bands: str) -> Average:
        rows = [row for row in self.dates if row.bands == bands]
        names = list(rows[0].values) if rows else []
        rows = [row for row in rows if subset == "all" or row.observed == (subset == "observed")]
        return Average(subset, bands, len(rows), {n: average([row.values[n] for row in rows]) for n in names})


def _label(subset: str, bands: str) -> str:
    return f"{subset}/{bands}" if bands else subset


def score(
    answer: Dated,
    truth: Tensor,
    ratio: int,
    observed_dates: Sequence[int],
    valid: Tensor | None = None,
    names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> Scores:
    """Compare an answer with the truth, one date in memory at a time.

    Parameters
    ----------
    truth
        (time, band, y, x) reflectance.
    ratio
        Target pixels along one side of a pixel of the rich sensor, for ERGAS.
    observed_dates
        Indices of the dates that the rich sensor saw.
    valid
        bool, broadcastable to the truth: what is to be scored; None: everything.
    names
        Metrics, in the order of the columns; None: all.
    groups
        Band indices by name, such as VNIR and SWIR, for averages of their own beside those over all bands.

    Raises
    ------
    ProblemError
        When shapes differ, a metric is not known, or a pixel to be scored is not finite.
    """
    if tuple(answer.shape) != tuple(truth.shape):
        raise ProblemError(
            "scores", expected=f"an answer of shape {tuple(truth.shape)}", got=f"{tuple(answer.shape)}"
        )
    chosen, seen = choose(None if names is None else tuple(names)), set(observed_dates)
    picks = {"": None, **{name: torch.as_tensor(list(bands)) for name, bands in (groups or {}).items()}}
    rows = []
    for i in range(truth.shape[0]):
        image, true = answer.date(i), truth[i]
        mask = None if valid is None else valid.expand(truth.shape)[i]
        for group, pick in picks.items():
            date = pair(*(_pick(x, pick) for x in (image, true)), ratio=ratio, valid=_some(mask, pick))
            values = {name: metric.formula(date) for name, metric in chosen.items()}
            rows.append(DateScore(i, i in seen, group, values))
    return Scores(tuple(rows), tuple(picks))


def _pick(x: Tensor, bands: Tensor | None) -> Tensor:
    return x if bands is None else x[bands.to(x.device)]


def _some(mask: Tensor | None, bands: Tensor | None) -> Tensor | None:
    return None if mask is None else _pick(mask, bands)
