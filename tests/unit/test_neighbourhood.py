"""From which dates each date is made: the rule against a plain search, and the tiles that keep to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stsfusion.engine.plan import Source, make_plan
from stsfusion.fusion.problem import Target
from stsfusion.methods import create
from stsfusion.pipeline.neighbourhood import cut, intervals


def source(role, dates, ratio=1):
    return Source(role, role, tuple(dates), ratio, np.full((ratio, ratio), 1 / ratio**2))


def by_search(date, sources, neighbours):
    """Walk away from the date until each sensor was met so often, or the series ends."""
    ends = [date]
    for each in sources:
        for step in (-1, 1):
            met = [d for d in sorted(each.dates, key=lambda d: step * d) if step * (d - date) > 0]
            ends += met[:neighbours]
    return min(ends), max(ends) + 1


@given(
    st.lists(st.sets(st.integers(0, 14), min_size=1), min_size=1, max_size=3),
    st.integers(0, 4),
)
def test_of_every_sensor_the_nearest_dates_on_either_side(days, neighbours):
    sources = [
        source(role, sorted(seen)) for role, seen in zip(("rich", "sharp", "dense"), days, strict=False)
    ]
    found = intervals(15, sources, None, neighbours)
    assert list(found) == [by_search(date, sources, neighbours) for date in range(15)]


def test_without_a_word_the_method_decides():
    assert intervals(4, [], None, None) == ((0, 4),) * 4
    assert intervals(4, [], 1, None) == ((0, 2), (0, 3), (1, 4), (2, 4))


def test_a_new_date_at_the_end_changes_the_last_ones_alone():
    before = [source("rich", (0, 4)), source("dense", range(7))]
    after = [source("rich", (0, 4)), source("dense", range(8))]
    old, new = intervals(7, before, None, 1), intervals(8, after, None, 1)
    assert [date for date in range(7) if old[date] != new[date]] == [6]


@pytest.fixture
def plan():
    target = Target((6, 3, 24, 24), torch.linspace(400, 900, 3), torch.arange(6.0))
    sources = [source("rich", (0, 3), 3), source("dense", range(6), 2)]
    return make_plan(
        inputs=Path("in"), output=Path("out"), sources=sources, target=target,
        method=create("lineartime"), tile=12, shard=12, written=(0, 1, 2, 4, 5),
    )  # fmt: skip


def test_whole_neighbourhoods_leave_the_plan_as_it_is(plan):
    assert cut(plan, intervals(6, plan.sources, None, None)) is plan


@pytest.mark.parametrize("dates", [None, (1, 2, 5), (4,)])
def test_tiles_cover_the_chosen_dates_once_and_read_their_neighbourhoods(plan, dates):
    around = intervals(6, plan.sources, None, 1)
    tiles = cut(plan, around, dates).tiles
    counted = np.zeros((6, 24, 24), int)
    for at, tile in enumerate(tiles):
        assert tile.index == at
        assert tile.padded.contains(tile.core)
        for date in range(*tile.core.dates):
            if date in plan.written:
                assert tile.padded.dates == around[date]
        counted[(slice(*tile.core.dates), slice(*tile.core.rows), slice(*tile.core.cols))] += 1
    chosen = plan.written if dates is None else dates
    assert (counted[list(chosen)] == 1).all()
    others = [date for date in plan.written if date not in chosen]
    assert not counted[others].any()
    assert len({tile.key for tile in tiles}) == len(tiles)


def test_a_plan_that_was_cut_can_be_cut_again(plan):
    """Also where the first date is not published, so that no tile writes it."""
    plan = replace(plan, written=(1, 2, 4, 5))
    around = intervals(6, plan.sources, None, 1)
    assert cut(cut(plan, around), around, (2, 5)).tiles == cut(plan, around, (2, 5)).tiles
    assert len(cut(cut(plan, around), around, (2, 5)).tiles) == 8


def test_dates_made_from_the_same_ones_share_a_tile(plan):
    around = intervals(6, plan.sources, None, None)
    assert {tile.core.dates for tile in cut(plan, around, (1, 2, 4)).tiles} == {(1, 5)}
    assert {tile.core.dates for tile in cut(plan, around, (1, 4)).tiles} == {(1, 2), (4, 5)}


def test_a_plan_without_dates_has_no_tiles(plan):
    assert cut(plan, intervals(6, plan.sources, None, 1), ()).tiles == ()
    assert replace(plan, tiles=()).tiles == ()
