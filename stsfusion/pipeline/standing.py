"""Standing: how the published series stands to the one that is asked for, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import numpy as np

from stsfusion.cube.frames import require_frame
from stsfusion.errors import StoreError
from stsfusion.pipeline.madefrom import Difference, MadeFrom, published
from stsfusion.pipeline.readable import refuse_damaged, shows
from stsfusion.pipeline.reciperun import Orders, RecipeRun

__all__ = ["Deed", "Standing", "standing"]


class Deed(Enum):
    """What is to be done."""

    KEEP = auto()
    """Nothing: the series is what is asked for."""

    LEARN = auto()
    """Learn, and make all of it."""

    BORROW = auto()
    """Make all of it with what another series was made with."""

    CHANGE = auto()
    """Make what is new and what has changed, with what the series was made with."""


@dataclass(frozen=True)
class Standing:
    """What is to be done, and why."""

    deed: Deed
    """That."""

    was: MadeFrom | None = None
    """What the published series was made from, or the one that is borrowed from."""

    change: Difference | None = None
    """What parts the published series from the one that is asked for."""


def standing(run: RecipeRun, wanted: MadeFrom, seen: Collection[int]) -> Standing:
    """What is to be done about the published series.

    Parameters
    ----------
    wanted
        What the series that is asked for is made from.
    seen
        Dates (milliseconds since 1970) of which there is input, whether they are asked for or not.

    Raises
    ------
    StoreError
        When it would be lost, and nobody has said that it may.
    """
    series, orders = run.folder.fused, run.orders
    was = published(series)
    if not orders.overwrite:
        refuse_damaged(run.folder)
        if was is None and shows(series):
            require_frame(series)
    if orders.learned is not None:
        return _borrowed(series, orders, was, wanted)
    if was is None and shows(series) and not orders.overwrite:
        raise _refused(series, "a series that does not say what it was made from", _ANEW)
    if was is None or orders.overwrite:
        return Standing(Deed.LEARN, was)
    _check_settings(series, orders, was, wanted)
    change = Difference.between(was, wanted)
    if change.gone:
        raise _losing(series, change.gone, () if run.recipe.fuse.dates is None else seen)
    if orders.refit:
        return Standing(Deed.LEARN, was)
    if change.nothing:
        return Standing(Deed.KEEP, was, change)
    if not orders.update:
        raise _refused(series, f"one of other input ({change} dates)", _UPDATE)
    return Standing(Deed.CHANGE, was, change)


def _borrowed(series: Path, orders: Orders, was: MadeFrom | None, wanted: MadeFrom) -> Standing:
    """Of a run that is told where to take from what was learned."""
    assert orders.learned is not None
    other = published(orders.learned)
    if other is None or other.frame != wanted.frame:
        raise StoreError(
            f"series {orders.learned}",
            expected="a published series of this method, these settings, instruments and grid",
            got="none" if other is None else "one of others",
            mend="Name a folder such as demo-out/fused.zarr.",
        )
    if was is not None and was.identity == wanted.with_learning_of(other).identity:
        return Standing(Deed.KEEP, was)
    if (was is not None or shows(series)) and not orders.overwrite:
        raise _refused(series, "another one", _ANEW)
    return Standing(Deed.BORROW, other)


_ANEW = "To make it anew, say 'stsfusion run --overwrite': the old one is kept until the next time."
_UPDATE = "To add what is new, say 'stsfusion update'; to learn and make all of it anew, 'run --overwrite'."
_GONE = "bring their input back"
_UNASKED = "ask for them too ('fuse.dates', --dates)"
_LOST = "Published dates are never lost unasked: {}, or say 'stsfusion run --overwrite'."
_VERSION = (
    "To go on all the same and keep the dates that the other version made, say 'stsfusion update "
    "--across-versions'; to make all of it anew, 'stsfusion run --overwrite'."
)


def _check_settings(series: Path, orders: Orders, was: MadeFrom, wanted: MadeFrom) -> None:
    if was.frame != wanted.frame:
        raise _refused(series, "one of other settings, instruments or grid", _ANEW)
    if was.code != wanted.code and not (orders.update and orders.across_versions):
        raise _refused(series, "one that another version of the code made", _VERSION)


def _refused(series: Path, got: str, mend: str) -> StoreError:
    return StoreError(f"series {series}", expected="the series that is asked for", got=got, mend=mend)


def _losing(series: Path, gone: tuple[int, ...], seen: Collection[int]) -> StoreError:
    """Of dates that would be lost; of those that were seen there is input, and nobody asks for them."""
    unasked = tuple(time for time in gone if time in seen)
    without = tuple(time for time in gone if time not in seen)
    said = (
        ("dates that the recipe no longer asks for", unasked, _UNASKED),
        ("dates without input", without, _GONE),
    )
    got = "; ".join(f"{what}: {_days(times)}" for what, times, _ in said if times)
    return _refused(series, got, _LOST.format(" and ".join(mend for _, times, mend in said if times)))


def _days(times: tuple[int, ...]) -> str:
    shown = ", ".join(str(np.datetime64(time, "ms"))[:10] for time in times[:4])
    return f"{shown} …" if len(times) > 4 else shown
