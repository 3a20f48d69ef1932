"""Neighbours: who is chosen, and how much each counts."""

from __future__ import annotations

import torch

from stsfusion.learning.neighbours import Neighbours

EVERYWHERE = torch.ones(9, 9, dtype=torch.bool)


def test_of_equally_alike_pixels_the_nearer_are_kept_and_weigh_more():
    field = torch.zeros(1, 9, 9)
    field[0, 4, 4], field[0, 4, 5] = 1.0, 8.0
    means = Neighbours(4, 5, torch.ones(1)).mean(field, torch.zeros(1, 9, 9), EVERYWHERE)
    near = 1 / (1 + 1 / 4)
    assert abs(float(means[0, 4, 4]) - (1 + near * 8) / (1 + 4 * near)) < 1e-6
    assert float(means[0, 0, 0]) == 0.0


def test_the_alike_are_found_far_away_and_never_under_a_mask_or_in_another_class():
    guide = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    guide[:, 1, 1] = guide[:, 4, 4]
    field = torch.arange(81.0).reshape(1, 9, 9)
    twins = Neighbours(4, 2, torch.ones(2))
    far = 1 / (1 + 18**0.5 / 4)
    assert abs(float(twins.mean(field, guide, EVERYWHERE)[0, 4, 4]) - (40 + 10 * far) / (1 + far)) < 1e-4
    masked = EVERYWHERE.clone()
    masked[1, 1] = False
    alone = Neighbours(4, 1, torch.ones(2))
    assert float(alone.mean(field, guide, ~EVERYWHERE)[0, 4, 4]) == 40.0
    other = twins.mean(field, guide, masked)[0, 4, 4]
    labels = torch.zeros(9, 9, dtype=torch.long)
    labels[1, 1] = 1
    assert float(other) == float(twins.mean(field, guide, EVERYWHERE, labels)[0, 4, 4])
    assert float(other) != float(twins.mean(field, guide, EVERYWHERE)[0, 4, 4])


def test_fewer_candidates_than_asked_for_are_all_taken():
    field = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(1))
    means = Neighbours(0, 20, torch.ones(1)).mean(field, field, EVERYWHERE)
    torch.testing.assert_close(means, field)
    assert bool(torch.isfinite(Neighbours(1, 20, torch.ones(1)).mean(field, field, EVERYWHERE)).all())
