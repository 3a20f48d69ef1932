"""Choice: which dates, which area and which quantities of a store are exported, from what a user typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from stsfusion.cube.days import days_meant
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import CubeError, StoreError, nearest
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
    if area is not None and not all(map(math.isfinite, area)):
        raise CubeError(f"area {area}", expected="four numbers", got="one that is none")
    window = spec.window if area is None else spec.grid.window_of(area)
    meant = days_meant(spec.dates, dates, StoreError, f"{path}") if dates else tuple(range(len(spec.times)))
    return Part(
        store,
        dataset,
        spec,
        meant,
        window.rows,
        window.cols,
        _quantities(spec, path, qa, sigma),
        store.mark(dataset, meant),
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
