"""Thin plate: coarse pixels interpolated to fine ones as a thin plate bends, neighbourhood by neighbourhood.

::

    f(x) = Σ_i w_i φ(|x − x_i|) + c_0 + c·x,   φ(d) = d² log d,   f(x_i) = v_i,   Σ w_i = 0,   Σ w_i x_i = 0

The spline of a whole image looks at all of it. Its cardinal functions on a grid fall off exponentially, so a
spline through the 9 × 9 coarse pixels around each gives the same within a thousandth of the image's
standard deviation. Planes are kept; the weights depend on a fine pixel's place in its coarse one alone.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad, pixel_shuffle

__all__ = ["REACH", "thin_plate"]

REACH = 4
"""Coarse pixels that the interpolation looks at on every side."""


def thin_plate(image: Tensor, ratio: int) -> Tensor:
    """(b, h, w) to (b, h · ratio, w · ratio); edges are repeated.

    Source: Duchon (1977); exponential decay on grids: Madych and Nelson (1990).
    """
    wide = pad(image[:, None], (REACH,) * 4, mode="replicate")
    return pixel_shuffle(conv2d(wide, _weights(ratio).to(image)), ratio)[:, 0]


@cache
def _weights(ratio: int) -> Tensor:
    """(ratio², 1, 9, 9) weights of the neighbourhood for every place in a coarse pixel, double precision."""
    axis = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    knots = torch.cartesian_prod(axis, axis)
    place = (torch.arange(ratio, dtype=torch.float64) + 0.5) / ratio - 0.5
    asked = torch.cartesian_prod(place, place)
    system = torch.zeros(len(knots) + 3, len(knots) + 3, dtype=torch.float64)
    system[: len(knots), : len(knots)] = _bend(torch.cdist(knots, knots))
    system[: len(knots), len(knots) :] = _plane(knots)
    system[len(knots) :, : len(knots)] = _plane(knots).T
    aim = torch.cat([_bend(torch.cdist(asked, knots)), _plane(asked)], 1)
    solved = torch.linalg.solve(system, aim.T)[: len(knots)]
    return solved.T.reshape(ratio**2, 1, len(axis), len(axis))


def _bend(distance: Tensor) -> Tensor:
    """d² log d, zero at zero."""
    return torch.special.xlogy(distance.square(), distance)


def _plane(places: Tensor) -> Tensor:
    """(n, 3) one, y, x."""
    return torch.cat([torch.ones_like(places[:, :1]), places], 1)
