"""Lloyd's rounds against centres and means that are known."""

from __future__ import annotations

import torch

from stsfusion.learning.lloyd import settled

POINTS = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 4.0]])


def test_centres_go_to_the_means_of_the_nearest_points():
    found = settled(POINTS, torch.tensor([[1.0, 0.0], [9.0, 0.0]]), 3)
    assert torch.equal(found, torch.tensor([[0.0, 1.0], [10.0, 2.0]]))


def test_a_centre_without_points_stays():
    start = torch.tensor([[5.0, 1.0], [500.0, 0.0]])
    assert torch.equal(settled(POINTS, start, 2), torch.tensor([[5.0, 1.5], [500.0, 0.0]]))


def test_no_round_moves_nothing():
    assert torch.equal(settled(POINTS, POINTS[:1] + 1.0, 0), POINTS[:1] + 1.0)
