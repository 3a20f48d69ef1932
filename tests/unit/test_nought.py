"""Coordinates that are all nought, as the first day of 1970 is, are files like any other."""

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify

DAY = 86_400_000


def test_further_dates_that_are_not_published_yet_leave_nothing_unknown(tmp_path):
    grid = Grid((4, 4), 10.0, (500_000.0, 4_000_000.0), "EPSG:32650")
    store = CubeStore(tmp_path / "s.zarr")
    store.create("", CubeSpec(grid, (0,), ("a",), (500.0,), shard=4, inner=4))
    store.publish()
    assert verify(store.path).damages == ()
    store.extend("", [DAY])
    assert verify(store.path).damages == ()
    store.discard()
    assert verify(store.path).damages == ()
