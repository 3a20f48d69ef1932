"""Days: which of a series' dates a user means by a day, a month, a year or a span of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stsfusion.errors import StsfusionError

__all__ = ["days_meant"]


def days_meant(
    dates: NDArray[np.datetime64], asked: Sequence[str], error: type[StsfusionError], of: str
) -> tuple[int, ...]:
    """Indices, in order, of the dates that the texts name.

    Parameters
    ----------
    dates
        (n,) that there are.
    asked
        'YYYY-MM-DD', 'YYYY-MM', 'YYYY' or 'FIRST/LAST' (both inclusive).
    error
        What is raised: whose text it is.
    of
        What the dates belong to, for the error's words.

    Raises
    ------
    StsfusionError
        Of the kind `error`, when a text is no date or there is none in it.
    """
    found: set[int] = set()
    for text in asked:
        first, last = _span(text, error)
        inside = np.flatnonzero((dates >= first) & (dates < last))
        if not len(inside):
            raise error(
                f"dates '{text}'",
                expected=f"dates of {of}",
                got="none there",
                mend=f"There are: {', '.join(str(day)[:10] for day in dates)}.",
            )
        found |= set(inside.tolist())
    return tuple(sorted(found))


def _span(text: str, error: type[StsfusionError]) -> tuple[np.datetime64, np.datetime64]:
    """From the beginning of the first day, month or year to the end of the last."""
    first, slash, last = text.partition("/")
    try:
        if not first or (slash and not last):
            raise ValueError("an end of the span is missing")
        begin, end = pd.Period(first), pd.Period(last or first)
    except ValueError as why:
        raise error(
            f"dates '{text}'",
            expected="YYYY-MM-DD, YYYY-MM or FIRST/LAST",
            got=str(why),
            mend="Write 2021-12-13 or 2021-12/2022-03.",
        ) from why
    return begin.start_time.to_datetime64(), (end + 1).start_time.to_datetime64()
