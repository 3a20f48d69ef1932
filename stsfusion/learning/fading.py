"""Fading: how a relation between bands that one date has taught fails at others, where no date can be hidden.

Every band of the dense sensor is told from its others by what one date has taught, and compared with what was
seen of it on the other dates: the same regression, the same kind of bands, a date that was not looked at.
Of all bands the one that fares worst is believed: what is asked for lies farther from the dense bands, in
short-wave infrared most of all, than these from each other.

Source: ours; hidden bands stand for hidden dates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stsfusion.learning.panel import Bent, Lesson, Panel

__all__ = ["fading"]

_MOST = 400.0
"""Times by which variance is taken to grow at most."""


def fading(bands: Tensor, noise: Tensor, taught: int, how: tuple[int, float, int]) -> Tensor:
    """(t,) by how much the variance of what a regression leaves grows at every date.

    Parameters
    ----------
    bands
        (t, b, n) dense bands of pixels.
    noise
        (b,) standard deviation of their errors.
    taught
        The date that taught.
    how
        Centres, load and seed of the regression.
    """
    found = []
    for band in range(bands.shape[1]):
        others = [each for each in range(bands.shape[1]) if each != band]
        said = _said(bands[:, others], bands[taught, band], noise[others], taught, how)
        left = (bands[:, band] - said).square().mean(1)
        found.append(left / torch.maximum(left[taught], noise[band].square()).clamp_min(1e-20))
    return torch.stack(found).amax(0).clamp(1.0, _MOST)


def _said(inputs: Tensor, wanted: Tensor, noise: Tensor, taught: int, how: tuple[int, float, int]) -> Tensor:
    """(t, n) of a band by (t, b, n) others, as the date that was taught has it."""
    if inputs.shape[1] == 0:
        return wanted.mean().expand(len(inputs), inputs.shape[2])
    bent = Bent.learn(inputs[taught], noise, *how)
    clear = torch.ones(1, inputs.shape[2], dtype=torch.bool, device=inputs.device)
    lesson = Lesson(inputs[taught][:, None], wanted[None, None], clear, torch.ones(1, 1), 1)
    panel = Panel.learn([lesson], bent)
    return torch.stack([panel(bent(each[:, None]))[0, 0] for each in inputs])
