"""A long series streams through the engine: the memory of a worker does not grow with the scene."""

import pytest
from large_series import fuse


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", [{"name": "stsnet", "steps": 5}, "jointlr"])
def test_memory_does_not_grow_with_the_scene(method, tmp_path):
    small, large = (fuse(tmp_path, method, 5, side, 4, bands=40, tile=192) for side in (384, 768))
    print(small, large, sep="\n")
    assert small["tiles"] == "4 of 4"
    assert large["tiles"] == "4 of 16"
    assert large["worker_mb"] < 1.1 * small["worker_mb"]
