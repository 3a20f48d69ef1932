"""The largest rectangle without a gap, against every rectangle there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stsfusion.pipeline.rectangle import largest_rectangle


def every(free):
    """Areas of all rectangles that are free throughout."""
    rows, cols = free.shape
    for top in range(rows):
        for bottom in range(top + 1, rows + 1):
            for left in range(cols):
                for right in range(left + 1, cols + 1):
                    if free[top:bottom, left:right].all():
                        yield (bottom - top) * (right - left)


@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 6))))
def test_none_is_larger(free):
    rows, cols = largest_rectangle(free)
    assert free[rows, cols].all()
    assert free[rows, cols].size == max(every(free), default=0)


def test_a_free_image_is_taken_whole():
    assert largest_rectangle(np.ones((5, 9), bool)) == (slice(0, 5), slice(0, 9))


@pytest.mark.parametrize("size", [(0, 0), (4, 3)])
def test_nothing_free_gives_nothing(size):
    rows, cols = largest_rectangle(np.zeros(size, bool))
    assert (rows.stop - rows.start) * (cols.stop - cols.start) == 0


def test_a_corner_cut_away():
    free = np.ones((10, 8), bool)
    free[:4, 5:] = False
    assert largest_rectangle(free) == (slice(0, 10), slice(0, 5))
    free[:8, 5:] = False
    assert largest_rectangle(free) == (slice(0, 10), slice(0, 5))
    free[:7, :5] = False
    assert largest_rectangle(free) == (slice(8, 10), slice(0, 8))
