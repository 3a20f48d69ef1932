"""Facts: what a report says, as plain records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stsfusion.pipeline.scoreboard import ScoreRow
from stsfusion.views.palette import Picture

__all__ = ["Input", "MethodCard", "Part", "Phase", "Report", "Rows", "Stored"]


@dataclass(frozen=True)
class Input:
    """Something that was read."""

    role: str
    """rich, sharp, dense, truth, scene …"""

    name: str
    """Sensor, file or package."""

    words: str = ""
    """Size, dates, pixel, in words."""

    digest: str = ""
    """SHA-256 or fingerprint."""


@dataclass(frozen=True)
class MethodCard:
    """A method as it was run."""

    name: str
    """Its file's name."""

    title: str
    """One line."""

    source: str = ""
    """DOI of the paper, or 'stsfusion'."""

    settings: str = ""
    """Hyper-parameters, as text."""

    weights: str = ""
    """Hash of what it learned."""


@dataclass(frozen=True)
class Phase:
    """A step of the run and what it cost."""

    name: str
    """A word."""

    seconds: float
    """Wall clock, s."""

    peak_mb: float | None = None
    """Most memory, MiB."""

    words: str = ""
    """What was done."""


@dataclass(frozen=True)
class Stored:
    """Where data lies and how it is opened."""

    words: str
    """What it is."""

    path: str
    """Path of a Zarr store."""

    group: str = ""
    """Group within the store; '' for its root."""

    compact: bool = False
    """Whether it keeps maps from which its bands follow."""

    @property
    def python(self) -> str:
        """Three lines that open it in xarray."""
        if self.compact:
            return f"import stsfusion\nseries = stsfusion.open_cube({json.dumps(self.path)})\nprint(series)"
        group = f", group={json.dumps(self.group)}" if self.group else ""
        path = json.dumps(self.path, ensure_ascii=False)
        return f"import xarray as xr\nseries = xr.open_zarr({path}{group})\nprint(series.reflectance)"


@dataclass(frozen=True)
class Rows:
    """A table of texts."""

    title: str
    """What it lists."""

    heads: tuple[str, ...]
    """(column,) names with their units."""

    kinds: str
    """(column,) one letter each: t text, n number, w text that may break, h hash."""

    lines: tuple[tuple[str, ...], ...]
    """(row, column) texts."""

    folded: bool = False
    """Whether it is shown only when asked for."""


@dataclass(frozen=True)
class Part:
    """One matter of a section: what is said of it, its tables and its pictures."""

    title: str
    """A few words."""

    words: tuple[str, ...] = ()
    """Sentences; also what is missing, and why."""

    tables: tuple[Rows, ...] = ()
    """Lists."""

    pictures: tuple[Picture, ...] = ()
    """Pictures, under whatever section they name."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that goes on the page. All texts are taken as they are and escaped."""

    title: str
    """Heading."""

    simulated: bool
    """Whether any of the data is simulated; said in the header and beside every table and picture."""

    method: str = ""
    """The method that the report is about."""

    words: str = ""
    """A sentence or two on what was done."""

    made: str = ""
    """When, as text."""

    recipe_text: str = ""
    """The recipe as it was run."""

    inputs: Sequence[Input] = ()
    """What was read."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Program or library -> version."""

    hashes: Mapping[str, str] = field(default_factory=dict)
    """Thing -> fingerprint."""

    methods: Sequence[MethodCard] = ()
    """Every method in the tables."""

    scores: Sequence[ScoreRow] = ()
    """method, subset (all, observed, missing), metrics, fit_s, fuse_s, peak_mb."""

    per_date: Sequence[ScoreRow] = ()
    """method, time (ISO) or date, subset (observed or missing), metrics."""

    without_truth: Sequence[ScoreRow] = ()
    """method, role, time or date, metrics of the degraded answer against what was observed."""

    phases: Sequence[Phase] = ()
    """Steps in their order."""

    figures: Sequence[Picture] = ()
    """Pictures, grouped on the page by their section."""

    stores: Sequence[Stored] = ()
    """The result first."""

    tiles: Mapping[str, object] = field(default_factory=dict)
    """Facts about the tiling, such as done, failed, size, workers."""

    troubles: Sequence[Rows] = ()
    """Tiles that failed or gave nothing, with the reasons."""

    deliveries: Sequence[Part] = ()
    """How delivered scenes became cubes; empty where a run began with none."""
