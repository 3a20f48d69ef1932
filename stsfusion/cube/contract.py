"""What every store of cubes promises; CI runs it on ours, and on broken twins that must fail it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.window import Window

__all__ = ["check_store"]

_DAY = 86_400_000
_GRID = Grid((40, 50), 10.0, (398000.0, 4420000.0), "EPSG:32650")
_SPEC = CubeSpec(_GRID, (0, _DAY), ("blue", "red"), (490.0, 660.0), shard=24, inner=12)


def check_store(make: Callable[[Path], CubeStore], folder: Path) -> None:
    """Hold a kind of store to its promises.

    Parameters
    ----------
    make
        Gives a store at a path.
    folder
        An empty folder to work in.

    Raises
    ------
    AssertionError
        Naming the first promise that is broken.
    """
    for promise in (
        _hidden_until_published,
        _grows_at_once,
        _whole_shards,
        _clipped,
        _gaps_stay_gaps,
        _same_bytes,
    ):
        store = make(folder / f"{promise.__name__.strip('_')}.zarr")
        promise(store)


def _values(spec: CubeSpec) -> NDArray[np.float32]:
    """Coordinate images: a pixel's value is its own place, another one in every date and band."""
    time, band, y, x = np.indices(spec.shape)
    return ((y * 64 + x + 7 * band + 11 * time) * 1e-4).astype(np.float32)


def _write(store: CubeStore, spec: CubeSpec, values: NDArray[np.float32], windows: list[Window]) -> None:
    for window in windows:
        store.write("", window, values[window.slices], np.ones((1, 1, 1, 1), dtype=bool))


def _seen(store: CubeStore) -> xr.Dataset | None:
    """What a reader who knows nothing of us sees."""
    try:
        return xr.open_zarr(store.path, chunks=None)
    except FileNotFoundError:
        return None


def _published(store: CubeStore) -> xr.Dataset:
    seen = _seen(store)
    if seen is None:
        raise AssertionError("a published series must be seen")
    return seen


def _hold(kept: object, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


def _hidden_until_published(store: CubeStore) -> None:
    store.create("", _SPEC)
    _write(store, _SPEC, _values(_SPEC), _SPEC.shards()[:2])
    _hold(_seen(store) is None, "a series that is being written must not be seen")
    _write(store, _SPEC, _values(_SPEC), _SPEC.shards()[2:])
    store.publish()
    seen = _published(store)
    _hold({"reflectance", "valid", "qa"} <= set(seen), "reflectance, valid and qa must be at the root")
    _hold(np.array_equal(seen["x"], _GRID.x), "coordinates must be equal to the ground to the last bit")
    _hold(np.array_equal(seen["y"], _GRID.y), "coordinates must be equal to the ground to the last bit")


def _whole_shards(store: CubeStore) -> None:
    store.create("", _SPEC)
    for rows, cols in (((0, 12), (0, 24)), ((0, 24), (1, 24)), ((24, 39), (0, 24)), ((0, 24), (24, 49))):
        window = Window((0, 1), rows, cols)
        try:
            store.write(
                "", window, np.zeros((1, 2, *window.shape[1:]), np.float32), np.ones((1, 1, 1, 1), bool)
            )
        except StoreError:
            continue
        raise AssertionError(f"part of a shard was written: rows {rows}, cols {cols}")


def _clipped(store: CubeStore) -> None:
    store.create("", _SPEC)
    values = _values(_SPEC)
    values[0, 0, 0, :4] = 3.5, -3.5, 1e6, -0.2
    _write(store, _SPEC, values, _SPEC.shards())
    store.publish()
    found, valid = store.read("", _SPEC.window)
    _hold(valid.all(), "a clipped value is still a value")
    wanted = np.clip(values, -3.2767, 3.2767)
    _hold(np.abs(found - wanted).max() <= 0.51e-4, "values must come back clipped and not wrapped")


def _gaps_stay_gaps(store: CubeStore) -> None:
    store.create("", _SPEC)
    written = _SPEC.shards()[0]
    _write(store, _SPEC, _values(_SPEC), [written])
    store.publish()
    values, valid = store.read("", _SPEC.window)
    _hold(valid[written.slices].all(), "what was written is valid")
    _hold(valid.sum() == valid[written.slices].size, "a shard never written must read as a gap")
    _hold(not values[0, :, 24:].any(), "gaps must be given as 0")
    seen = _published(store)
    _hold(np.isnan(seen["reflectance"][1]).all(), "a shard never written must be NaN in xarray, not 0.0")
    _hold(not seen["valid"][1].any(), "a shard never written must not be valid in xarray")
    _hold(not seen["qa"][1].any(), "a shard never written must have the flag for no data")


def _grows_at_once(store: CubeStore) -> None:
    store.create("", _SPEC)
    _write(store, _SPEC, _values(_SPEC), _SPEC.shards())
    store.publish()
    longer = store.extend("", [2 * _DAY])
    _write(store, longer, _values(longer), longer.shards((2, 3))[:2])
    seen = _published(store)
    _hold(seen.sizes["time"] == 2, "new dates must not be seen before they are published")
    _write(store, longer, _values(longer), longer.shards((2, 3))[2:])
    store.publish()
    seen = _published(store)
    _hold(seen.sizes["time"] == 3, "published dates must be seen")
    _hold(np.allclose(seen["reflectance"], _values(longer), atol=0.51e-4), "old and new dates must be whole")


def _same_bytes(store: CubeStore) -> None:
    files: list[dict[str, bytes]] = []
    for name, order in (("one", 1), ("two", -1)):
        store.create(name, _SPEC)
        for window in _SPEC.shards()[::order]:
            store.write(name, window, _values(_SPEC)[window.slices], np.ones((1, 1, 1, 1), bool))
        store.publish()
        inside = store.path / name
        files.append({str(p.relative_to(inside)): p.read_bytes() for p in inside.rglob("*") if p.is_file()})
    _hold(files[0] == files[1], "the same work in another order must give the same bytes")
