"""Seriescomparing: a recipe's comparison on series, from true series to rows and pictures.

::

    series ─ protocol ─► exhibits ─┐
    methods ───────────────────────┴─► contest ─► rows · per_date · by_band ─► pictures
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from stsfusion import resources
from stsfusion.errors import CubeError
from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.comparing import by_band
from stsfusion.pipeline.contending import Contending, Result
from stsfusion.pipeline.contest import Table
from stsfusion.pipeline.entrants import Entrant, named
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code, fingerprint_of_parts
from stsfusion.pipeline.pairpictures import pictures
from stsfusion.pipeline.seriescompare import CompareSeries
from stsfusion.pipeline.seriesexhibit import SeriesExhibit
from stsfusion.pipeline.seriestruth import file_of, middle_of, true_series
from stsfusion.pipeline.stage import SeriesStage
from stsfusion.pipeline.stamps import stamps
from stsfusion.pipeline.truth import Truth
from stsfusion.sensing.sensor import load_sensor
from stsfusion.views.palette import Picture

__all__ = ["SeriesComparison", "print_of_series"]


@dataclass(frozen=True, eq=False)
class SeriesComparison(Contending[SeriesExhibit]):
    """All series and all methods of a recipe, looked at before any work."""

    asked: CompareSeries
    """What the recipe says."""

    stages: tuple[SeriesStage, ...]
    """Series under the protocol."""

    entrants: tuple[Entrant, ...]
    """Rows of every table."""

    @classmethod
    def of(cls, asked: CompareSeries, near: Path) -> Self:
        """Read the series and make the methods; paths are seen from `near`, the recipe's folder.

        Raises
        ------
        CubeError, MethodError, SensorError, ProblemError, RecipeError
            When series, methods or protocol cannot be used.
        """
        rows, protocol = tuple(_entrants(asked)), _protocol(asked, near)
        multiple = math.lcm(protocol.rich_ratio, protocol.dense_ratio)
        truths = [true_series(text, near, asked.season) for text in asked.series]
        _distinct(truths)
        for truth in truths:
            protocol.dates("rich", len(truth.times))
        cut = (middle_of(truth, asked.side, multiple) for truth in truths)
        return cls(asked, tuple(SeriesStage(truth, protocol) for truth in cut), rows)

    def questions(self) -> Iterator[tuple[SeriesExhibit, Sequence[Entrant]]]:
        """Every series."""
        return ((SeriesExhibit(replace(stage)), self.entrants) for stage in self.stages)

    def empty(self) -> Result:
        """What is asked."""
        lists: Result = {name: [] for name in ("scenes", "rows", "per_date", "by_band")}
        return {"protocol": self.asked.model_dump(mode="json"), **lists}

    def add(
        self,
        result: Result,
        asked: SeriesExhibit,
        rows: Sequence[Entrant],
        tables: Mapping[str, Table],
    ) -> None:
        """Put one series' rows, dates and curves beside the others."""
        nm = asked.wavelengths.round(2).tolist()
        result["scenes"].append({**asked.said, "wavelengths": nm})
        for entrant in rows:
            table = tables[entrant.label]
            said = {"scene": asked.place, "method": entrant.label}
            for part in ("rows", "per_date"):
                result[part] += [{**said, "quick": entrant.quick, **row} for row in table.get(part, ())]
            if "plates" in table:
                date = asked.stage.truth.times[asked.date]
                result["by_band"].append({**said, "time": date, "psnr": by_band(table)})

    def drawn(
        self, asked: SeriesExhibit, rows: Sequence[Entrant], tables: Mapping[str, Table]
    ) -> list[Picture]:
        """Composites, error maps and curves of one date."""
        return pictures(asked, rows, tables, self.asked.about or "")

    def words(self, kept: int) -> str:
        """What a run would do."""
        first = self.stages[0].truth
        dates, bands, rows, cols = first.values.shape
        many = f"{len(self.entrants)} methods and settings on {len(self.stages)} series"
        return "\n".join(
            [
                f"Would compare {many}, profile '{self.asked.profile}'.",
                f"first    {first.name}, {dates} dates × {bands} bands × {rows} × {cols} pixels",
                f"rows     {self.trials}, of which {kept} are done",
            ]
        )


def print_of_series(asked: CompareSeries, near: Path, *, shown: bool) -> str:
    """Fingerprint of all that rows and pictures depend on, series by their files' size and time."""
    files = stamps((file_of(text, near) for text in asked.series), near)
    names = [getattr(asked.protocol, role) for role in ("sharp", "dense")]
    found = [resources.find("catalogs", f"sensors/{name}.yaml") for name in names if name]
    sensors = [path.read_bytes() for path in found if path]
    rows = _entrants(asked)
    methods = [(row.label, settings_of(row.method), fingerprint_of_code(row.method)) for row in rows]
    code = fingerprint_of_parts("cube", "forward", "sensing", "views", "pipeline")
    said = json.dumps(asked.model_dump(mode="json"), sort_keys=True)
    return fingerprint("compare_series", said, files, methods, code, sensors, shown)


def _entrants(asked: CompareSeries) -> list[Entrant]:
    return named(asked.methods, quick=asked.profile == "quick", where="compare_series.methods")


def _protocol(asked: CompareSeries, near: Path) -> Protocol:
    """The protocol, its sensors taken from the catalogs as the recipe sees them."""
    said: dict[str, Any] = asked.protocol.model_dump()
    for role in ("sharp", "dense"):
        said[role] = None if said[role] is None else load_sensor(said[role], near)
    return Protocol(**said)


def _distinct(truths: Sequence[Truth]) -> None:
    """Rows are told apart by the series' name."""
    twice = [name for name, count in Counter(truth.name for truth in truths).items() if count > 1]
    if twice:
        raise CubeError(
            f"series {twice[0]}",
            expected="series of different names",
            got="two of this name",
            mend="Rename one.",
        )
