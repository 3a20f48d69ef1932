"""The formats: every file here is one kind of file; its presence is its registration."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from stsfusion.errors import StoreError, nearest
from stsfusion.export.format import Format

__all__ = ["load", "names"]


def names() -> list[str]:
    """Every format's name, sorted; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Format:
    """The format of that name.

    Raises
    ------
    StoreError
        When there is none, or its file holds something else.
    """
    if name not in names():
        raise StoreError(f"format '{name}'", expected="a format's name", mend=nearest(name, names()))
    return _only(importlib.import_module(f"{__name__}.{name}"))


def _only(module: Any) -> Format:
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Format) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise StoreError(
            f"module {module.__name__}", expected="one Format", got=f"{[c.__name__ for c in found]}"
        )
    made: Format = found[0]()
    return made
