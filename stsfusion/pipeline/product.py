"""Product: whether a series keeps all bands or the maps from which they follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from stsfusion import methods
from stsfusion.cube.anchors import Anchors
from stsfusion.cube.factors import Factors
from stsfusion.cube.parts import parts_of
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.engine.factoring import anchors_of, factors_of
from stsfusion.engine.plan import Plan
from stsfusion.engine.probe import probe
from stsfusion.errors import PlanError, StoreError
from stsfusion.fusion.method import FusionMethod

__all__ = ["Product", "factors_for", "require_factored", "size_of"]

Product = Literal["full", "compact", "auto"]
"""All bands; a few maps; or maps where the method's answers allow it and at least halve what is kept."""

_WORTH = 2.0
"""Times fewer values a pixel from which `auto` keeps maps."""


def require_factored(method: FusionMethod, product: Product) -> None:
    """Refuse maps of a method whose answers hold all bands, before anything is read or computed.

    Raises
    ------
    PlanError
        When maps are asked for, and there are none.
    """
    if product == "compact" and not method.card.factored:
        raise _in_full(method)


def _in_full(method: FusionMethod) -> PlanError:
    those = [name for name in methods.names() if methods.card(name).factored]
    return PlanError(
        "recipe, 'fuse.product: compact'",
        expected=f"a method whose answers are factored: {' or '.join(those)}",
        got=f"'{method.card.name}', which answers in full here",
        mend="Use 'product: full', or 'auto' to keep maps where that is possible.",
    )


def factors_for(plan: Plan, product: Product, shard: int, known: Sequence[Path] = ()) -> Factors | None:
    """What all pixels of a series have in common; None when it keeps all bands.

    Parameters
    ----------
    plan
        With the fitted method; a small window of it is fused.
    product
        What the recipe asks for.
    shard
        Side of a shard, target pixels.
    known
        Stores of the same series, an earlier part of it, or one made with the same learning: how the standard
        deviation follows from a few bands is taken from the first that tells it.

    Raises
    ------
    PlanError
        When maps are asked for, and the method's answers are not factored.
    """
    if product == "full":
        return None
    answer = probe(plan)
    factors = factors_of(answer)
    if factors is None and product == "compact":
        raise _in_full(plan.method)
    if factors is None or (product == "auto" and not _pays(factors, shard)):
        return None
    if answer.deviations is None:
        return factors
    return replace(factors, anchors=_told(factors, known) or anchors_of(answer))


def size_of(spec: CubeSpec) -> int:
    """Bytes of a compact series before compression; carries are hardly ever anything and not counted."""
    parts = {name: part for name, part in parts_of(spec).items() if name != "carry"}
    return sum(math.prod(part.shape) * np.dtype(part.dtype).itemsize for part in parts.values())


def _pays(factors: Factors, shard: int) -> bool:
    return factors.gain >= _WORTH and shard % (factors.ratio or 1) == 0


def _told(factors: Factors, known: Sequence[Path]) -> Anchors | None:
    """The anchors of the first store that expands its maps by the same spectra."""
    for path in known:
        for staged in (True, False):
            try:
                there = CubeStore(path).factors("", staged=staged)
            except StoreError:
                continue
            if there is not None and replace(there, anchors=None) == factors:
                return there.anchors
    return None
