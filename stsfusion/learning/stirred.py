"""Stirred: what the noise of dense images that lie on the fine grid brings into an estimate.

Coarser pixels are unmixed, and their noise with them thinned out. Fine ones hand theirs on, to the estimate
that was denied a date as to the one that stands for the truth: no hidden date shows it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.timeline import spread
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.jointanswer import floored, judge, keep
from stsfusion.learning.jointbase import noise_of
from stsfusion.learning.jointtrial import Tile
from stsfusion.learning.sighting import place_of

__all__ = ["stirred"]

_DATES = 3
"""Dates of which the mean is taken."""


def stirred(joint: Joint, tile: Tile) -> Tensor:
    """(band,) variance of an estimate when noise of the dense sensor's size is added to its images once more.

    Zero where its pixels are coarser than the target's.
    """
    assert joint.subspace is not None
    basis, seen, dense = joint.subspace.basis, tile.problem.dense, tile.dense
    if seen is None or dense is None or seen.ratio > 1:
        return torch.zeros_like(basis[0])
    noise = noise_of([seen])[:, None, None].to(dense.values)
    days = tile.problem.target.days[seen.dates].float()
    own = torch.tensor([place_of(days, day) is not None for day in dense.days.tolist()]).to(noise)
    draws = torch.randn(dense.values.shape, generator=torch.Generator().manual_seed(0)).to(noise)
    again = replace(dense, values=dense.values + own[:, None, None, None] * noise * draws)

    def made(series: Fine, day: float) -> Tensor:
        return floored(joint, judge(joint, keep(joint, tile.rich, series), series, day, True).scores)

    moved = [made(again, day) - made(dense, day) for day in spread(days.tolist(), _DATES)]
    return (basis.T @ torch.cat([each.flatten(1) for each in moved], 1)).square().mean(1)
