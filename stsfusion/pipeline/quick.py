"""Quick: which methods stand for `all`, and how long ones are shortened for a first look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from stsfusion.fusion.problem import Role
from stsfusion.methods import card, kind, names
from stsfusion.pipeline.settings import is_method

__all__ = ["able", "expanded", "shortened"]


def able(roles: Iterable[Role]) -> list[str]:
    """Methods that need no other roles than these."""
    given = set(roles)
    return [name for name in names() if set(card(name).needs) <= given]


def expanded(methods: Sequence[str], roles: Iterable[Role]) -> list[str]:
    """The methods with each 'all' replaced by those that these roles suffice, each once."""
    everyone = able(roles) if "all" in methods else []
    return list(dict.fromkeys(name for text in methods for name in (everyone if text == "all" else [text])))


def shortened(settings: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Settings with the quick value of each field that has one and was not set, and whether there was any.

    A method's field says how short it may be made by `metadata={"quick": value}`; methods that a method holds
    are shortened too.
    """
    cls = kind(settings["name"])
    own, hints = fields(cls), get_type_hints(cls)  # type: ignore[arg-type]
    quick = {field.name: field.metadata["quick"] for field in own if "quick" in field.metadata}
    added = {name: value for name, value in quick.items() if name not in settings}
    for field in own:
        held = settings.get(field.name, field.default)
        if is_method(hints[field.name]):
            made, hasty = shortened({"name": held} if isinstance(held, str) else held)
            added |= {field.name: made} if hasty else {}
    return {**settings, **added}, bool(added)
