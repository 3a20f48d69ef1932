"""Plans: what runs where, with how much; refused before any work when it cannot be done."""

from __future__ import annotations

import re
from collections import namedtuple
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stsfusion.engine import need as planning
from stsfusion.engine.need import largest_tile, need_of, overlapped, refuse_if_no_room, refuse_if_too_large
from stsfusion.engine.plan import Source, geometry_of, make_plan
from stsfusion.errors import PlanError
from stsfusion.fusion.method import Card
from stsfusion.fusion.problem import Target
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.operators.blur import gaussian_kernel
from stsfusion.running.tiling import Tile
from stsfusion.window import Window

GB = 2**30
RICH = Source("rich", "rich", (0, 2), 3, gaussian_kernel(3, 3).numpy())
SHARP = Source("sharp", "sharp", (0, 2), 1, np.ones((1, 1)), np.full((4, 100), 0.01))
DENSE = Source("dense", "dense", (0, 1, 2), 2, gaussian_kernel(2, 2).numpy(), np.full((8, 100), 0.01))
ALL = (RICH, SHARP, DENSE)


def plan_for(method=None, size=(1200, 1200), tile=384, shard=384, sources=ALL, **more):
    target = Target((3, 100, *size), torch.arange(100.0) + 400, torch.arange(3.0))
    return make_plan(
        inputs=Path("cubes.zarr"),
        output=Path("fused.zarr"),
        sources=sources,
        target=target,
        method=method or Bicubic(),
        tile=tile,
        shard=shard,
        **more,
    )


def test_tiles_have_the_methods_halo_snapped_to_every_ratio():
    plan = plan_for()
    assert len(plan.tiles) == 16
    halo = Bicubic().halo(geometry_of(ALL))
    core, padded = plan.tiles[5].core, plan.tiles[5].padded
    assert core.rows == (384, 768)
    assert padded.rows == ((384 - halo) // 6 * 6, -(-(768 + halo) // 6) * 6)
    assert plan.geometry.multiple == 6
    assert plan.written == (0, 1, 2)


@dataclass
class Near(Bicubic):
    """Looks one date far."""

    def span(self):
        return 1


def test_dates_follow_the_methods_span():
    assert plan_for(Near()).tiles[0].padded.dates == (0, 3)
    assert plan_for(written=[2, 1]).written == (1, 2)


def test_a_source_knows_its_reach_and_its_view():
    assert RICH.reach == (gaussian_kernel(3, 3).shape[0] - 3) // 2
    view = replace(DENSE, known=False).view((3, 100, 12, 12), [1, 2])
    assert view.out_shape == (2, 8, 6, 6)
    assert view.dates == [1, 2]
    assert not view.spatial.known
    assert RICH.view((3, 100, 12, 12), [0]).out_shape == (1, 100, 4, 4)


def test_learning_changes_the_method_alone():
    plan = plan_for(GSA())
    learned = GSA().with_state({"days": torch.zeros(1)})
    assert plan.with_method(learned).method is learned
    assert replace(plan.with_method(learned), method=plan.method) is not plan
    assert plan.with_method(learned).tiles is plan.tiles


@pytest.mark.parametrize(
    ("method", "sources", "message"),
    [
        (GSA(), (RICH, DENSE), r"method 'gsa': .*rich, sharp, got dense, rich\.\nGive a cube as 'sharp'"),
        (Bicubic(), (), r"method 'bicubic': .*got none"),
    ],
)
def test_a_missing_role_is_named(method, sources, message):
    with pytest.raises(PlanError, match=message):
        plan_for(method, sources=sources)


# ---------------------------------------------------------------- memory


def by_hand(tile_area, memory=4.0, process=500 * 2**20):
    """Peak of a worker: the process, the method's multiple of the target, inputs as float32 and masks."""
    fused = memory * 4 * 3 * 100 * tile_area
    given = 5 * tile_area * (2 * 100 / 9 + 2 * 4 + 3 * 8 / 4)
    return process + fused + given


def test_the_need_is_the_sum_of_its_parts():
    plan = plan_for()
    need = need_of(plan)
    largest = max(tile.padded.shape[1] * tile.padded.shape[2] for tile in plan.tiles)
    assert need.memory == pytest.approx(by_hand(largest), rel=1e-6)
    assert need.disk == 3 * 1200 * 1200 * (2 * 100 + 3)
    assert need.tiles == 16
    area = sum(tile.padded.shape[1] * tile.padded.shape[2] for tile in plan.tiles)
    assert need.read == pytest.approx(2 * area * (2 * 100 / 9 + 2 * 4 + 3 * 8 / 4), rel=1e-4)


def test_tiles_that_read_few_dates_need_less():
    """One that reads the last date alone: there only the dense sensor saw the ground."""
    whole = plan_for()
    dates = [Window((0, 3), (0, 24), (0, 24)), Window((1, 2), (0, 24), (0, 24))]
    late = replace(whole, tiles=tuple(Tile(i, w, w) for i, w in enumerate(dates[1:])))
    process, target, dense = 500 * 2**20, 4 * 100 * 24**2, 8 * 24**2 / 4
    assert need_of(late).memory == pytest.approx(process + (1.0 + 4.0) * target, abs=2)  # while it is written
    assert need_of(late).memory > process + 4.0 * target + 5 * dense
    assert need_of(late).read == 2 * dense
    both = replace(whole, tiles=tuple(Tile(i, w, w) for i, w in enumerate(dates)))
    assert need_of(both).memory == pytest.approx(by_hand(24**2), abs=2)
    with pytest.raises(PlanError, match="target of 1 dates × 100 bands"):
        refuse_if_too_large(late, budget=100, workers=1, shard=384)


@dataclass
class Sure(Bicubic):
    """Says how sure it is."""

    @property
    def card(self) -> Card:
        return replace(super().card, sigma=True)


def test_a_standard_deviation_takes_room_too():
    assert need_of(plan_for(Sure())).disk == 3 * 1200 * 1200 * (2 * 100 + 2 * 100 + 3)
    assert need_of(plan_for(written=(1,))).disk == 1200 * 1200 * (2 * 100 + 3)


def named(message):
    """The tile and the shard that a refusal names."""
    tile = int(re.search(r"'tile: (\d+)'", message)[1])
    shard = re.search(r"'shard: (\d+)'", message)
    return tile, int(shard[1]) if shard else None


@pytest.mark.parametrize(
    ("size", "tile", "shard", "budget"),
    [
        ((1200, 1200), 1152, 384, 1.0 * GB),  # a smaller number of whole shards
        ((1200, 1200), 1152, 384, 0.75 * GB),  # less than one shard
        ((1200, 1200), 96, 96, 0.53 * GB),
        ((30, 12000), 11520, 384, 0.7 * GB),  # a long strip
        ((900, 900), 1152, 384, 1.2 * GB),  # a scene smaller than its tile
    ],
)
@pytest.mark.parametrize("method", [Bicubic(), GSA()], ids=["bicubic", "gsa"])
def test_the_tile_that_is_named_does_fit(size, tile, shard, budget, method):
    plan = plan_for(method, size, tile, shard)
    with pytest.raises(PlanError, match=r"expected at most .* GiB in each of 2 worker\(s\), got") as caught:
        refuse_if_too_large(plan, budget=int(budget), workers=2, shard=shard)
    smaller, part = named(str(caught.value))
    assert smaller < tile
    fits = plan_for(method, size, smaller, part or shard)
    assert refuse_if_too_large(fits, budget=int(budget), workers=2, shard=part or shard).memory <= budget


@pytest.mark.parametrize(
    ("size", "tile", "shard", "area", "step"),
    [
        ((1200, 1200), 1152, 384, 900**2, 384),
        ((1200, 1200), 96, 96, 80**2, 6),
        ((30, 12000), 11520, 384, 30 * 2000, 384),
    ],
)
def test_no_larger_one_would(size, tile, shard, area, step):
    budget = int(by_hand(area))
    with pytest.raises(PlanError) as caught:
        refuse_if_too_large(plan_for(None, size, tile, shard), budget=budget, workers=1, shard=shard)
    smaller, part = named(str(caught.value))
    larger = smaller + step
    assert need_of(plan_for(None, size, larger, larger if part else shard)).memory > budget


def test_when_no_tile_fits_the_least_budget_is_named_and_suffices():
    plan = plan_for(GSA(), tile=96, shard=96)
    with pytest.raises(PlanError, match="No tile fits; give at least") as caught:
        refuse_if_too_large(plan, budget=400 * 2**20, workers=1, shard=96)
    least = float(re.search(r"at least ([\d.]+) GiB", str(caught.value))[1])
    smallest = plan_for(GSA(), size=(120, 120), tile=6, shard=6)
    assert need_of(smallest).memory <= (least + 0.01) * GB


def test_without_a_budget_workers_share_what_is_free(monkeypatch):
    free = namedtuple("free", "available")
    plan = plan_for(tile=96, shard=96)
    need = need_of(plan).memory
    monkeypatch.setattr(planning.psutil, "virtual_memory", lambda: free(3 * need))
    assert refuse_if_too_large(plan, budget=None, workers=3, shard=96).memory == need
    with pytest.raises(PlanError, match=r"each of 4 worker"):
        refuse_if_too_large(plan, budget=None, workers=4, shard=96)


def test_tiles_overlap_where_the_memory_for_it_is_there():
    plan = plan_for()
    area = max(tile.padded.shape[1] * tile.padded.shape[2] for tile in plan.tiles)
    beside = (3 + 4) * 4 * 100 * area + 2 * area * (2 * 100 / 9 + 2 * 4 + 3 * 8 / 4)
    assert need_of(replace(plan, overlap=True)).memory == pytest.approx(by_hand(area) + beside, rel=1e-6)
    enough = need_of(replace(plan, overlap=True)).memory
    assert overlapped(plan, budget=enough, workers=1).overlap
    assert overlapped(plan, budget=enough - 1, workers=1) is plan
    assert refuse_if_too_large(plan, budget=enough - 1, workers=1, shard=384).memory < enough


@pytest.mark.parametrize(("size", "shard"), [((1200, 1200), 96), ((1200, 900), 48), ((30, 12000), 384)])
def test_the_largest_tile_of_whole_shards_fits_and_the_next_one_does_not(size, shard):
    limits = {"budget": int(1.1 * GB), "workers": 1}
    side = largest_tile(plan_for(None, size, shard, shard), **limits, shard=shard)
    assert side % shard == 0
    fits, more = (replace(plan_for(None, size, each, shard), overlap=True) for each in (side, side + shard))
    assert need_of(fits).memory <= limits["budget"] < need_of(more).memory
    assert overlapped(replace(fits, overlap=False), **limits).overlap


def test_a_scene_that_fits_whole_is_one_tile_and_one_that_never_fits_is_refused_with_words():
    plan = plan_for(size=(300, 204), tile=96, shard=96)
    assert largest_tile(plan, budget=100 * GB, workers=1, shard=96) == 384
    assert largest_tile(plan, budget=100, workers=1, shard=96) == 96
    with pytest.raises(PlanError, match="No tile fits"):
        refuse_if_too_large(plan, budget=100, workers=1, shard=96)


def test_twice_the_dates_take_smaller_tiles_and_no_more_memory():
    need = {}
    for dates in (12, 24):
        seen = tuple(range(dates))
        sources = [replace(source, dates=seen) for source in ALL]
        target = Target((dates, 100, 2304, 2304), torch.arange(100.0) + 400, torch.arange(float(dates)))

        def planned(tile, target=target, sources=sources):
            return make_plan(
                inputs=Path("i"),
                output=Path("o"),
                sources=sources,
                target=target,
                method=Bicubic(),
                tile=tile,
                shard=96,
            )

        side = largest_tile(planned(96), budget=4 * GB, workers=1, shard=96)
        need[dates] = side, need_of(replace(planned(side), overlap=True)).memory
    assert need[24][0] < need[12][0]
    assert all(2 * GB < memory <= 4 * GB for _, memory in need.values())


# ---------------------------------------------------------------- disk


def test_too_little_disk_is_refused(monkeypatch, tmp_path):
    usage = namedtuple("usage", "free")
    asked = []

    def disk(path):
        asked.append(path)
        return usage(100 * 2**20)

    monkeypatch.setattr(planning.shutil, "disk_usage", disk)
    plan = replace(plan_for(), output=tmp_path / "not" / "yet" / "fused.zarr")
    said = r"output .*fused.zarr: .*room for 836.3 MiB \(before compression\), got 100.0 MiB free"
    with pytest.raises(PlanError, match=said):
        refuse_if_no_room(plan.output, need_of(plan).disk)
    assert asked == [tmp_path]
