"""Tiles that overlap in a process leave the same bytes as one after the other."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace

import pytest
import torch
from engines import Bench

from stsfusion.engine import exchange
from stsfusion.engine import run as running
from stsfusion.engine.run import run_tile
from stsfusion.methods import create
from stsfusion.methods.bicubic import Bicubic
from stsfusion.running.executor import Failure, Inline
from stsfusion.testing import tiny_problem


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench.of(tiny_problem(size=48, bands=6, dates=3, gaps=True), tmp_path_factory.mktemp("bench"))


def checksums(bench, method, folder, *, overlap):
    plan = replace(bench.plan(method, folder / f"{overlap}.zarr", 12), overlap=overlap)
    bench.begin(plan, 12)
    tiles, ends = {tile.key: tile for tile in plan.tiles}, {}
    outcome = Inline(overlap).run(lambda key: run_tile(plan, tiles[key]), list(tiles), ends.__setitem__)
    assert (outcome.done, outcome.left) == (len(tiles), ())
    return {key: end.value.checksum for key, end in ends.items()}


@pytest.fixture
def slow_storage(monkeypatch):
    """A store whose reads and writes take longer than fusing; what overlapped."""
    at, met = set(), set()

    def within(stage, work):
        def slowly(*given):
            at.add(stage)
            met.add(frozenset(at))
            time.sleep(0.01)
            try:
                return work(*given)
            finally:
                at.discard(stage)

        return slowly

    monkeypatch.setattr(exchange, "read", within("read", exchange.read))
    monkeypatch.setattr(running, "climb", within("fuse", running.climb))
    monkeypatch.setattr(exchange, "write", within("write", exchange.write))
    return met


@pytest.mark.parametrize("name", ["bicubic", "gsa"])
def test_the_bytes_are_the_same(bench, tmp_path, slow_storage, name):
    method = create(name).fit([bench.problem])
    alone = checksums(bench, method, tmp_path, overlap=False)
    assert all(len(met) == 1 for met in slow_storage)
    assert checksums(bench, method, tmp_path, overlap=True) == alone
    assert frozenset({"read", "fuse", "write"}) in slow_storage


@dataclass
class Thrifty(Bicubic):
    """Uses one answer's memory again for the next, which is being written still."""

    kept = None

    def fuse(self, problem):
        answer = super().fuse(problem)
        if self.kept is None or self.kept.shape != answer.values.shape:
            Thrifty.kept = torch.empty_like(answer.values)
        return replace(answer, values=self.kept.copy_(answer.values))


def test_a_method_that_is_not_pure_is_seen_by_this_test(bench, tmp_path, slow_storage):
    alone = checksums(bench, Thrifty(), tmp_path, overlap=False)
    assert alone == checksums(bench, Bicubic(), tmp_path / "pure", overlap=False)
    assert checksums(bench, Thrifty(), tmp_path, overlap=True) != alone


def test_failures_and_signals_are_those_of_one_after_the_other():
    def work(key):
        if key == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
        return 10 // key

    ends = {}
    outcome = Inline(overlap=True).run(work, [5, 0, 2, 1, 3], ends.__setitem__)
    assert list(ends) == [5, 0, 2]
    assert isinstance(ends[0], Failure)
    assert (outcome.done, outcome.failed, outcome.left, outcome.interrupted) == (2, 1, (1, 3), True)
