"""Choice: which dates, which area and which quantities of a store are exported, from what a user typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError, nearest
from stsfusion.export.part import Part
from stsfusion.export.quantity import QUANTITIES, Quantity

__all__ = ["choose"]


def choose(
    path: Path,
    name: str | None = None,
    *,
    dates: Sequence[str] = (),
    area: tuple[float, float, float, float] | None = None,
    qa: bool = True,
    sigma: bool = False,
) -> Part:
    """A part of a published dataset.

    Parameters
    ----------
    path
        The store's folder.
    name
        The dataset; None: the only one, or the one at the root.
    dates
        'YYYY-MM-DD', 'YYYY-MM' or 'FIRST/LAST' (both inclusive); none: all.
    area
        (west, south, east, north) in the series' own reference system; None: all of it.
    qa, sigma
        Whether to add how pixels came to be, and the standard deviation.

    Raises
    ------
    StoreError
        When nothing is published, there is no such dataset, no such date, or no standard deviation.
    CubeError
        When the area lies outside the series.
    """
    store = CubeStore(path)
    dataset = _dataset(store, name)
    spec = store.spec(dataset)
    window = spec.window if area is None else spec.grid.window_of(area)
    return Part(
        store,
        dataset,
        spec,
        _dates(spec, dates, path),
        window.rows,
        window.cols,
        _quantities(spec, path, qa, sigma),
    )


def _dataset(store: CubeStore, name: str | None) -> str:
    known = store.names() if store.path.is_dir() else []
    if not known:
        raise StoreError(
            f"store {store.path}",
            expected="a published series or cubes",
            got="nothing published" if store.path.is_dir() else "no such folder",
            mend="Name a folder such as demo-out/fused.zarr; a run publishes when all tiles are done.",
        )
    if name in known:
        return str(name)
    if name is None and ("" in known or len(known) == 1):
        return "" if "" in known else known[0]
    raise StoreError(
        f"store {store.path}",
        expected="one dataset's name" if name is None else f"a dataset '{name}'",
        got=", ".join(f"'{one}'" for one in known),
        mend="Say which one: --name." if name is None else nearest(name, [one for one in known if one]),
    )


def _quantities(spec: CubeSpec, path: Path, qa: bool, sigma: bool) -> tuple[Quantity, ...]:
    if sigma and not spec.sigma:
        raise StoreError(
            f"store {path}",
            expected="a standard deviation beside every value",
            got="none",
            mend="Leave --sigma out, or fuse again with a method that says how sure it is.",
        )
    asked = ["reflectance", *(["sigma"] if sigma else []), *(["qa"] if qa else [])]
    return tuple(QUANTITIES[name] for name in asked)


def _dates(spec: CubeSpec, asked: Sequence[str], path: Path) -> tuple[int, ...]:
    if not asked:
        return tuple(range(len(spec.times)))
    found: set[int] = set()
    for text in asked:
        first, last = _span(text)
        inside = np.flatnonzero((spec.dates >= first) & (spec.dates < last))
        if not len(inside):
            raise StoreError(
                f"dates '{text}' of {path}",
                expected="dates of the series",
                got="none there",
                mend=f"There are: {', '.join(str(day)[:10] for day in spec.dates)}.",
            )
        found |= set(inside.tolist())
    return tuple(sorted(found))


def _span(text: str) -> tuple[np.datetime64, np.datetime64]:
    """From the beginning of the first day, month or year to the end of the last."""
    first, slash, last = text.partition("/")
    try:
        if not first or (slash and not last):
            raise ValueError("an end of the span is missing")
        begin, end = pd.Period(first), pd.Period(last or first)
    except ValueError as error:
        raise StoreError(
            f"dates '{text}'",
            expected="YYYY-MM-DD, YYYY-MM or FIRST/LAST",
            got=str(error),
            mend="Write 2021-12-13 or 2021-12/2022-03.",
        ) from error
    return begin.start_time.to_datetime64(), (end + 1).start_time.to_datetime64()
