"""The zoo: every file here is one method; its presence is its registration.

Methods kept elsewhere join through the entry point group `stsfusion.methods`.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from stsfusion.errors import MethodError, nearest
from stsfusion.fusion.method import Card, FusionMethod

__all__ = ["card", "create", "kind", "names"]

_GROUP = "stsfusion.methods"


def names() -> list[str]:
    """Every method's name, sorted; imports none of them."""
    return sorted(_own() | {point.name for point in _foreign()})


def kind(name: str) -> type[FusionMethod]:
    """The class behind a name.

    Raises
    ------
    MethodError
        When there is no such method, two of that name, or something else behind it.
    """
    foreign = {point.value: point for point in _foreign() if point.name == name}
    owners = [*(["stsfusion"] if name in _own() else []), *sorted(foreign)]
    if len(owners) > 1:
        raise MethodError(
            f"method '{name}'", expected="one owner", got=" and ".join(owners), mend="Rename one of them."
        )
    if not owners:
        raise MethodError(f"method '{name}'", expected="a method's name", mend=nearest(name, names()))
    if not foreign:
        return _only_method(importlib.import_module(f"{__name__}.{name}"))
    return _method_class(foreign[owners[0]])


def card(name: str) -> Card:
    """The card of a method with its default settings."""
    return create(name).card


def create(settings: str | Mapping[str, Any]) -> FusionMethod:
    """A method from its name, or from a mapping of `name` and settings; mappings nest.

    Raises
    ------
    MethodError
        When a setting is not known to the method, or lies outside the bounds that its field's metadata
        state as 'ge' and 'le'.
    """
    given = {"name": settings} if isinstance(settings, str) else dict(settings)
    name = str(given.pop("name", ""))
    cls = kind(name)
    known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise MethodError(
                f"method '{name}', setting '{key}'", expected="a known key", mend=nearest(key, known)
            )
        _refuse_out_of_bounds(name, known[key], given[key])
    return cls(**{key: _made(value) for key, value in given.items()})


def _refuse_out_of_bounds(name: str, field: Field[Any], value: Any) -> None:
    low, high = field.metadata.get("ge", -math.inf), field.metadata.get("le", math.inf)
    if field.metadata and isinstance(value, int | float) and not low <= value <= high:
        raise MethodError(
            f"method '{name}', setting '{field.name}'", expected=f"{low:g} to {high:g}", got=f"{value:g}"
        )


def _made(value: Any) -> Any:
    """A setting as the method takes it: methods from their mappings, tuples from lists."""
    if isinstance(value, Mapping) and "name" in value:
        return create(value)
    return tuple(_made(item) for item in value) if isinstance(value, (list, tuple)) else value


def _own() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def _foreign() -> Iterable[EntryPoint]:
    return entry_points(group=_GROUP)


def _method_class(point: EntryPoint) -> type[FusionMethod]:
    loaded = point.load()
    if not (isinstance(loaded, type) and issubclass(loaded, FusionMethod)):
        raise MethodError(
            f"method '{point.name}' of {point.value}", expected="a FusionMethod class", got=f"{loaded!r:.60}"
        )
    return loaded


def _only_method(module: Any) -> type[FusionMethod]:
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, FusionMethod) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise MethodError(
            f"module {module.__name__}", expected="one FusionMethod", got=f"{[c.__name__ for c in found]}"
        )
    return found[0]
