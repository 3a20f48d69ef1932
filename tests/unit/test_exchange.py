"""Cubes to problems and answers to shards: the same numbers in the same places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from engines import Bench
from hypothesis import given, settings
from strategies import windows

from stsfusion.cube.store import CubeStore
from stsfusion.engine import exchange
from stsfusion.engine.run import run_tile
from stsfusion.errors import StoreError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.methods.bicubic import Bicubic
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench.of(tiny_problem(size=48, bands=5, dates=4, gaps=True), tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def plan(bench, tmp_path_factory):
    plan = bench.plan(Bicubic(), tmp_path_factory.mktemp("out") / "fused.zarr", 24)
    bench.begin(plan, 24)
    return plan


@settings(max_examples=10)
@given(windows(4, 48, 48))
def test_a_window_read_is_the_problem_cropped(bench, plan, window):
    window = window.snap(6)
    read, cut = exchange.read_window(plan, window), bench.problem.crop(window)
    assert read.truth is None
    assert read.target.shape == cut.target.shape
    assert torch.equal(read.target.days, cut.target.days)
    assert torch.equal(read.target.wavelengths, cut.target.wavelengths)
    assert read.observations.keys() == cut.observations.keys()
    for role, ours in read.observations.items():
        theirs = cut.observations[role]
        assert torch.equal(ours.data, theirs.data)
        assert torch.equal(ours.valid.expand(ours.data.shape), theirs.valid.expand(theirs.data.shape))
        assert ours.dates == theirs.dates
        assert ours.ratio == theirs.ratio
        torch.testing.assert_close(ours.noise, theirs.noise)
        torch.testing.assert_close(ours.view.spectral.matrix, theirs.view.spectral.matrix, check_dtype=False)
        torch.testing.assert_close(ours.view.spatial.kernel, theirs.view.spatial.kernel)


def test_a_tile_is_read_with_its_halo(plan):
    tile = plan.tiles[0]
    assert exchange.read(plan, tile).target.shape[2:] == tile.padded.shape[1:] != tile.core.shape[1:]


def test_nominal_optics_stay_nominal(bench, plan):
    blind = replace(plan, sources=tuple(replace(s, known=False) for s in plan.sources))
    view = exchange.read_window(blind, Window((0, 4), (0, 12), (0, 12))).dense.view
    assert (view.spatial.known, view.spectral.known) == (False, False)


def own(tile):
    """An answer whose values are their own place in the scene."""
    dates, rows, cols = tile.padded.shape
    time, band, y, x = np.indices((dates, 5, rows, cols))
    y, x = y + tile.padded.rows[0], x + tile.padded.cols[0]
    values = ((y * 64 + x + 7 * band + 11 * time) * 1e-4).astype(np.float32)
    return Answer(
        torch.from_numpy(values), torch.full((dates, 1, rows, cols), int(Quality.FUSED), dtype=torch.uint8)
    )


def test_only_the_core_is_written_and_in_its_place(bench, tmp_path):
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    spec = bench.begin(plan, 24)
    for tile in plan.tiles[1:]:
        written = exchange.write(plan, tile, own(tile))
        assert written.valid == 1.0
        assert written.checksum == exchange.checksum(plan, tile)
    store = CubeStore(plan.output)
    store.publish()
    values, valid = store.read("", spec.window)
    time, band, y, x = np.indices(spec.shape)
    expected = (y * 64 + x + 7 * band + 11 * time) * 1e-4
    untouched = np.zeros((48, 48), bool)
    untouched[:24, :24] = True
    assert not valid[..., untouched].any()
    assert valid[..., ~untouched].all()
    np.testing.assert_allclose(values[..., ~untouched], expected[..., ~untouched], atol=1e-6)
    assert (store.read_qa("", spec.window)[..., ~untouched] == Quality.FUSED).all()


def test_the_checksum_sees_a_changed_byte(bench, tmp_path):
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    bench.begin(plan, 24)
    tile = plan.tiles[3]
    before = exchange.write(plan, tile, own(tile)).checksum
    other = exchange.checksum(plan, plan.tiles[2])
    path = next(p for p in sorted((plan.output / "reflectance" / "c").rglob("*")) if p.is_file())
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert exchange.checksum(plan, tile) != before
    assert exchange.checksum(plan, plan.tiles[2]) == other


def test_a_store_without_the_cube_is_named(bench, plan, tmp_path):
    with pytest.raises(StoreError, match="a dataset 'rich' that is published"):
        exchange.read(replace(plan, inputs=tmp_path / "nothing.zarr"), plan.tiles[0])


def test_a_dead_band_is_published_as_a_gap(tmp_path):
    problem = tiny_problem(size=48, dates=4)
    valid = problem.rich.valid.expand(problem.rich.data.shape).clone()
    valid[:, 2] = False
    assert problem.rich.dead_bands.sum() == 0
    bench = Bench.of(problem.with_observations({"rich": replace(problem.rich, valid=valid)}), tmp_path, 24)
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    spec = bench.begin(plan, 24)
    for tile in plan.tiles:
        run_tile(plan, tile)
    CubeStore(plan.output).publish()
    _, known = CubeStore(plan.output).read("", spec.window)
    assert not known[:, 2].any()
    assert np.delete(known, 2, axis=1).all()


def blinded(problem, rows, cols):
    """The problem with a rectangle of ground that no sensor sees on any date, and a cloud of one date."""
    made = {}
    for role, seen in problem.observations.items():
        valid = seen.valid.expand(seen.data.shape).clone()
        y, x = ([edge // seen.ratio for edge in edges] for edges in (rows, cols))
        valid[:, :, slice(*y), slice(*x)] = False
        valid[0, :, -2:, -2:] = False
        made[role] = replace(seen, valid=valid)
    return problem.with_observations(made)


@pytest.mark.parametrize("tile", [24, 48])
def test_ground_that_no_sensor_saw_is_a_gap_whatever_the_method_puts_there(tmp_path, tile):
    problem = blinded(tiny_problem(size=48, bands=5, dates=4), (18, 30), (0, 12))
    bench = Bench.of(problem, tmp_path, 24)
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", tile)
    spec = bench.begin(plan, 24)
    hidden = torch.zeros(48, 48, dtype=torch.bool)
    hidden[18:30, :12] = True
    assert torch.equal(exchange.unseen(problem), hidden)
    for each in plan.tiles:
        run_tile(plan, each)
    store = CubeStore(plan.output)
    store.publish()
    _, known = store.read("", spec.window)
    assert (known == ~hidden.numpy()).all(), "clouds of single dates are none"
    assert ((store.read_qa("", spec.window) == Quality.NO_DATA) == hidden.numpy()).all()


def test_a_tile_that_the_hyperspectral_sensor_never_saw_has_no_dead_bands():
    problem = tiny_problem(size=48, bands=5, dates=4)
    assert problem.rich is not None
    valid = problem.rich.valid.expand(problem.rich.data.shape).clone()
    valid[:, 2] = False
    one = problem.with_observations({"rich": replace(problem.rich, valid=valid)})
    assert exchange.dead(one).tolist() == [False, False, True, False, False]
    none = problem.with_observations({"rich": replace(problem.rich, valid=torch.zeros_like(valid))})
    assert exchange.dead(none) is None


def test_a_worker_that_outlived_its_run_writes_into_no_other_series(bench, tmp_path):
    """Series that grow are written in one place; what is written there now may be another run's."""
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    spec = bench.begin(plan, 24)
    store = CubeStore(plan.output)
    mine, tile = replace(plan, begun=store.begun()), plan.tiles[0]
    assert mine.begun
    exchange.write(mine, tile, own(tile))
    store.create("", replace(spec, attributes={"series_sha256": "another"}), replace=True)
    with pytest.raises(StoreError, match="another one, or none"):
        exchange.write(mine, tile, own(tile))
    theirs = replace(plan, begun=store.begun())
    for each in plan.tiles:
        exchange.write(theirs, each, own(each))
    store.publish()
    assert store.begun() == ""
    with pytest.raises(StoreError, match="another one, or none"):
        exchange.write(theirs, tile, own(tile))
