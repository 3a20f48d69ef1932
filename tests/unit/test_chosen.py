"""Tiles that a caller names have to be tiles of the plan."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stsfusion.errors import PlanError
from stsfusion.pipeline.chosen import require_tiles
from stsfusion.pipeline.reciperun import Orders


def plan_of(*keys):
    return SimpleNamespace(tiles=[SimpleNamespace(key=key) for key in keys])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("t0-4.y0-9.x0-9",), "expected the only tile, t0-4.y0-9.x0-9, got no such tile"),
        (("t0-4.y0-9.x0-9", "t0-4.y0-9.x9-18"), "expected one of the 2 tiles, such as t0-4.y0-9.x0-9, got"),
    ],
)
def test_another_tile_is_refused_and_the_nearest_is_named(keys, expected):
    plan = plan_of(*keys)
    with pytest.raises(PlanError) as refused:
        require_tiles(plan, Orders(tiles=(keys[0], "t0-4.y0-9.x0-8")))
    assert "tile 't0-4.y0-9.x0-8'" in str(refused.value)
    assert expected in str(refused.value)
    require_tiles(plan, Orders(tiles=keys))
    require_tiles(plan, Orders())
