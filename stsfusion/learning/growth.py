"""Growth: how much larger errors are at fine pixels than at left-out coarse ones, told by three witnesses.

::

    variance at a fine pixel  =  (fields · strayed^½ + crossed) · variance of left-out coarse errors
    fields                    =  foretold^(1 − say) · alone^say                      say = ½ · (1 − noise)

    foretold  as the fields of the scores' residuals, and what no score holds, have it, band by band
    alone     as the fields of the bands' own residuals have it
    strayed   how far errors of hidden multispectral bands really went against what was foretold of them, on
              the geometric mean; these are other bands than those asked for: half of it is believed
    crossed   sensors that do not see the same scene differ from pixel to pixel, as white as can be

Errors of scores cancel in bands that are told well. Growing every score by itself undoes that, and has such
bands err too much. Fields of bands know what cancels, but not that it is scores that are returned, and little
where the coarse image is noise. Both are off in ways of their own; neither grows by more than a white error.

What the point spread function hides of an error cannot be seen in the coarse image, and only the
multispectral bands are known on both scales: witnesses of errors like the ones that are asked for, no more.
Bands that are not hidden witness nothing: the regression was told them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Growth", "between", "clean", "foretold"]

_EXAM = 1 / 2
"""Weight of the exam beside the fields."""

_ALONE = 1 / 2
"""Weight of the bands' own fields beside the scores', where the coarse image has no noise."""

_CLEAN = 0.05
"""Least share of the left-out errors' variance that is not the coarse image's noise."""

_TINY, _MOST = 1e-30, 1e6
"""A ratio of variances is believed between these: beyond, next to nothing was left out, and divided by."""


@dataclass(frozen=True, eq=False)
class Growth:
    """What each witness says; variances over those of left-out coarse errors."""

    foretold: Tensor
    """(L,) see `foretold`."""

    alone: Tensor
    """(L,) of the bands, were each kriged by itself."""

    own: Tensor
    """(L,) share of the left-out errors' variance that is not the coarse image's noise; see `clean`."""

    exam: Tensor | None
    """(l,) variance of hidden bands' errors over the one that was foretold; None: not known."""

    crossed: Tensor
    """(l,) variance of the sensor model's misfit beyond noise, over that of what the bands see."""

    coverage: Tensor
    """(l, L) bool."""

    nm: Tensor
    """(L,) wavelengths."""

    def __call__(self, contrast: Tensor, white: Tensor) -> Tensor:
        """(L,) growth of the variance.

        Parameters
        ----------
        contrast
            (L,) variance of the hyperspectral bands over that of their left-out errors.
        white
            () what an error that is white grows by: one over the sum of the squared kernel.
        """
        live = self.coverage.any(1)
        # Differences of errors that are alike can seem to grow by more than a white error does.
        scores, bands = (
            each.clamp_min(_TINY).minimum(white.to(each)).log() for each in (self.foretold, self.alone)
        )
        growth = torch.lerp(scores, bands, _ALONE * self.own).exp()
        if self.exam is not None and bool(live.any()):
            growth = growth * (_EXAM * self.exam.clamp(_TINY, _MOST).log().mean()).exp().to(growth)
        if not bool(live.any()):
            return growth
        centres = torch.stack([self.nm[row].mean() for row in self.coverage[live]])
        # What left-out errors do not show was calibrated away.
        return growth + white * (between(self.nm, centres, self.crossed[live]) * contrast).clamp_max(1.0)


def clean(power: Tensor, noise: Tensor) -> Tensor:
    """Share of mean squared left-out errors that is not the coarse image's noise, which nobody asks for."""
    return (1.0 - noise / power.clamp_min(_TINY)).clamp(_CLEAN, 1.0)


def foretold(errors: Tensor, grown: Tensor, basis: Tensor, outer: Tensor, outgrown: Tensor) -> Tensor:
    """(L,) growth of the bands' variance from that of (n, p) errors of scores and of what no score holds.

    Parameters
    ----------
    errors, grown
        Left-out errors of coarse pixels, and the (p,) growth of their variance.
    basis
        (p, L) of the scores.
    outer, outgrown
        (n, L) what the subspace leaves out of these pixels, and the (L,) growth of its variance.
    """
    rest = outer.square().mean(0)
    fine = (errors * grown.sqrt() @ basis).square().mean(0) + outgrown * rest
    return fine / ((errors @ basis).square().mean(0) + rest).clamp_min(_TINY)


def between(places: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Values at places from those at known ones, linearly; the nearest beyond them."""
    order = known.argsort()
    known, values = known[order], values[order]
    above = torch.searchsorted(known, places).clamp(1, max(len(known) - 1, 1)).clamp_max(len(known) - 1)
    below = (above - 1).clamp_min(0)
    part = ((places - known[below]) / (known[above] - known[below]).clamp_min(1e-9)).clamp(0.0, 1.0)
    return values[below] * (1.0 - part) + values[above] * part
