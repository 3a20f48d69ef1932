"""A handful of exceptions. Every message says where, what was expected, what came and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CubeError",
    "LaterError",
    "LockedError",
    "MethodError",
    "PlanError",
    "ProblemError",
    "RecipeError",
    "SensorError",
    "StoreError",
    "StsfusionError",
    "nearest",
]


class StsfusionError(Exception):
    """The base of everything stsfusion raises on purpose.

    Parameters
    ----------
    where
        The place: a file with its line, a cube, a field.
    expected, got
        What should have been there, and what was.
    mend
        What the reader can do about it.
    """

    def __init__(self, where: str, *, expected: str = "", got: str = "", mend: str = "") -> None:
        self.where, self.expected, self.got, self.mend = where, expected, got, mend
        super().__init__(where, expected, got, mend)

    def __reduce__(self) -> tuple[object, tuple[object, ...], dict[str, object]]:
        # Exceptions with keyword arguments must say how to cross a process border.
        return _rebuild, (type(self), self.where, self.expected, self.got, self.mend), dict(self.__dict__)

    def __str__(self) -> str:
        middle = ", ".join(
            text
            for text in (
                f"expected {self.expected}" if self.expected else "",
                f"got {self.got}" if self.got else "",
            )
            if text
        )
        first = (f"{self.where}: {middle}" if middle else self.where).removesuffix(".") + "."
        return f"{first}\n{self.mend}" if self.mend else first


def _rebuild(kind: type[StsfusionError], where: str, expected: str, got: str, mend: str) -> StsfusionError:
    return kind(where, expected=expected, got=got, mend=mend)


class RecipeError(StsfusionError):
    """A recipe, or another file of settings, does not say what it must."""


class SensorError(StsfusionError):
    """A sensor's catalog file is wrong, or cannot answer what was asked."""


class CubeError(StsfusionError):
    """A labelled cube is not what the schema asks for."""


class StoreError(StsfusionError):
    """A store cannot be created, read or written as asked."""


class LaterError(StsfusionError):
    """It cannot go on now; the same command goes on later."""


class LockedError(StoreError, LaterError):
    """Another run holds the output; try again later."""


class ProblemError(StsfusionError):
    """A fusion problem is inconsistent, or lacks a role that a method needs."""


class MethodError(StsfusionError):
    """A method does not exist, is not fitted, or was given impossible settings."""


class PlanError(StsfusionError):
    """The work cannot be done with the memory, disk or tiles it was given."""


def nearest(word: str, known: Iterable[str]) -> str:
    """'did you mean …?' for a misspelt word, or the list of what is known.

    Parameters
    ----------
    word
        What was written.
    known
        What could have been written.
    """
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(known)}." if known else "Nothing is known here."
