"""What is held back from lessons: the same ground at both scales, and never drawn."""

import pytest
import torch

from stsfusion.learning.holding import exam_of, held_cells, side_of
from stsfusion.learning.patches import Label, Lesson
from stsfusion.operators.blur import Blur, gaussian_kernel, identity_kernel


def test_a_seventh_is_held_back_and_no_two_cells_touch():
    held = held_cells(49 * 6, 49 * 6, 6)
    assert float(held.float().mean()) == pytest.approx(1 / 7)
    cells = held[::6, ::6]
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        moved = cells.roll((down, right), (0, 1))
        assert not bool((cells & moved)[1:-1, 1:-1].any())


@pytest.mark.parametrize("rows, cols", [(18, 40), (17, 53), (120, 100)])
def test_both_scales_hold_back_the_same_ground(rows, cols):
    fine, coarse = held_cells(rows * 3, cols * 3, 18), held_cells(rows, cols, 6)
    assert torch.equal(fine[::3, ::3], coarse)
    assert torch.equal(fine, coarse.repeat_interleave(3, 0).repeat_interleave(3, 1))


@pytest.mark.parametrize("multiple, side", [(1, 16), (6, 18), (18, 18), (16, 16), (5, 20)])
def test_a_cell_is_a_multiple_and_not_too_small(multiple, side):
    assert side_of(multiple) == side


def lesson(size=72):
    """A label that sees every third pixel through a blur, and one on the target's own pixels."""
    position = torch.arange(float(size * size)).reshape(1, 1, size, size)
    blur = Blur(gaussian_kernel(3.0, 3), 3, (1, 1, size, size))
    whole = Blur(identity_kernel(), 1, (1, 1, size, size))
    labels = {
        "rich": Label(blur(position), torch.ones(1, 1, size // 3, size // 3), (0,), blur),
        "sharp": Label(position, torch.ones(1, 1, size, size), (0,), whole),
    }
    return Lesson(position, labels, (), 6)


def test_a_veiled_lesson_says_nothing_of_what_is_held_back():
    held = held_cells(72, 72, 18)
    veiled = lesson().veiled(held)
    assert torch.equal(veiled.labels["sharp"].weight[0, 0], (~held).float())
    assert torch.equal(veiled.labels["rich"].weight[0, 0], (~held[::3, ::3]).float())


def test_an_exam_asks_for_nothing_but_what_is_held_back():
    windows = exam_of(lesson(), 18, 42, 100)
    held = held_cells(72, 72, 18)
    asked = torch.zeros(72, 72, dtype=torch.bool)
    for window in windows:
        seen = window.features[window.labels["sharp"].weight > 0].long()
        asked.view(-1)[seen] = True
        assert window.features.shape[2] in range(18, 43)
    assert not bool((asked & ~held).any())
    assert float(asked.float().sum()) > 0.9 * float(held.float().sum())


def test_an_exam_has_no_more_windows_than_it_may():
    assert len(exam_of(lesson(144), 18, 42, 4)) <= 4
    assert len(exam_of(lesson(144), 18, 42, 100)) == int(held_cells(144, 144, 18)[::18, ::18].sum())


def test_a_tile_of_one_cell_holds_nothing_back():
    assert exam_of(lesson(18), 18, 42, 4) == []


def test_only_some_dates_of_a_label():
    label = Label(
        torch.zeros(3, 1, 2, 2),
        torch.ones(3, 1, 2, 2),
        (1, 4, 6),
        Blur(torch.ones(1, 1), 1, (3, 1, 2, 2)),
    )
    assert label.only((4,)).weight[:, 0, 0, 0].tolist() == [0.0, 1.0, 0.0]
