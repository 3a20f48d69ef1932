"""What travels to the device as counts is scaled there to the very numbers that the store gives."""

import numpy as np
import pytest
import torch
from engines import Bench

from stsfusion.cube.packing import REFLECTANCE
from stsfusion.cube.store import CubeStore
from stsfusion.engine import exchange
from stsfusion.engine.packed import unpacked
from stsfusion.methods.bicubic import Bicubic
from stsfusion.testing import tiny_problem

EVERY = np.arange(-32768, 32768, dtype=np.int16).reshape(1, 4, 128, 128)


def same_bits(ours, theirs):
    return np.array_equal(ours.numpy().view(np.int32), theirs.view(np.int32))


def test_every_count_gives_the_same_bits_as_in_the_store():
    values, valid = unpacked(torch.from_numpy(EVERY))
    expected, known = REFLECTANCE.unpack(EVERY)
    assert same_bits(values, expected)
    np.testing.assert_array_equal(valid.numpy(), known)


def test_another_way_to_scale_is_seen_by_this_test():
    assert not same_bits(torch.from_numpy(EVERY).float() / 1e4, REFLECTANCE.unpack(EVERY)[0])


@pytest.mark.parametrize(("gaps", "bands"), [("none", 1), ("all bands", 1), ("one band", 3)])
def test_a_mask_that_all_bands_share_is_kept_once(gaps, bands):
    counts = torch.ones(2, 3, 4, 4, dtype=torch.int16)
    if gaps != "none":
        counts[1, slice(None) if gaps == "all bands" else 1, 2, 3] = REFLECTANCE.gap
    values, valid = unpacked(counts)
    assert valid.shape == (2, bands, 4, 4)
    assert torch.equal(valid.expand(2, 3, 4, 4), counts != REFLECTANCE.gap)
    assert not values[counts == REFLECTANCE.gap].any()


def test_a_tile_travels_in_two_bytes_a_value(tmp_path):
    bench = Bench.of(tiny_problem(size=48, bands=5, dates=4, gaps=True), tmp_path)
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    tile = plan.tiles[1]
    packed = exchange.read(plan, tile)
    problem = packed.problem("cpu")
    for role, observation in problem.observations.items():
        assert packed.seen[role].counts.dtype == np.int16
        assert packed.seen[role].counts.nbytes * 2 == observation.data.nbytes
        window = tile.padded.coarsen(observation.ratio)
        count = CubeStore(bench.inputs).spec(role).shape[0]
        values, _ = CubeStore(bench.inputs).read(role, type(window)((0, count), window.rows, window.cols))
        assert same_bits(observation.data, values)
