"""Published dates: which dates of delivered scenes a series leaves out, and how to ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

__all__ = ["left_out"]

_SHOWN = 5
"""Dates that are named."""


def left_out(days: Mapping[str, Sequence[date]], asked: Sequence[str] | None) -> str:
    """A sentence on dates that are used and not published; nothing where there are none.

    Parameters
    ----------
    days
        By role, the days that its scenes are of.
    asked
        Dates that the recipe asks for; None: those of 'dense'.
    """
    if asked or "dense" not in days:
        return ""
    every = sorted({day for own in days.values() for day in own})
    others = [day.isoformat() for day in every if day not in set(days["dense"])]
    if not others:
        return ""
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return (
        f" The series has the dates of 'dense'. Not published, though used: {', '.join(others[:_SHOWN])}"
        f"{more}, seen by others only; for all dates say --set fuse.dates=[{every[0]}/{every[-1]}]."
    )
