"""Classes and what they change by."""

from __future__ import annotations

import torch

from stsfusion.learning.classes import Classes, class_changes


def test_separate_groups_are_found_whatever_the_bands_unit():
    dice = torch.Generator().manual_seed(0)
    truth = torch.randint(3, (900,), generator=dice)
    levels = torch.tensor([[0.1, 400.0], [0.5, 100.0], [0.9, 900.0]])
    scale = torch.tensor([0.3, 300.0])
    pixels = levels[truth] + 0.02 * scale * torch.randn(900, 2, generator=dice)
    classes = Classes.learn(pixels, scale, 3, torch.Generator().manual_seed(1))
    labels = classes(pixels.T[:, :, None])[:, 0]
    assert all(len(labels[truth == one].unique()) == 1 for one in range(3))
    assert len(labels.unique()) == 3


def test_equal_pixels_are_one_class():
    classes = Classes.learn(torch.full((5, 2), 0.3), torch.ones(2), 3, torch.Generator().manual_seed(0))
    assert classes(torch.full((2, 4, 4), 0.3)).unique().tolist() == [0]


def mixed(count=400):
    dice = torch.Generator().manual_seed(2)
    shares = torch.rand(3, count, generator=dice) ** 3
    return shares / shares.sum(0)


def test_mixed_changes_are_taken_apart():
    shares = mixed()
    grown = torch.tensor([[0.1, -0.2], [0.0, 0.3], [0.05, 0.05]])
    found = class_changes(shares, (shares.T @ grown).T, purest=400, trim=0.0)
    torch.testing.assert_close(found, grown, atol=2e-3, rtol=0)


def test_pixels_that_changed_cover_are_left_out():
    shares = mixed()
    grown = torch.tensor([[0.1], [0.0], [0.05]])
    change = (shares.T @ grown).T
    change[:, ::15] += 2.0
    kept = class_changes(shares, change, purest=60, trim=0.1)
    all_in = class_changes(shares, change, purest=60, trim=0.0)
    assert float((kept - grown).abs().max()) < 0.02 < float((all_in - grown).abs().max())


def test_a_class_that_is_nowhere_and_no_pixels_at_all():
    shares = torch.stack([torch.ones(20), torch.zeros(20)])
    torch.testing.assert_close(
        class_changes(shares, torch.full((1, 20), 0.2), 5, 0.1), torch.full((2, 1), 0.2)
    )
    assert class_changes(torch.zeros(2, 0), torch.zeros(3, 0), 5, 0.1).tolist() == [[0.0] * 3] * 2
