"""Methods and their settings as one writes them on a command line.

::

    bicubic,gsa                          two methods with their defaults
    stsnet:steps=200,kernels=1/3,gsa     the first with two settings; a slash separates the members of a list
    {"name": "chain", "first": {...}}    JSON, for methods that hold methods
"""

from __future__ import annotations

import json
import typing
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stsfusion.errors import MethodError
from stsfusion.methods import kind

__all__ = ["settings_from", "split"]


def split(text: str) -> list[str]:
    """Cut a list of methods at its commas, save those between settings and inside braces."""
    pieces: list[str] = []
    depth = 0
    for piece in text.split(","):
        setting = "=" in piece.partition(":")[0] and bool(pieces) and not piece.strip().startswith("{")
        if depth > 0 or setting:
            pieces[-1] += "," + piece
        else:
            pieces.append(piece)
        depth += sum(map(piece.count, "{[")) - sum(map(piece.count, "}]"))
    return [piece.strip() for piece in pieces if piece.strip()]


def settings_from(text: str) -> dict[str, Any]:
    """Name and settings of one method.

    Raises
    ------
    MethodError
        When the method does not exist, or a value does not fit its setting.
    """
    if text.lstrip().startswith("{"):
        return _json(text)
    name, _, rest = text.partition(":")
    name = name.strip()
    hints = typing.get_type_hints(kind(name))
    pairs = [item.partition("=") for item in rest.split(",") if item.strip()]
    for key, sign, _value in pairs:
        if not sign:
            raise MethodError(f"method '{text}'", expected="settings as key=value", got=f"'{key}'")
    given = {key.strip(): value.strip() for key, _, value in pairs}
    return {"name": name, **{k: _read(name, k, v, hints[k]) if k in hints else v for k, v in given.items()}}


def _json(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise MethodError(f"method '{text}'", expected="JSON", got=str(error)) from error
    return dict(given)


def _read(name: str, key: str, text: str, hint: Any) -> Any:
    """The value as its field is annotated: as it stands, as a list cut at slashes, or none."""
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    for candidate in (text, text.split("/"), *([None] if text.lower() == "none" else [])):
        try:
            return adapter.validate_python(candidate)
        except ValidationError:
            continue
    raise MethodError(f"method '{name}', setting '{key}'", expected=f"{hint}", got=f"'{text}'")
