"""The whole engine: every tile by itself, in any order, gives what the method gives for the whole scene."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from engines import STEP, Bench

from stsfusion.cube.store import CubeStore
from stsfusion.engine import run as engine_run
from stsfusion.engine.run import run_tile
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.method import Card
from stsfusion.methods import create
from stsfusion.methods.bicubic import Bicubic
from stsfusion.testing import tiny_problem
from stsfusion.window import Window


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench.of(tiny_problem(size=48, bands=6, dates=3, gaps=True), tmp_path_factory.mktemp("bench"))


def fused(bench, method, folder, tile, seed=0, **more):
    """All tiles in shuffled order; the published values, their mask, flags and the records."""
    plan = bench.plan(method, folder / "fused.zarr", tile, **more)
    spec = bench.begin(plan, tile)
    order = list(plan.tiles)
    random.Random(seed).shuffle(order)
    records = [run_tile(plan, one) for one in order]
    store = CubeStore(plan.output)
    store.publish()
    values, valid = store.read("", spec.window)
    return values, valid, store.read_qa("", spec.window), records


def whole(bench, method):
    answer = method.fuse(bench.problem)
    return answer.full().numpy(), answer.quality[:, 0].numpy()


@pytest.mark.parametrize(("tile", "count"), [(12, 16), (36, 4)])
@pytest.mark.parametrize("name", ["bicubic", "lineartime", "gsa"])
def test_tiles_equal_the_whole(bench, tmp_path, name, tile, count):
    method = create(name).fit([bench.problem])
    values, valid, qa, records = fused(bench, method, tmp_path, tile, seed=tile)
    expected, quality = whole(bench, method)
    assert len(records) == count
    assert valid.all()
    np.testing.assert_array_equal(qa, quality)
    assert np.abs(values - expected).max() <= STEP + method.card.seam


@dataclass
class ShortSighted(Bicubic):
    """Asks for less context than it uses."""

    def halo(self, geometry):
        return 0


def test_a_method_that_asks_for_too_little_context_leaves_seams(bench, tmp_path):
    values, *_ = fused(bench, ShortSighted(), tmp_path, 24)
    assert np.abs(values - whole(bench, ShortSighted())[0]).max() > 10 * STEP


def test_another_order_gives_the_same_bytes(bench, tmp_path):
    found = []
    for seed in (1, 2):
        *_, records = fused(bench, Bicubic(), tmp_path / str(seed), 24, seed)
        files = sorted(p for p in (tmp_path / str(seed)).rglob("*") if p.is_file())
        found.append(
            (
                {p.relative_to(tmp_path / str(seed)): p.read_bytes() for p in files},
                {record.key: record.checksum for record in records},
            )
        )
    assert found[0] == found[1]


def test_a_tile_done_twice_has_the_same_checksum_and_another_tile_another(bench, tmp_path):
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    bench.begin(plan, 24)
    first, other, again = (run_tile(plan, plan.tiles[i]) for i in (2, 3, 2))
    assert first.checksum == again.checksum
    assert first.checksum != other.checksum


def test_the_record_is_small_and_true(bench, tmp_path):
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    bench.begin(plan, 24)
    record = run_tile(plan, plan.tiles[0])
    assert record.key == plan.tiles[0].key
    assert record.valid == 1.0
    assert min(record.read_s, record.fuse_s, record.write_s) >= 0
    assert record.peak_bytes > 50 * 2**20
    assert len(str(record.plain())) < 400


def test_free_pages_are_given_back_before_a_tile_is_fused_and_before_it_is_written(
    bench, tmp_path, monkeypatch
):
    deeds = []

    def noting(deed, real):
        def did(*words, **more):
            deeds.append(deed)
            return real(*words, **more)

        return did

    monkeypatch.setattr(engine_run, "compact", noting("compact", engine_run.compact))
    monkeypatch.setattr(engine_run, "climb", noting("fuse", engine_run.climb))
    monkeypatch.setattr(engine_run.exchange, "write", noting("write", engine_run.exchange.write))
    plan = bench.plan(create("bicubic"), tmp_path / "fused.zarr", 24)
    bench.begin(plan, 24)
    run_tile(plan, plan.tiles[0])
    assert deeds == ["compact", "fuse", "compact", "write"]


def test_only_published_dates_are_written_each_in_its_place(bench, tmp_path):
    values, _, qa, _ = fused(bench, Bicubic(), tmp_path, 24, written=(0, 2))
    expected, quality = whole(bench, Bicubic())
    assert values.shape[0] == 2
    assert np.abs(values - expected[[0, 2]]).max() <= STEP + 1e-5
    np.testing.assert_array_equal(qa, quality[[0, 2]])


@dataclass
class Unsure(Bicubic):
    """Says that it knows nothing of some pixels, and how sure it is of the others."""

    @property
    def card(self) -> Card:
        return replace(super().card, sigma=True)

    def fuse(self, problem):
        answer = super().fuse(problem)
        values, quality = answer.values.clone(), answer.quality.clone()
        quality[:, :, :, 0] = Quality.NO_DATA
        values[:, 2] = torch.nan
        return Answer(values, quality, torch.full((1, 1, 1, 1), 0.0123))


def test_what_is_not_known_is_a_gap_in_the_store(bench, tmp_path):
    plan = bench.plan(Unsure(), tmp_path / "fused.zarr", 48)
    spec = replace(bench.begin(plan, 48), sigma=True)
    store = CubeStore(tmp_path / "sure.zarr")
    store.create("", spec)
    record = run_tile(replace(plan, output=store.path), plan.tiles[0])
    store.publish()
    values, valid = store.read("", spec.window)
    assert not valid[:, :, :, 0].any()
    assert not valid[:, 2].any()
    assert valid[:, [0, 1, 3, 4, 5], :, 1:].all()
    assert not values[:, 2].any()
    assert not store.read_qa("", spec.window)[:, :, 0].any()
    sigma = store.read_sigma("", spec.window)
    np.testing.assert_allclose(sigma[valid], 0.0123, atol=1e-5)
    assert np.isnan(sigma[~valid]).all()
    assert record.valid == pytest.approx(valid.mean(), abs=1e-5)


def test_a_tile_reads_the_window_it_asked_for(bench, tmp_path):
    plan = bench.plan(Bicubic(), tmp_path / "fused.zarr", 24)
    for tile in plan.tiles:
        assert Window.whole(3, 48, 48).contains(tile.padded)
        assert tile.padded.contains(tile.core)
        assert not any(edge % 6 for edge in (*tile.padded.rows, *tile.padded.cols))


def test_the_peak_is_the_workers_own_and_not_of_who_began_it():
    ask = "from stsfusion.engine.run import _peak; print(_peak())"
    begin = f"import sys, subprocess as s; a = b'a' * 10**9; s.run([sys.executable, '-c', {ask!r}])"
    said = subprocess.run([sys.executable, "-c", begin], capture_output=True, text=True, check=True)
    assert 50 * 2**20 < int(said.stdout) < 700 * 2**20
