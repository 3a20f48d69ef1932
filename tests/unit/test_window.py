"""Windows: whole numbers that grow, shrink and come back unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ratios, windows

from stsfusion.errors import PlanError
from stsfusion.window import Window

GRID = (5, 60, 48)
inside = windows(*GRID)


def pixels(window):
    """The window's pixels as a set, the slow way."""
    return {(t, y, x) for t in range(*window.dates) for y in range(*window.rows) for x in range(*window.cols)}


@given(inside, st.integers(0, 30))
def test_padding_comes_back(window, pixels_):
    padded = window.pad(pixels_)
    assert padded.contains(window)
    assert padded.pad(-pixels_) == window
    assert padded.shape == (window.shape[0], window.shape[1] + 2 * pixels_, window.shape[2] + 2 * pixels_)


@given(inside, st.integers(1, 13))
def test_snapping_is_the_least_growth_to_multiples(window, multiple):
    snapped = window.snap(multiple)
    assert snapped.contains(window)
    assert snapped.snap(multiple) == snapped
    for own, grown in ((window.rows, snapped.rows), (window.cols, snapped.cols)):
        assert not any(edge % multiple for edge in grown)
        assert own[0] - grown[0] < multiple
        assert grown[1] - own[1] < multiple


@given(inside, ratios)
def test_coarsening_and_refining_undo_each_other(window, ratio):
    assert window.refine(ratio).coarsen(ratio) == window
    snapped = window.snap(ratio)
    assert snapped.coarsen(ratio).refine(ratio) == snapped


@given(inside, st.integers(0, 20), st.integers(0, 3))
def test_a_window_seen_from_a_larger_one_selects_the_same_pixels(window, pad, reach):
    outer = window.pad(pad).reach(reach).clip(*GRID)
    cube = np.arange(np.prod(GRID)).reshape(GRID[0], 1, *GRID[1:])
    part = cube[outer.slices][window.within(outer).slices]
    np.testing.assert_array_equal(part, cube[window.slices])


@given(windows(4, 9, 9), st.integers(-4, 12), st.integers(-4, 12), st.integers(-6, 6))
def test_clipping_keeps_what_lies_inside(window, down, right, later):
    """Moved anywhere, even wholly off the grid, only the shared pixels are left."""
    moved = Window(
        *(
            (start + by, stop + by)
            for (start, stop), by in zip(
                (window.dates, window.rows, window.cols), (later, down, right), strict=True
            )
        )
    )
    grid = Window.whole(4, 9, 9)
    clipped = moved.clip(4, 9, 9)
    assert pixels(clipped) == pixels(moved) & pixels(grid)
    assert grid.contains(clipped)


@given(inside, inside)
def test_containing_is_the_subset_of_pixels(one, other):
    assert one.contains(other) == (pixels(other) <= pixels(one))


def test_reach_moves_dates_alone():
    window = Window((2, 3), (4, 8), (0, 6))
    assert window.reach(2) == replace(window, dates=(0, 5))


def test_slices_take_every_band():
    cube = np.zeros((3, 7, 10, 12))
    assert cube[Window((1, 3), (2, 6), (0, 5)).slices].shape == (2, 7, 4, 5)


@pytest.mark.parametrize("axis", ["dates", "rows", "cols"])
def test_an_interval_that_falls_is_refused(axis):
    with pytest.raises(PlanError, match=f"window {axis} .*expected start ≤ stop"):
        replace(Window.whole(9, 9, 9), **{axis: (5, 4)})


def test_cutting_a_coarse_pixel_is_refused():
    with pytest.raises(PlanError, match=r"multiples of the ratio 3.*\n.*Snap the window to 3"):
        Window((0, 1), (0, 6), (3, 7)).coarsen(3)


def test_a_window_outside_is_refused():
    with pytest.raises(PlanError, match=r"expected inside Window.*\nPad the outer window"):
        Window((0, 1), (0, 6), (3, 7)).within(Window((0, 1), (0, 6), (0, 6)))
