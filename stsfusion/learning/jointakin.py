"""Jointakin: what pixels that look alike keep in common, learned from some of a region's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.learning.akin import Akin, Company
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.jointanswer import keep
from stsfusion.learning.jointbase import Settings
from stsfusion.learning.sighting import place_of
from stsfusion.learning.told import told_of

__all__ = ["with_akin"]

_PIXELS = 3000
"""From which it is learned, of all tiles together."""


def with_akin(joint: Joint, tiles: Sequence[tuple[Problem, Fine, Fine]], settings: Settings) -> Joint:
    """Learn from tiles with their hyperspectral and dense series; the panel is learned already."""
    if settings.akin == 0:
        return joint
    assert joint.carried is not None
    lasting = replace(joint.carried, days=torch.tensor(max(settings.spans)))
    each = max(1, _PIXELS // len(tiles))
    company = _joined([_company(joint, tile, each, settings.seed + i) for i, tile in enumerate(tiles)])
    return replace(joint, akin=Akin.learn(company, lasting, settings.akin, settings.seed))


def _company(joint: Joint, tile: tuple[Problem, Fine, Fine], count: int, seed: int) -> Company:
    """Some pixels of a tile."""
    problem, rich, dense = tile
    told = told_of(joint, problem, dense)
    clear = told.rich.clone()
    for row, day in enumerate(rich.days.tolist()):
        place = place_of(told.dense_days, day)
        if place is not None:
            clear[row] &= told.dense[place]
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm(clear[0].numel(), generator=generator)[:count].to(clear.device)
    lasting = keep(joint, _some(rich, places), _some(dense, places))
    looks, seen = dense.looks.flatten(1)[:, places], clear.flatten(1)[:, places]
    return Company(rich.days, lasting.bands[:, :, 0], looks, lasting.kept[:, :, 0], lasting.doubt[:, 0], seen)


def _some(fine: Fine, places: Tensor) -> Fine:
    """A series at some pixels, as one row."""
    values, deviation = (x.flatten(2)[:, :, None, places] for x in (fine.values, fine.deviation))
    return Fine(fine.days, values, deviation, fine.looks.flatten(1)[:, None, places])


def _joined(parts: Sequence[Company]) -> Company:
    """The pixels of all tiles."""
    names = ("bands", "looks", "kept", "doubt", "clear")
    return Company(parts[0].days, *(torch.cat([getattr(p, name) for p in parts], -1) for name in names))
