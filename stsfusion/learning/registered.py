"""Registered: pairs laid onto each other by a model, and the coarse pixels that may be learned from.

A coarse pixel is clear when all that it sees of the fine image is valid and inside it. A scene of few pixels,
or one that is full of small gaps, may have next to none of those; then the border's count too, and last those
that see more valid than filled pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from stsfusion.learning.pair import Pair
from stsfusion.operators.pairmodel import PairModel
from stsfusion.operators.translate import translate

__all__ = ["FEW", "learnable", "registered"]

FEW = 16
"""Coarse pixels of a date that are too few to be choosy."""

_RULES = ((0.99, 0.99), (0.99, 0.0), (0.5, 0.0))
"""Least share of the kernel's weight on valid pixels, and inside the image, from strict to lenient."""


def registered(pair: Pair, model: PairModel) -> Pair:
    """The fine image fetched from where the model says, with its mask."""
    offset = (float(model.moved[0]), float(model.moved[1]))
    if not any(offset):
        return pair
    known = translate(pair.known[None].to(pair.fine), offset, "bilinear")[0] > 0.999
    return replace(pair, fine=translate(pair.fine, offset), known=known)


def learnable(pairs: Sequence[Pair], model: PairModel) -> list[Pair]:
    """Tiles of one date, registered, with the coarse pixels to learn from; those without any are left out."""
    moved = [registered(pair, model) for pair in pairs]
    best, most = moved[:0], 0
    for valid, inside in _RULES:
        strict = [_restricted(pair, model, valid, inside) for pair in moved]
        count = sum(int(pair.clear.sum()) for pair in strict)
        if count > most:
            best, most = strict, count
        if count >= FEW:
            break
    return [pair for pair in best if bool(pair.clear.any())]


def _restricted(pair: Pair, model: PairModel, valid: float, inside: float) -> Pair:
    """With no more coarse pixels than see so much of the fine image."""
    kernel = replace(model, kernel=model.kernel.to(pair.fine))
    seen = kernel.lowpass(pair.known[None].to(pair.fine))[0] > valid
    return replace(pair, clear=pair.clear & seen & (_within(model, pair) >= inside))


def _within(model: PairModel, pair: Pair) -> Tensor:
    """(h, w) share of the kernel's weight inside the image."""
    rows, cols = pair.coarse.shape[1:]
    margin = model.reach
    frame = torch.zeros(1, 1, rows * model.ratio + 2 * margin, cols * model.ratio + 2 * margin)
    frame[..., margin : frame.shape[2] - margin, margin : frame.shape[3] - margin] = 1.0
    kernel = model.kernel.to(frame)[None, None]
    trim = margin - max((kernel.shape[2] - model.ratio) // 2, 0)
    frame = frame[..., trim : frame.shape[2] - trim, trim : frame.shape[3] - trim]
    return conv2d(frame, kernel, stride=model.ratio)[0, 0].to(pair.coarse.device)
