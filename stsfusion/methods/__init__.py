"""The zoo: every file here is one method; its presence is its registration.

Methods kept elsewhere join through the entry point group `stsfusion.methods`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from stsfusion.errors import MethodError, nearest
from stsfusion.fusion.method import Card, FusionMethod

__all__ = ["card", "create", "kind", "names"]

_GROUP = "stsfusion.methods"


def names() -> list[str]:
    """Every method's name, sorted; imports none of them."""
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(own | set(_foreign()))


def kind(name: str) -> type[FusionMethod]:
    """The class behind a name.

    Raises
    ------
    MethodError
        When there is no such method, or two of that name.
    """
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    foreign = _foreign()
    if name in own and name in foreign:
        raise MethodError(
            f"method '{name}'", expected="one owner", got=f"ours and '{foreign[name].value}'", mend="Rename it."
        )
    if name in own:
        return _only_method(importlib.import_module(f"{__name__}.{name}"))
    if name in foreign:
        loaded: type[FusionMethod] = foreign[name].load()
        return loaded
    raise MethodError(f"method '{name}'", expected="a method's name", mend=nearest(name, names()))


def card(name: str) -> Card:
    """The card of a method with its default settings."""
    return kind(name).example().card


def create(settings: str | Mapping[str, Any]) -> FusionMethod:
    """A method from its name, or from a mapping of `name` and settings; mappings nest.

    Raises
    ------
    MethodError
        When a setting is not known to the method.
    """
    given = {"name": settings} if isinstance(settings, str) else dict(settings)
    name = str(given.pop("name", ""))
    cls = kind(name)
    known = {field for field, info in cls.__dataclass_fields__.items() if info.init}  # type: ignore[attr-defined]
    for key in given:
        if key not in known:
            raise MethodError(f"method '{name}', setting '{key}'", expected="a known key", mend=nearest(key, known))
    nested = {key: create(v) if isinstance(v, Mapping) and "name" in v else _frozen(v) for key, v in given.items()}
    return cls(**nested)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}


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
