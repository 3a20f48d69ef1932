"""Dying: a run that ends at a chosen place as a kill would end it: nothing is caught, nothing tidied up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["Death", "dying"]


class Death(BaseException):
    """Passes every `except Exception`."""


@contextmanager
def dying(*place: object) -> Iterator[None]:
    """Whoever calls this place within the block dies, and must: what monkeypatch is told, but for a value."""

    def die(*words: object, **more: object) -> None:
        raise Death

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*place, die)
        with pytest.raises(Death):
            yield
