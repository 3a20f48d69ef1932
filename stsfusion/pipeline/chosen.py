"""Chosen: the tiles that the caller asked for, where not all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stsfusion.engine.plan import Plan
from stsfusion.errors import PlanError, nearest
from stsfusion.pipeline.reciperun import Orders

__all__ = ["chosen", "require_tiles"]


def chosen(orders: Orders, failed: Collection[str]) -> set[str] | None:
    """Keys of those tiles alone that were asked for; None: all.

    Parameters
    ----------
    failed
        Keys of tiles that failed before; where there are none, nobody can ask for them alone.
    """
    return {*orders.tiles, *(failed if orders.retry_failed else ())} or None


def require_tiles(plan: Plan, orders: Orders) -> None:
    """Refuse tiles that the plan does not have.

    Raises
    ------
    PlanError
        Naming one, and the nearest that there is.
    """
    keys = [tile.key for tile in plan.tiles]
    for key in orders.tiles:
        if key not in keys:
            raise PlanError(
                f"tile '{key}'",
                expected=_those(keys),
                got="no such tile",
                mend=nearest(key, keys),
            )


def _those(keys: Sequence[str]) -> str:
    return (
        f"one of the {len(keys)} tiles, such as {keys[0]}" if len(keys) > 1 else f"the only tile, {keys[0]}"
    )
