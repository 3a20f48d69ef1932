"""MadeFrom: what a published series was made from, date by date: what has changed is known exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stsfusion.cube.generations import date_marks
from stsfusion.cube.spec import milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.engine.plan import Plan
from stsfusion.errors import StoreError
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.assemble import Assembly
from stsfusion.pipeline.fingerprint import fingerprint
from stsfusion.pipeline.neighbourhood import intervals
from stsfusion.pipeline.ourcode import our_code
from stsfusion.pipeline.recipe import Recipe

__all__ = ["Difference", "MadeFrom", "asked", "published"]

_KEY = "made_from"
"""The attribute of a series that tells it."""


@dataclass(frozen=True)
class MadeFrom:
    """What a series is made from."""

    frame: str
    """Fingerprint of all that every date shares but the input: method, settings, instruments, grid, tiles."""

    code: str
    """Fingerprint of the code."""

    learned_from: str
    """Fingerprint of the input cubes from which the method learned."""

    origin: int
    """Milliseconds since 1970 of the date from which days were counted then."""

    weights: str
    """Fingerprint of what it learned; empty: not known yet."""

    dates: Mapping[int, str]
    """For each published date (milliseconds since 1970) the fingerprint of the input in its neighbourhood."""

    @cached_property
    def identity(self) -> str:
        """The series' name among all that could be made."""
        shown = {str(time): mark for time, mark in self.dates.items()}
        return fingerprint(
            "series", self.frame, self.code, self.learned_from, self.origin, self.weights, shown
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """As a series says it of itself."""
        said = {
            "frame": self.frame,
            "code": self.code,
            "learned_from": self.learned_from,
            "origin": self.origin,
            "dates": {_iso(time): mark for time, mark in self.dates.items()},
        }
        return {"weights_sha256": self.weights, "series_sha256": self.identity, _KEY: said}

    def with_learning_of(self, other: MadeFrom) -> MadeFrom:
        """The same, with what the other learned."""
        return replace(self, learned_from=other.learned_from, origin=other.origin, weights=other.weights)


@dataclass(frozen=True)
class Difference:
    """What parts a published series from the one that is asked for."""

    kept: Mapping[int, int]
    """Dates that stay as they are: index in the published series -> index in the one that is asked for."""

    new: tuple[int, ...]
    """Indices of dates that were not published."""

    changed: tuple[int, ...]
    """Indices of dates whose neighbourhood has other input now."""

    gone: tuple[int, ...]
    """Published dates (milliseconds since 1970) of which there is no input any more."""

    @classmethod
    def between(cls, was: MadeFrom, now: MadeFrom) -> Difference:
        """Of two series with the same frame."""
        old = {time: at for at, time in enumerate(was.dates)}
        kept, new, changed = dict[int, int](), list[int](), list[int]()
        for at, (time, mark) in enumerate(now.dates.items()):
            if time not in old:
                new.append(at)
            elif was.dates[time] == mark:
                kept[old[time]] = at
            else:
                changed.append(at)
        gone = tuple(time for time in was.dates if time not in now.dates)
        return cls(kept, tuple(new), tuple(changed), gone)

    def remaking(self, dates: Collection[int]) -> Difference:
        """The same, but that these dates (indices in the published series) do not stay as they are."""
        kept = {before: after for before, after in self.kept.items() if before not in dates}
        remade = (after for before, after in self.kept.items() if before in dates)
        return replace(self, kept=kept, changed=tuple(sorted({*self.changed, *remade})))

    @property
    def nothing(self) -> bool:
        """Whether there is none."""
        return not (self.new or self.changed or self.gone)

    @property
    def appends(self) -> bool:
        """Whether all of it are new dates after the last one."""
        return not (self.changed or self.gone) and all(at == before for before, at in self.kept.items())

    def __str__(self) -> str:
        """In words."""
        parts = [(len(self.new), "new"), (len(self.changed), "changed"), (len(self.gone), "without input")]
        return ", ".join(f"{count} {what}" for count, what in parts if count) or "none"


def asked(recipe: Recipe, assembly: Assembly, plan: Plan, content: str) -> MadeFrom:
    """What the series of these cubes would be made from, with what would be learned from them.

    Parameters
    ----------
    plan
        Of the input store's cubes as they are published now.
    content
        Their fingerprint.
    """
    method, fuse = plan.method, recipe.fuse
    static = [replace(source, dates=()) for source in plan.sources]
    grid = (assembly.grid.shape, assembly.grid.transform, assembly.grid.crs)
    work = (fuse.cutting, fuse.shard_size, fuse.neighbours, fuse.product)
    labels = (assembly.names, plan.target.wavelengths, assembly.fwhm)
    frame = fingerprint(
        "frame", settings_of(method), recipe.digest("fit", "roles"), static, grid, work, labels
    )
    times = milliseconds(assembly.times)
    return MadeFrom(frame, our_code(method), content, int(times[0]), "", _dates(plan, times, fuse.neighbours))


def _dates(plan: Plan, times: np.ndarray, neighbours: int | None) -> dict[int, str]:
    """For each published date what lies in its neighbourhood: dates, and what each sensor saw on them."""
    seen: list[list[Any]] = [[int(time)] for time in times]
    for source in plan.sources:
        for date, marks in zip(source.dates, date_marks(plan.inputs, source.cube), strict=True):
            seen[date].append([source.role, fingerprint(marks)])
    single = [fingerprint(each) for each in seen]
    around = intervals(len(times), plan.sources, plan.method.span(), neighbours)
    together = {interval: fingerprint(single[slice(*interval)]) for interval in set(around)}
    return {int(times[date]): fingerprint(single[date], together[around[date]]) for date in plan.written}


def published(series: Path) -> MadeFrom | None:
    """What a series says that it was made from; None: there is none, or it does not say."""
    store = CubeStore(series)
    try:
        spec = store.spec("") if "" in store.names() else None
        if spec is None:
            return None
        said = spec.attributes[_KEY]
        marks = _in_order(spec.times, said["dates"])
        weights = str(spec.attributes["weights_sha256"])
        learned = (str(said["frame"]), str(said["code"]), str(said["learned_from"]), int(said["origin"]))
        return MadeFrom(*learned, weights, marks)
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _in_order(times: Sequence[int], marks: Mapping[str, str]) -> dict[int, str]:
    return {time: str(marks[_iso(time)]) for time in times}


def _iso(time: int) -> str:
    return str(np.datetime64(time, "ms"))
