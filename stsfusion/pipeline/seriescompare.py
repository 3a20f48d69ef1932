"""Seriescompare: the section `compare_series` of a recipe: methods on series whose truth is known."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from stsfusion.forward.protocol import Protocol
from stsfusion.pipeline.comparison import Text, are_distinct
from stsfusion.pipeline.settings import record_of
from stsfusion.records import Record

__all__ = ["CompareSeries"]

_QUICK_SIDE = 96
"""Pixels along one side of what the quick profile looks at."""


class CompareSeries(Record):
    """Methods for hyperspectral series, on series that are the truth, seen by three simulated sensors."""

    series: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(are_distinct)] = ("indian-pines",)
    """'indian-pines' (a real scene from the package tensorly, dressed for seven dates), or NetCDF files with
    `reflectance` (time, band, y, x), `time` and `wavelength` (nm); paths are seen from the recipe, or from
    the working folder."""

    season: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the seasons of a packaged scene."""

    protocol: record_of(Protocol) = Field(default_factory=lambda: record_of(Protocol)())  # type: ignore[valid-type]
    """How the three sensors see the truth."""

    methods: Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)] = (
        "lineartime",
        "gsa",
    )
    """Names, or names and settings."""

    about: str | None = None
    """The row of which it is said where it is first, and where it is not; none: of no one."""

    profile: Literal["quick", "full"] = "quick"
    """quick: the middle of each series, iterative methods shortened and marked; full: everything at its full
    settings."""

    crop: int | None = Field(default=None, ge=24)
    """Pixels along one side of the middle that is used; none: 96 when quick, else the whole series."""

    @property
    def side(self) -> int | None:
        """Pixels along one side of what is used; None: all."""
        return self.crop or (_QUICK_SIDE if self.profile == "quick" else None)
