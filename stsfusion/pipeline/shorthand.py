"""Methods and their settings as one writes them on a command line.

::

    bicubic,gsa                          two methods with their defaults
    stsnet:steps=200,kernels=1/3,gsa     the first with two settings; a slash separates the members of a list
    estarfm:window=51+cnmf               a chain: the first's series guides the second
    {"name": "chain", "first": {...}}    JSON, for whatever cannot be said otherwise
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stsfusion.errors import MethodError
from stsfusion.fusion.method import FusionMethod
from stsfusion.methods import kind
from stsfusion.pipeline.settings import is_method

__all__ = ["name_of", "settings_from", "split", "text_of"]

_LINK = re.compile(r"\+(?=\s*[a-z_])", re.IGNORECASE)
"""The plus between two methods; one before a digit is a number's."""

_CHAIN = ("chain", "first", "then")
"""The method that a plus stands for, and its settings."""


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
    links = _LINK.split(text)
    if len(links) > 1:
        return _chained(text, links)
    name, _, rest = text.partition(":")
    name = name.strip()
    hints = typing.get_type_hints(kind(name))
    pairs = [item.partition("=") for item in rest.split(",") if item.strip()]
    for key, sign, _value in pairs:
        if not sign:
            raise MethodError(f"method '{text}'", expected="settings as key=value", got=f"'{key}'")
    given = {key.strip(): value.strip() for key, _, value in pairs}
    return {"name": name, **{k: _read(name, k, v, hints[k]) if k in hints else v for k, v in given.items()}}


def text_of(settings: str | Mapping[str, Any]) -> str:
    """The shortest text from which `settings_from` makes these settings."""
    if isinstance(settings, str):
        return settings
    name, *places = _CHAIN
    if set(settings) == {"name", *places} and settings["name"] == name:
        return "+".join(text_of(settings[place]) for place in places)
    said = ",".join(_pairs(settings))
    return f"{settings['name']}:{said}" if said else str(settings["name"])


def name_of(method: FusionMethod) -> str:
    """A method's name; of a chain those of its two."""
    name, *places = _CHAIN
    if method.card.name == name:
        return "+".join(name_of(getattr(method, place)) for place in places)
    return method.card.name


def _pairs(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if key != "name":
            yield f"{key}={'/'.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"


def _chained(text: str, links: list[str]) -> dict[str, Any]:
    """Two methods, one after the other."""
    name, *places = _CHAIN
    if len(links) != len(places):
        raise MethodError(
            f"method '{text}'",
            expected="two methods, as in estarfm+cnmf",
            got=f"{len(links)}",
            mend="A chain has a spatio-temporal and a spectral method.",
        )
    return {"name": name, **dict(zip(places, map(settings_from, links), strict=True))}


def _json(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise MethodError(f"method '{text}'", expected="JSON", got=str(error)) from error
    return dict(given)


def _read(name: str, key: str, text: str, hint: Any) -> Any:
    """The value as its field is annotated: as it stands, as a list cut at slashes, or none."""
    if is_method(hint):
        return settings_from(text)
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    wanted: list[str] = []
    for candidate in (text, text.split("/"), *([None] if text.lower() == "none" else [])):
        try:
            return adapter.validate_python(candidate)
        except ValidationError as error:
            wanted = wanted or [each["msg"] for each in error.errors()]
    shown = [each.removeprefix("Input should be ").partition(", unable")[0] for each in wanted]
    raise MethodError(f"method '{name}', setting '{key}'", expected=" or ".join(shown), got=f"'{text}'")
