"""Wherever the beginning of a store is cut off, it can be begun again: nothing need be taken away before."""

import itertools

import numpy as np
import pytest
import xarray as xr
from faults.mishap import Death, mishap
from faults.tally import Strike
from faults.test_store_machine import COLS, ROWS, SHARD, counts_of, spec_of

from stsfusion.cube import publication
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.window import Window

SERIES = {0: 0, 3: 1}


def begin(path):
    store = CubeStore(path)
    store.create("", spec_of(SERIES, 1))
    return store


def finish(store):
    for at, (day, version) in enumerate(SERIES.items()):
        values = counts_of(day, version)[None] * np.float32(1e-4)
        for col in range(0, COLS, SHARD):
            window = Window((at, at + 1), (0, ROWS), (col, col + SHARD))
            part = values[..., col : col + SHARD]
            store.write("", window, part, np.ones(part.shape, dtype=bool))
    store.publish()


def cut_off_everywhere(folder, tally):
    """Let a beginning die before each of its operations, and begin again; the paths by operation."""
    begun = []
    for end in itertools.count():
        path = folder / f"{end}.zarr"
        try:
            with mishap(path, end) as fate:
                begin(path)
            break
        except Death:
            tally.strikes.append(Strike("beginning cut off", "publication", fate.point, f"{end}"))
        begun.append(begin(path))
    return begun


def test_a_store_can_be_begun_wherever_the_first_try_was_cut_off(tmp_path, tally):
    begun = cut_off_everywhere(tmp_path, tally)
    assert len(begun) > 10
    assert any(".staged" in strike.point for strike in tally.strikes)
    for store in begun[::4]:
        finish(store)
        with xr.open_zarr(store.path, chunks=None, mask_and_scale=False) as series:
            wanted = [counts_of(day, version) for day, version in SERIES.items()]
            assert (series.reflectance.values == np.stack(wanted)).all(), store.path


def test_a_store_that_stumbles_over_its_own_draft_is_found_out(tmp_path, tally, monkeypatch):
    """A broken twin: whatever lies in a folder is taken for a stranger's."""
    strict = property(lambda own: not own.path.exists() or not any(own.path.iterdir()))
    monkeypatch.setattr(publication.Publication, "untouched", strict)
    with pytest.raises(StoreError, match="something else"):
        cut_off_everywhere(tmp_path, tally)
    tally.strikes.clear()
