"""Refusal: how a delivery, or a file in it, is turned away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stsfusion.errors import StsfusionError

__all__ = ["CrowdError", "DeliveryError", "Refused", "reading"]


_MEND = "Put the file right, fetch the delivery again, or move it out of the folder."


class DeliveryError(StsfusionError):
    """A delivery, or a file in it, is not what it says it is, or not safe to open."""

    def __init__(self, where: str, *, expected: str = "", got: str = "", mend: str = _MEND) -> None:
        super().__init__(where, expected=expected, got=got, mend=mend or _MEND)


class CrowdError(DeliveryError):
    """An archive holds more files than any delivery does: whatever it is, it is none."""


@dataclass(frozen=True)
class Refused:
    """A delivery, or what might be one, that cannot be used."""

    delivery: str
    """Its path, as found."""

    reason: str
    """What is wrong, and what to do."""

    meant: bool = True
    """Whether anything says that it is a delivery."""


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
