"""Entrants: the methods of a comparison with their settings, and the rows that take an optics for granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from stsfusion.errors import RecipeError
from stsfusion.fusion.method import FusionMethod
from stsfusion.methods import create
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.quick import able, shortened
from stsfusion.pipeline.shorthand import text_of

__all__ = ["Entrant", "entrants", "named"]


@dataclass(frozen=True, eq=False)
class Entrant:
    """One row of the tables."""

    label: str
    """As one would write it for `bench`: 'gsa', 'gsa:psf=gaussian'."""

    method: FusionMethod
    """Ready to be fitted."""

    assumed: str
    """The point spread function that it takes for granted; '' when it estimates, learns or needs none."""

    quick: bool
    """Whether it was shortened."""


def entrants(asked: Compare) -> list[Entrant]:
    """Every row: first the methods as they were named, then those with an assumed point spread function.

    Methods that were named with a `psf`, that have none, or that are networks trained on the pair have no
    rows of the second kind.

    Raises
    ------
    RecipeError
        When two rows would have one name.
    """
    specs = able(("rich", "sharp")) if asked.methods == "all" else asked.methods
    own = [_settings(spec) for spec in specs]
    twins = [{**settings, "psf": psf} for psf in asked.assumed for settings in own if _may_assume(settings)]
    found = named([*own, *twins], quick=asked.profile == "quick")
    return sorted(found, key=lambda entrant: entrant.assumed != "")


def named(
    specs: Sequence[str | Mapping[str, Any]], *, quick: bool, where: str = "compare.methods"
) -> list[Entrant]:
    """Rows as methods were named; `quick`: shortened where they can be.

    Raises
    ------
    RecipeError
        When two rows would have one name; `where` says in which key.
    """
    found = [_entrant(_settings(spec), quick) for spec in specs]
    _distinct([entrant.label for entrant in found], where)
    return found


def _settings(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"name": spec} if isinstance(spec, str) else dict(spec)


def _may_assume(settings: Mapping[str, Any]) -> bool:
    method = create(settings)
    own = {field.name for field in fields(method)}  # type: ignore[arg-type]
    return "psf" in own and "psf" not in settings and method.card.fits == "scene"


def _entrant(settings: Mapping[str, Any], quick: bool) -> Entrant:
    ready, hasty = shortened(settings) if quick else (dict(settings), False)
    psf = str(settings.get("psf", ""))
    assumed = "" if psf in ("estimated", "given") else psf
    return Entrant(text_of(settings), create(ready), assumed, hasty)


def _distinct(labels: Sequence[str], where: str) -> None:
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise RecipeError(
            where, expected="each method once", got=f"'{twice}' twice", mend="Remove one of them."
        )
