"""DeliveryError: the one way in which a delivery, or a file in it, is turned away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stsfusion.errors import StsfusionError

__all__ = ["DeliveryError", "reading"]


class DeliveryError(StsfusionError):
    """A delivery, or a file in it, is not what it says it is, or not safe to open."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what the system says of a file into a refusal that names the file.

    Parameters
    ----------
    what
        What the file should have been, in words.
    """
    try:
        yield
    except OSError as fault:
        raise DeliveryError(f"file {path}", expected=what, got=fault.strerror or str(fault)) from fault
