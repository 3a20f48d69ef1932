"""A large scene goes through the engine in little memory, in time that grows as its area does."""

import numpy as np
import pytest
import torch
from large_scene import NOISE, LargeScene, fuse

from stsfusion.cube.store import CubeStore
from stsfusion.operators.blur import Blur, gaussian_kernel
from stsfusion.window import Window

SMALL = LargeScene(48, bands=12, materials=5)


def test_a_piece_of_the_scene_is_the_same_whoever_asks():
    whole = SMALL.truth((0, 48), (0, 48))
    np.testing.assert_array_equal(SMALL.truth((8, 20), (4, 36)), whole[:, 8:20, 4:36])
    assert np.ptp(whole, axis=(1, 2)).min() > 0.01


def test_the_hyperspectral_cube_is_the_truth_under_its_point_spread_function():
    wide = torch.from_numpy(SMALL.truth((-8, 56), (-8, 56)))[None]
    blurred = Blur(gaussian_kernel(4.0, 4).float(), 4, tuple(wide.shape))(wide)[0, :, 2:-2, 2:-2].numpy()
    seen = SMALL.seen("rich", Window((0, 1), (0, 12), (0, 12)))
    gap = seen - blurred
    assert gap.std() == pytest.approx(NOISE["rich"], rel=0.1)
    assert abs(gap.mean()) < 1e-4


def test_the_cubes_are_written_piece_by_piece(tmp_path):
    SMALL.write(tmp_path / "cubes.zarr")
    store = CubeStore(tmp_path / "cubes.zarr")
    assert {name: store.spec(name).shape for name in store.names()} == {
        "rich": (1, 12, 12, 12),
        "sharp": (1, 8, 48, 48),
    }
    values, valid = store.read("sharp", store.spec("sharp").window)
    assert valid.all()
    np.testing.assert_allclose(
        values[0], SMALL.seen("sharp", Window((0, 1), (0, 48), (0, 48))), rtol=0, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_is_bounded_and_time_grows_as_the_area_does(tmp_path):
    sizes = (384, 768, 1152)
    rows = [
        fuse(LargeScene(size), tmp_path, "report.pictures=false", "evaluate.compare=[]") for size in sizes
    ]
    print(*rows, sep="\n")
    for row in rows:
        assert row["worker_mb"] < min(row["promised_mb"], 3000)
        assert row["largest_mb"] < 3000
        assert 0.8 < row["inside90"] < 0.99
    areas, cpu = np.square(sizes), [row["cpu_s"] for row in rows]
    first, second = np.diff(cpu) / np.diff(areas)
    assert second == pytest.approx(first, rel=0.35), "seconds a pixel are not the same for larger scenes"
