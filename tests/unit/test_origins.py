"""Filled ground is told: shares of a published series by how its pixels came to be."""

from __future__ import annotations

import numpy as np
import pytest

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.pipeline.origins import origin_words, origins


def test_shares_are_of_all_pixels_of_all_dates_whatever_their_marks(tmp_path):
    grid = Grid((20, 30), 10.0, (0.0, 200.0))
    spec = CubeSpec(grid, (0, 86400000), ("red",), (660.0,), None, shard=16, inner=8, marks={"cloud": 8})
    qa = np.full((2, 20, 30), 2, np.uint16)
    qa[0, :5] = 5
    qa[1, :, :3] = 0
    qa[1, :, 3:6] = 1 | 8
    store = CubeStore(tmp_path / "fused.zarr")
    store.create("", spec)
    for window in spec.shards():
        t, y, x = (slice(*edges) for edges in (window.dates, window.rows, window.cols))
        here = qa[t, y, x]
        valid = (here[:, None] & 7) > 0
        store.write("", window, valid * 0.2, valid, qa=here)
    store.publish()
    found = origins(store)
    assert found["filled"] == pytest.approx(150 / 1200)
    assert found["no_data"] == pytest.approx(60 / 1200)
    assert found["observed"] == pytest.approx(60 / 1200)
    assert sum(found.values()) == pytest.approx(1)
    assert origin_words(found) == (
        "Pixels of all published dates: observed 5.0 %, fused 77.5 %, filled 12.5 %, no data 5.0 %."
    )


def test_little_is_not_called_nothing():
    assert origin_words({"fused": 0.9999, "filled": 0.0001, "no_data": 0.0}) == (
        "Pixels of all published dates: fused 100.0 %, filled less than 0.1 %."
    )
