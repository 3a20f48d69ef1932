"""Tiles cover a scene once and read what they need."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stsfusion.errors import PlanError
from stsfusion.running.tiling import Tile, tiles
from stsfusion.window import Window


@st.composite
def requests(draw):
    multiple = draw(st.sampled_from([1, 2, 3, 4, 6, 12]))
    shard = draw(st.integers(1, 20))
    return {
        "dates": draw(st.integers(1, 7)),
        "rows": multiple * draw(st.integers(1, 60 // multiple)),
        "cols": multiple * draw(st.integers(1, 60 // multiple)),
        "tile": shard * draw(st.integers(1, 3)),
        "shard": shard,
        "halo": draw(st.integers(0, 25)),
        "multiple": multiple,
        "span": draw(st.none() | st.integers(0, 4)),
        "block": draw(st.none() | st.integers(1, 8)),
    }


def plan(request):
    request = dict(request)
    return tiles(request.pop("dates"), request.pop("rows"), request.pop("cols"), **request)


def times_written(found, request):
    count = np.zeros((request["dates"], request["rows"], request["cols"]), int)
    for tile in found:
        t, _, y, x = tile.core.slices
        count[t, y, x] += 1
    return count


def shard_writers(found, shard):
    """Who writes each shard, counted pixel by pixel."""
    writers = {}
    for tile in found:
        for date in range(*tile.core.dates):
            for y in range(*tile.core.rows):
                for x in range(*tile.core.cols):
                    writers.setdefault((date, y // shard, x // shard), set()).add(tile.index)
    return writers


@settings(max_examples=60, deadline=None)
@given(requests())
def test_cores_cover_each_pixel_and_date_once(request_):
    assert (times_written(plan(request_), request_) == 1).all()


@settings(max_examples=25, deadline=None)
@given(requests())
def test_a_shard_has_one_writer(request_):
    assert all(len(tiles_) == 1 for tiles_ in shard_writers(plan(request_), request_["shard"]).values())


@settings(max_examples=60, deadline=None)
@given(requests())
def test_padded_windows_hold_core_and_halo_or_touch_the_edge(request_):
    size = {"rows": request_["rows"], "cols": request_["cols"]}
    for tile in plan(request_):
        for axis, length in size.items():
            core, padded = getattr(tile.core, axis), getattr(tile.padded, axis)
            assert padded[0] == 0 or padded[0] <= core[0] - request_["halo"]
            assert padded[1] == length or padded[1] >= core[1] + request_["halo"]
            assert padded[0] >= 0
            assert padded[1] <= length
            assert not any(edge % request_["multiple"] for edge in padded)
            # No wider than the next coarse pixel's edge asks for.
            assert core[0] - request_["halo"] - padded[0] < request_["multiple"]
            assert padded[1] - core[1] - request_["halo"] < request_["multiple"]


@settings(max_examples=60, deadline=None)
@given(requests())
def test_dates_carry_their_span(request_):
    for tile in plan(request_):
        reach = request_["dates"] if request_["span"] is None else request_["span"]
        assert tile.padded.dates == (
            max(tile.dates[0] - reach, 0),
            min(tile.dates[1] + reach, request_["dates"]),
        )


@settings(max_examples=30, deadline=None)
@given(requests())
def test_tiles_cross_json_and_stay_small(request_):
    found = plan(request_)
    assert [Tile.from_json(tile.to_json()) for tile in found] == found
    assert all(len(tile.to_json()) < 300 for tile in found)
    assert len({tile.key for tile in found}) == len(found)
    assert [tile.index for tile in found] == list(range(len(found)))


def test_the_demo_scene_by_hand():
    found = tiles(7, 150, 150, tile=60, shard=60, halo=5, multiple=6)
    assert len(found) == 9
    assert found[4] == Tile(4, Window((0, 7), (60, 120), (60, 120)), Window((0, 7), (54, 126), (54, 126)))
    assert found[8].core == Window((0, 7), (120, 150), (120, 150))
    assert found[8].padded == Window((0, 7), (114, 150), (114, 150))
    assert found[8].interior == Window((0, 7), (6, 36), (6, 36))
    assert found[1].key == "t0-7.y0-60.x60-120"


def test_blocks_of_dates_come_first():
    found = tiles(5, 384, 384, block=2, span=1)
    assert [tile.dates for tile in found] == [(0, 2), (2, 4), (4, 5)]
    assert [tile.padded.dates for tile in found] == [(0, 3), (1, 5), (3, 5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": 100, "shard": 96}, r"whole number of shards of 96 .*\n.*tile 96"),
        ({"tile": 48, "shard": 96}, r"whole number of shards of 96 .*\n.*tile 96"),
        ({"rows": 145, "multiple": 6}, r"(?s)multiples of 6.*145 × 192.*Pad the base grid to 150 × 192"),
        ({"halo": -1}, "'halo'.*0 or more"),
        ({"span": -2}, "'span'.*0 or more"),
        ({"dates": 0}, "'dates'.*at least 1"),
        ({"block": 0}, "'block'.*at least 1"),
    ],
)
def test_impossible_requests_say_what_to_do(change, message):
    request = {"dates": 3, "rows": 192, "cols": 192, "tile": 96, "shard": 96, "multiple": 6} | change
    with pytest.raises(PlanError, match=message):
        plan(request)


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"index": 0, "core": 1, "padded": 2})])
def test_what_is_no_tile_is_refused(text):
    with pytest.raises(PlanError, match=r"Tile\.to_json"):
        Tile.from_json(text)


def test_a_broken_cut_is_caught():
    request = {"dates": 1, "rows": 12, "cols": 12, "tile": 4, "shard": 4}
    found = plan(request)
    shifted = [*found[:-1], Tile(8, Window((0, 1), (8, 12), (7, 12)), found[-1].padded)]
    assert not (times_written(shifted, request) == 1).all()
    assert not all(len(writers) == 1 for writers in shard_writers(shifted, 4).values())
