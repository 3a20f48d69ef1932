"""Factoring: from a factored answer to what a compact series keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stsfusion.cube.anchors import Anchors
from stsfusion.cube.factors import Factors, sizes_of
from stsfusion.errors import PlanError
from stsfusion.fusion.answer import Answer, Factored, Quality
from stsfusion.operators.resample import upsample
from stsfusion.running.tiling import Tile

__all__ = ["DateMaps", "anchors_of", "date_maps", "factors_of", "require_same"]

_SAMPLE = 4096
"""Pixels from which the weights of the standard deviation come, at most."""


@dataclass(frozen=True, eq=False)
class DateMaps:
    """What is kept of one date of a tile's interior."""

    maps: np.ndarray
    """(1, K, y, x) coefficients, reflectance."""

    valid: np.ndarray
    """(1, y, x) bool."""

    residual: np.ndarray | None
    """(1, band, y/r, x/r) reflectance; None: there is none."""

    sigma: np.ndarray | None
    """(1, anchor, y, x) reflectance; None: it is not kept."""


def factors_of(answer: Answer) -> Factors | None:
    """What a factored answer has in common at all pixels; None for an answer in full."""
    values = answer.values
    if not isinstance(values, Factored):
        return None
    return Factors.of(_plain(values.basis), _plain(values.mean), _ratio(values))


def anchors_of(answer: Answer) -> Anchors | None:
    """From which bands the standard deviation of all bands follows; None where the method does not say it.

    Learned from pixels of all dates of the answer, evenly spread.
    """
    if (said := answer.sigma) is None:
        return None
    sigma = said.expand(answer.shape).movedim(1, -1)
    known = answer.quality[:, 0] != int(Quality.NO_DATA)
    pixels = sigma[known if bool(known.any()) else torch.ones_like(known)]
    every = max(1, len(pixels) // _SAMPLE)
    return Anchors.learn(_plain(pixels[::every]))


def require_same(factors: Factors, answer: Answer, tile: Tile) -> None:
    """Refuse an answer that a compact series cannot keep: one in full, or of other spectra.

    Raises
    ------
    PlanError
        In both cases.
    """
    own = factors_of(answer)
    if own is None or replace(own, anchors=factors.anchors) != factors:
        raise PlanError(
            f"tile {tile.key} of a compact series",
            expected="a factored answer with the basis and the mean that all tiles share",
            got="an answer in full" if own is None else "another basis",
            mend="Keep all bands with 'fuse: {product: full}'.",
        )


def date_maps(factors: Factors, answer: Answer, tile: Tile, k: int) -> DateMaps:
    """What is kept of the answer's k-th date, for the tile's interior.

    Raises
    ------
    PlanError
        When the residual's pixels are cut by the tile's edge.
    """
    assert isinstance(answer.values, Factored)
    _, _, down, across = tile.interior.slices
    values, sizes = answer.values, sizes_of(_plain(answer.values.basis))
    maps = _plain(values.coefficients[k, :, down, across]) * sizes[:, None, None]
    known = answer.quality[k, 0, down, across] != int(Quality.NO_DATA)
    valid = known.cpu().numpy() & np.isfinite(maps).all(0)
    residual = None
    if values.residual is not None:
        ratio = _ratio(values)
        assert ratio is not None
        _, _, *coarse = tile.interior.coarsen(ratio).slices
        residual = _plain(values.residual[k, :, coarse[0], coarse[1]])[None]
        whole = upsample(values.residual[k : k + 1].sum(1, keepdim=True), ratio)[0, 0, down, across]
        valid &= torch.isfinite(whole).cpu().numpy()
    sigma = None
    if factors.anchors is not None and (said := answer.sigma_of(k)) is not None:
        sigma = _plain(said[list(factors.anchors.bands)][:, down, across])[None]
    return DateMaps(maps[None], valid[None], residual, sigma)


def _ratio(values: Factored) -> int | None:
    return None if values.residual is None else values.coefficients.shape[2] // values.residual.shape[2]


def _plain(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
