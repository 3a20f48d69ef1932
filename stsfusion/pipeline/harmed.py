"""Harmed: nothing is built on dates that a disk has lost, and what is made anew is them alone.

::

    update    dates that stay: every file there, of its size?   glance, before anything is made of them
    nothing   files came or went since the series was made:     every file is read, as `verify` does
    to do
              ─► a date of which a file is gone is fused again, all others are handed on

A bit that changed within a file has no other size: it is handed on with the mark of what it was, so that
`verify` tells of it until the series is made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from stsfusion.cube.frames import require_frame
from stsfusion.cube.generations import glance, harmed_dates
from stsfusion.cube.manifest import Damage
from stsfusion.pipeline.reciperun import RecipeRun
from stsfusion.pipeline.standing import Deed, Standing

__all__ = ["mending", "sparing"]

_SHOWN = 3
"""Dates that are named."""


def sparing(run: RecipeRun, found: Standing) -> Standing:
    """The same, but that dates of which a file is gone or cut short do not stay as they are.

    All input of a date that would stay is there, and is what it was: it can be made again. What the maps of
    a compact series are expanded by cannot: these small files are read, and are what they were.

    Raises
    ------
    StoreError
        When they are not, or nobody can tell what the files of the published series were.
    """
    if found.deed is not Deed.CHANGE:
        return found
    require_frame(run.folder.fused, factors=True)
    return _without(run, found, glance(run.folder.fused))


def mending(run: RecipeRun, found: Standing, damages: Collection[Damage] | None) -> Standing:
    """What is to be done about a series that is what is asked for, but for damaged files.

    Parameters
    ----------
    damages
        These; None: nobody can tell.

    Returns
    -------
    To make their dates again with what the others were made with; where other files are damaged, or nobody
    can tell, what was found: the whole series.
    """
    if found.change is None or damages is None:
        return found
    dated = harmed_dates(run.folder.fused, damages)
    if sum(map(len, dated.values())) < len(damages):
        return found
    return _without(run, replace(found, deed=Deed.CHANGE), damages)


def _without(run: RecipeRun, found: Standing, damages: Iterable[Damage]) -> Standing:
    assert found.change is not None
    assert found.was is not None
    harmed = harmed_dates(run.folder.fused, damages)
    times = list(found.was.dates)
    said = {
        str(np.datetime64(times[date], "ms"))[:10]: harmed[date]
        for date in sorted(harmed.keys() & found.change.kept.keys())
    }
    if not said:
        return found
    _tell(run, said)
    return replace(found, change=found.change.remaking(harmed))


def _tell(run: RecipeRun, harmed: dict[str, list[Damage]]) -> None:
    """Say which dates were harmed, and by what."""
    named = [f"{day} ({files[0].file} {files[0].what})" for day, files in harmed.items()]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    many = "dates had been damaged and were" if len(named) > 1 else "date had been damaged and was"
    words = f"{len(named)} published {many} made again: {', '.join(named[:_SHOWN])}{more}."
    run.besides.append(words)
    run.facts["damaged"] = list(harmed)
    run.journal.say("dates damaged", what=words[:500])
