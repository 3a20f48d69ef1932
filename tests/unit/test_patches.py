"""Cuts, turns and labels of lessons."""

import pytest
import torch

from stsfusion.learning.patches import Label, Lesson, Turn
from stsfusion.operators.blur import Blur, gaussian_kernel


@pytest.mark.parametrize("code", range(8))
def test_back_undoes_forth(code):
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    turn = Turn(code)
    assert torch.equal(turn.back(turn.forth(x)), x)


def test_the_eight_turns_differ():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert len({tuple(Turn(code).forth(x).flatten().tolist()) for code in range(8)}) == 8


def lesson(size=36, ratio=3):
    """Features that are their own position, a label that is the blurred position."""
    rows = torch.arange(float(size))[:, None].expand(size, size)
    position = torch.stack([rows, rows.T])[None]
    blur = Blur(gaussian_kernel(float(ratio), ratio), ratio, (1, 2, size, size))
    label = Label(blur(position), torch.ones(1, 1, size // ratio, size // ratio), (0,), blur)
    return Lesson(position, {"rich": label}, (), 6)


def test_a_cut_keeps_features_and_labels_on_the_same_ground():
    generator = torch.Generator().manual_seed(0)
    corners = set()
    for _ in range(20):
        cut = lesson().draw(20, generator)
        assert cut.features.shape == (1, 2, 18, 18)
        corners.add((float(cut.features[0, 0, 0, 0]), float(cut.features[0, 1, 0, 0])))
        label = cut.labels["rich"]
        off = (label.look(cut.features) - label.data).abs() * label.weight
        assert float(off.max()) < 1e-3
        assert 0 < float(label.weight.mean()) < 1
    assert len(corners) > 5
    assert all(row % 6 == 0 and col % 6 == 0 for row, col in corners)


def test_a_tile_smaller_than_the_patch_is_taken_whole():
    cut = lesson().draw(100, torch.Generator().manual_seed(0))
    assert cut.features.shape[2:] == (36, 36)


def test_a_label_looks_at_its_own_dates():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 4, 4)
    label = Label(
        torch.zeros(2, 1, 4, 4),
        torch.ones(2, 1, 4, 4),
        (1, 4),
        Blur(torch.ones(1, 1), 1, (2, 1, 4, 4)),
    )
    assert label.look(images)[:, 0, 0, 0].tolist() == [1.0, 4.0]


def test_a_mixed_label_is_the_mixture_and_needs_both_dates():
    data = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    weight = torch.ones(3, 1, 2, 2)
    weight[2, :, 0, 0] = 0.0
    label = Label(data, weight, (0, 2, 4), Blur(torch.ones(1, 1), 1, (3, 1, 2, 2)))
    made = label.mixed(2, 4, 0.25)
    assert made.data[:, 0, 1, 1].tolist() == [0.0, 1.25, 2.0]
    assert made.weight[1, 0].tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert label.mixed(2, 3, 0.5) is label
