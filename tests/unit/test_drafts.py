"""What a writer leaves half written when it dies is taken away by whoever comes next."""

import pytest

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore

DRAFTS = [
    "..staged.json.new",
    ".zarr.json.new",
    "rich/.zarr.json.new",
    "rich/time/.zarr.json.new",
    "rich/time/c/.0.new",
]


@pytest.mark.parametrize("draft", DRAFTS)
def test_drafts_go_when_a_store_is_published_or_its_new_dates_are_given_up(tmp_path, draft):
    grid = Grid((4, 4), 10.0, (500_000.0, 4_000_000.0), "EPSG:32650")
    store = CubeStore(tmp_path / "s.zarr")
    store.create("rich", CubeSpec(grid, (86_400_000,), ("a",), (500.0,), shard=4, inner=4))
    left = store.path / draft
    for end in (store.publish, store.discard):
        left.write_bytes(b"half")
        end()
        assert not left.exists()
