"""When memory runs out a tile is fused with less at a time, and the series does not feel it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from engines import STEP, Bench

from stsfusion.cube.store import CubeStore
from stsfusion.engine.ladder import climb, is_out_of_memory
from stsfusion.engine.parts import in_parts
from stsfusion.engine.run import run_tile
from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer, Factored
from stsfusion.fusion.method import Geometry
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.methods.stsnet import STSNet
from stsfusion.testing import tiny_problem

PROBLEM = tiny_problem(size=96, bands=6, dates=3, gaps=True).question()
GEOMETRY = Geometry.of(PROBLEM)


@dataclass
class Hungry(Bicubic):
    """Needs more memory than there is for more than so many pixels at a time."""

    most: int = 10**9
    error: str = "cuda"
    batch: int = 1
    tries = ()

    def lighter(self):
        return replace(self, batch=self.batch * 2) if self.batch < 4 else None

    def fuse(self, problem):
        rows, cols = problem.target.shape[2:]
        Hungry.tries = (*Hungry.tries, (rows, cols, self.batch))
        if rows * cols / self.batch > self.most:
            if self.error == "cuda":
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            raise (
                MemoryError
                if self.error == "python"
                else RuntimeError("DefaultCPUAllocator: can't allocate memory")
            )
        return super().fuse(problem)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench.of(PROBLEM, tmp_path_factory.mktemp("bench"))


def written(bench, method, folder):
    plan = bench.plan(method, folder / "fused.zarr", 48)
    spec = bench.begin(plan, 48)
    records = [run_tile(plan, tile) for tile in plan.tiles]
    CubeStore(plan.output).publish()
    return CubeStore(plan.output).read("", spec.window)[0], records


@pytest.fixture(scope="module")
def plenty(bench, tmp_path_factory):
    """A series made with all the memory that it takes."""
    values, records = written(bench, Hungry(), tmp_path_factory.mktemp("plenty"))
    assert [record.rung for record in records] == [0] * 4
    return values


@pytest.mark.parametrize("error", ["cuda", "python", "torch"])
def test_a_series_made_with_too_little_memory_is_the_same(bench, plenty, tmp_path, error):
    Hungry.tries = ()
    scarce, records = written(bench, Hungry(most=400, error=error), tmp_path / "scarce")
    assert np.abs(plenty - scarce).max() <= STEP + 1e-5
    assert [record.rung for record in records] == [records[0].rung] * 4
    assert records[0].rung > 2


def test_first_the_batch_is_halved_then_the_side_and_what_failed_is_not_tried_again(bench, tmp_path):
    plan = bench.plan(Hungry(most=400), tmp_path / "fused.zarr", 96)
    Hungry.tries = ()
    rung = climb(plan, PROBLEM).rung
    assert Hungry.tries[:3] == ((96, 96, 1), (96, 96, 2), (96, 96, 4))
    rows = [rows for rows, _, _ in Hungry.tries]
    assert rows == sorted(rows, reverse=True) or max(rows[3:]) < 96
    Hungry.tries = ()
    assert climb(plan, PROBLEM).rung == rung
    assert all(rows * cols <= 1600 for rows, cols, _ in Hungry.tries)


def test_what_fits_nowhere_says_what_to_do(bench, tmp_path):
    plan = bench.plan(Hungry(most=1), tmp_path / "fused.zarr", 96)
    with pytest.raises(MethodError, match=r"(?s)'bicubic'.*96×96 pixels.*CUDA out of memory.*smaller tiles"):
        climb(plan, PROBLEM)


@dataclass
class Faulty(Bicubic):
    """Fails for another reason."""

    def fuse(self, problem):
        raise RuntimeError("expected all tensors to be on the same device")


def test_another_error_is_no_lack_of_memory(bench, tmp_path):
    with pytest.raises(RuntimeError, match="same device"):
        climb(bench.plan(Faulty(), tmp_path / "fused.zarr", 96), PROBLEM)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("can't allocate memory"))


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("kind", [Bicubic, GSA, STSNet])
@pytest.mark.parametrize("side", [24, 60])
def test_parts_make_the_whole(kind, side):
    method = kind.example().fit([PROBLEM])
    whole, parts = method.fuse(PROBLEM), in_parts(method, PROBLEM, GEOMETRY, side)
    assert type(parts.values) is type(whole.values)
    assert float((parts.full() - whole.full()).abs().max()) <= method.card.seam
    assert torch.equal(parts.quality, whole.quality)


@dataclass
class Compact(Bicubic):
    """Gives factors, a coarse residual and one deviation for all."""

    drift: float = 0.0

    def halo(self, geometry):
        return super().halo(geometry) + 9

    def fuse(self, problem):
        answer = super().fuse(problem)
        _, band, rows, _ = answer.shape
        rest = torch.nn.functional.avg_pool2d(answer.values[:, :4], 3)
        rest = torch.cat([rest, rest[:, :2]], 1)
        basis = torch.eye(4, band) + self.drift * rows
        factors = Factored(answer.values[:, :4], basis, torch.full((band,), 0.1), rest)
        return Answer(factors, answer.quality, torch.full((1, 1, 1, 1), 0.01))


def test_factors_stay_factors():
    whole, parts = Compact().fuse(PROBLEM), in_parts(Compact(), PROBLEM, GEOMETRY, 36)
    assert torch.equal(parts.values.basis, whole.values.basis)
    assert float((parts.full() - whole.full()).abs().max()) <= 1e-5
    assert torch.equal(parts.sigma.expand(whole.shape), whole.sigma.expand(whole.shape))
    with pytest.raises(MethodError, match="one basis"):
        in_parts(Compact(drift=1e-3), PROBLEM, GEOMETRY, 36)


@dataclass
class ShortSighted(Bicubic):
    """Asks for less context than it uses."""

    def halo(self, geometry):
        return 0


def test_parts_with_too_little_context_are_seen_by_this_test():
    parts = in_parts(ShortSighted(), PROBLEM, GEOMETRY, 24)
    assert float((parts.full() - ShortSighted().fuse(PROBLEM).full()).abs().max()) > 10 * STEP


def test_a_network_refines_fewer_rows_at_a_time_to_the_same_numbers():
    method = STSNet.example().fit([PROBLEM])
    whole, lighter, steps = method.fuse(PROBLEM).full(), method.lighter(), 0
    while lighter is not None:
        assert repr(lighter) == repr(method)
        assert float((lighter.fuse(PROBLEM).full() - whole).abs().max()) <= method.card.seam
        lighter, steps = lighter.lighter(), steps + 1
    assert steps == 3
