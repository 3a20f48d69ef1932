"""Pairing: which point spread function and response a pair method works with, and where they come from.

::

    estimated   blind, from the pair; a sharp image whose place is unknown is first moved onto the coarse one
    box         plain averaging of the ratio's block, response by HySure's estimator (a common practice)
    gaussian    a Gaussian cut to the ratio's block, its full width the ratio; response by HySure's estimator
    hysure      kernel and response by HySure's estimator
    given       the problem's own kernel; its response where it is known, else estimated with that kernel
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from stsfusion.errors import ProblemError
from stsfusion.fusion.problem import Observation
from stsfusion.learning.pair import Pair
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.estimate import displacement, estimate, response_for
from stsfusion.operators.hysure_estimate import estimate_hysure, hysure_response, rms_misfit
from stsfusion.operators.overlap import Overlap
from stsfusion.operators.pairmodel import PairModel, support
from stsfusion.operators.translate import translate

__all__ = ["Psf", "block_gaussian", "model_for"]

Psf = Literal["estimated", "box", "gaussian", "hysure", "given"]

_STILL = 0.02
"""Fine pixels under which a displacement is not worth an interpolation."""

_FAR = 1.0
"""Fine pixels beyond which the support cuts what is displaced, so that it is looked for again from nearby."""


def model_for(
    psf: Psf, pairs: Sequence[Pair], rich: Observation, sharp: Observation, live: Tensor, used: Tensor
) -> PairModel:
    """The model of one date.

    Parameters
    ----------
    psf
        Where it comes from.
    pairs
        Sampled tiles of the date.
    rich, sharp
        The observations, for what they state of their views.
    live, used
        (L,) and (l,) bool, the bands that the pairs hold.

    Raises
    ------
    ProblemError
        When the fine images are not the finer ones, or a point spread function is given that is not known.
    """
    _check(pairs[0])
    ratio, coverage = pairs[0].ratio, pairs[0].coverage
    overlaps = [_overlap(pair) for pair in pairs]
    if psf == "estimated":
        settled = estimate if sharp.view.spatial.known else _registered
        return settled(overlaps, coverage, ratio)
    if psf == "given":
        if not rich.view.spatial.known:
            raise ProblemError(
                "setting 'psf'",
                expected="a stated point spread function, as 'given' takes it from the images",
                got="images of which it is not known",
                mend="State it, or let it be 'estimated'.",
            )
        kernel = rich.view.spatial.kernel.double()
        if not sharp.view.spectral.known:
            return response_for(overlaps, coverage, kernel, ratio)
        response = sharp.view.spectral.matrix.double().cpu()[used.cpu()][:, live.cpu()]
        model = PairModel(kernel, response, torch.zeros(len(response)), torch.zeros(2), ratio)
        return replace(model, misfit=rms_misfit(overlaps, model))
    if psf == "hysure":
        return estimate_hysure(overlaps, coverage, ratio)
    kernel = box_kernel(ratio) if psf == "box" else block_gaussian(ratio, ratio / 2.3548)
    model = PairModel(
        kernel, hysure_response(overlaps, coverage, ratio), torch.zeros(len(coverage)), torch.zeros(2), ratio
    )
    return replace(model, misfit=rms_misfit(overlaps, model))


def block_gaussian(ratio: int, sigma: float) -> Tensor:
    """(r, r) Gaussian sampled at the fine pixels of one block, of unit sum."""
    places = torch.arange(ratio, dtype=torch.float64) - (ratio - 1) / 2
    line = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum()


def _check(pair: Pair) -> None:
    """The fine image must have `ratio` times as many pixels along a side."""
    coarse, fine = pair.coarse.shape[1:], pair.fine.shape[1:]
    if fine != tuple(pair.ratio * length for length in coarse):
        raise ProblemError(
            "rich and sharp",
            expected="multispectral pixels at least as small as hyperspectral ones",
            got=f"{fine[0]} × {fine[1]} and {coarse[0]} × {coarse[1]} of them on the same ground",
            mend="Swap the two cubes, if one was taken for the other.",
        )


def _overlap(pair: Pair) -> Overlap:
    """Coarse pixels of which the whole support is valid."""
    margin = support(pair.ratio)
    gaps = (~pair.known)[None, None].float()
    near = max_pool2d(gaps, pair.ratio + 2 * margin, pair.ratio, margin)
    return Overlap(pair.coarse, pair.fine, pair.clear & (near[0, 0] == 0))


def _moved(overlaps: Sequence[Overlap], offset: tuple[float, float]) -> list[Overlap]:
    return [replace(each, fine=translate(each.fine, offset)) for each in overlaps]


def _registered(overlaps: Sequence[Overlap], coverage: Tensor, ratio: int) -> PairModel:
    """Move the fine images to where the coarse one lies, then estimate."""
    offset = displacement(overlaps, ratio)
    if max(map(abs, offset)) < _STILL:
        return estimate(overlaps, coverage, ratio)
    moved = _moved(overlaps, offset)
    if max(map(abs, offset)) > _FAR:
        down, right = displacement(moved, ratio)
        offset = offset[0] + down, offset[1] + right
        moved = _moved(overlaps, offset)
    return replace(estimate(moved, coverage, ratio), moved=torch.tensor(offset))
