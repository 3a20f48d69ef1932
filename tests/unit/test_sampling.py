"""Sampling: pixels come from where they may, as many from each tile."""

from __future__ import annotations

import torch

from stsfusion.learning.sampling import drawn, lit, sampled


def test_pixels_are_drawn_where_they_may_be_and_as_many_from_each_tile():
    masks = [torch.zeros(6, 9, dtype=torch.bool), torch.ones(6, 9, dtype=torch.bool)]
    masks[0][2:4, 3:8] = True
    dice = torch.Generator().manual_seed(0)
    few, many = (drawn(masks, count, dice) for count in (12, 1000))
    assert [len(places) for places in few] == [6, 6]
    assert torch.equal(many[0], masks[0].flatten().nonzero()[:, 0])
    assert torch.equal(many[1], torch.arange(54))
    for places, mask in zip(few, masks, strict=True):
        assert bool(mask.flatten()[places].all())
        assert len(places.unique()) == 6
    assert not torch.equal(few[1], torch.arange(6))


def test_empty_pixels_are_not_sampled_unless_there_are_no_others():
    dice = torch.Generator().manual_seed(0)
    empty = torch.zeros(4, 6, 9)
    image = empty.clone()
    image[:, 2:4, 3:8] = 0.1 + torch.rand(4, 2, 5, generator=dice)
    found = sampled([image, empty], lit([image, empty]), 40, dice)
    assert len(found) == 10
    assert bool((found != 0).any(1).all())
    assert len(sampled([empty], lit([empty]), 40, dice)) == 40
