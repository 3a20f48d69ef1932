"""ToDo: which dates a run would make, known before it begins: what is published already is not made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stsfusion.cube.spec import milliseconds
from stsfusion.errors import StsfusionError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.madefrom import Difference, MadeFrom, asked, published
from stsfusion.pipeline.neighbourhood import intervals
from stsfusion.pipeline.prints import input_print
from stsfusion.pipeline.reciperun import RecipeRun
from stsfusion.pipeline.soundcubes import are_legible

__all__ = ["ToDo", "to_do"]


@dataclass(frozen=True)
class ToDo:
    """Dates that a run would make of a published series."""

    new: tuple[int, ...]
    """Indices, in the target, of those that it does not show."""

    changed: tuple[int, ...]
    """Of those that it shows, and whose neighbourhood is another now."""

    exact: bool
    """Whether the input was read: else images that were processed anew, and what they change, are unknown."""


def to_do(run: RecipeRun, draft: Draft) -> ToDo | None:
    """The dates that would be made; None: all of them, and the method would learn.

    Parameters
    ----------
    draft
        The plan on the input as it is now.
    """
    folder, was = run.folder, published(run.folder.fused)
    if was is None or "cubes" not in folder.marks() or not are_legible(folder.cubes):
        return None
    try:
        read = fusing.draft(run.recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
        wanted = asked(run.recipe, read.assembly, read.plan, folder.marks()["cubes"]["content"])
    except (StsfusionError, KeyError, ValueError):
        return None
    if (was.frame, was.code) != (wanted.frame, wanted.code):
        return None
    if folder.is_done("cubes", input_print(run.recipe, run.near), [folder.cubes]):
        change, written = Difference.between(was, wanted), read.plan.written
        new, changed = (tuple(written[at] for at in those) for those in (change.new, change.changed))
        return ToDo(new, changed, exact=True)
    return _by_dates(run, draft, read, was)


def _by_dates(run: RecipeRun, draft: Draft, read: Draft, was: MadeFrom) -> ToDo:
    """What dates alone tell, of input that no run has read yet."""
    before, now = (_looks(each, run.recipe.fuse.neighbours) for each in (read, draft))
    times = milliseconds(draft.assembly.times).tolist()
    new = tuple(at for at in draft.plan.written if times[at] not in was.dates)
    others = (at for at in draft.plan.written if times[at] in was.dates)
    return ToDo(new, tuple(at for at in others if before.get(times[at]) != now[times[at]]), exact=False)


def _looks(draft: Draft, neighbours: int | None) -> Mapping[int, frozenset[tuple[str, int]]]:
    """For each date, who looked when in its neighbourhood."""
    times = milliseconds(draft.assembly.times).tolist()
    sources = draft.assembly.sources
    around = intervals(len(times), sources, draft.plan.method.span(), neighbours)
    return {
        times[date]: frozenset(
            (source.role, times[at]) for source in sources for at in source.dates if first <= at < last
        )
        for date, (first, last) in enumerate(around)
    }
