"""What is counted of a piece of work's memory: what it makes, and nothing that it was given."""

from __future__ import annotations

import torch

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.memory import peak_bytes

_GIVEN = torch.ones(1, 4, 500, 500)
"""Four million bytes."""


def _answer() -> Answer:
    return Answer(torch.zeros(1, 1, 10, 10), torch.ones(1, 1, 10, 10, dtype=torch.uint8))


def test_views_of_what_was_given_do_not_count():
    def look() -> Answer:
        parts = [part[:, :, 1:].movedim(1, 0) for part in _GIVEN.split(2, 1)]
        assert len(parts) == 2
        return _answer()

    assert peak_bytes(look) < 1000


def test_what_is_made_counts_once_as_long_as_it_is_held():
    def make() -> Answer:
        twice = _GIVEN * 2.0
        views = [twice[:, i] for i in range(4)]
        del twice, views
        again = _GIVEN + 1.0
        assert again.shape == _GIVEN.shape
        return _answer()

    assert 4_000_000 <= peak_bytes(make) < 4_100_000
