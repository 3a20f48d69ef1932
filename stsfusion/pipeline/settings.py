"""Settings of dataclasses as strict records: the fields of a method or a protocol, checked by pydantic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, create_model

from stsfusion import methods
from stsfusion.errors import RecipeError, nearest
from stsfusion.fusion.method import FusionMethod
from stsfusion.records import Document, Record, parse

__all__ = ["check_method_settings", "is_method", "method_from", "method_schema", "record_of"]


def record_of(cls: type[Any], **fixed: Any) -> type[Record]:
    """A strict record with the fields, types, defaults and bounds (metadata 'ge', 'le') of a dataclass.

    Parameters
    ----------
    cls
        A dataclass whose init fields are the settings.
    fixed
        More fields, as pydantic field definitions.
    """
    hints = get_type_hints(cls)
    fields = {
        f.name: (Annotated[_open(hints[f.name]), _bounds(f)], _default(f))
        for f in dataclasses.fields(cls)
        if f.init
    }
    config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    base = type("Settings", (Record,), {"model_config": config, "__module__": __name__})
    return create_model(cls.__name__, __base__=base, **fixed, **fields)  # type: ignore[call-overload]


def is_method(hint: Any) -> bool:
    """Whether a field of this type holds a method."""
    return isinstance(hint, type) and issubclass(hint, FusionMethod)


def _open(hint: Any) -> Any:
    """The part of a type that can be written in a file.

    A field that holds a method is written as that method's name or settings, checked on their own; of
    a choice between a record and its name the name is left.
    """
    if is_method(hint):
        return str | dict[str, Any]
    if get_origin(hint) in (Union, UnionType):
        written = [part for part in get_args(hint) if not is_dataclass(part)]
        return Union[tuple(written)]  # noqa: UP007
    return hint


def _bounds(field: dataclasses.Field[Any]) -> Any:
    return Field(ge=field.metadata.get("ge"), le=field.metadata.get("le"))


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else ...


def check_method_settings(document: Document) -> None:
    """Check a method's settings, a name or a mapping with `name`, and those of the methods it holds.

    Raises
    ------
    RecipeError
        No such method, or an unknown or wrong setting, with its file and line.
    """
    data = {"name": document.data} if isinstance(document.data, str) else document.data
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str):
        parse(data, _Named, where=document)
    if name not in methods.names():
        raise RecipeError(
            document.where(("name",)),
            expected="a method's name",
            got=f"'{name}'",
            mend=nearest(str(name), methods.names()),
        )
    parse(data, record_of(methods.kind(str(name)), name=(str, ...)), where=document)
    for key, value in data.items():
        if isinstance(value, Mapping) and "name" in value:
            check_method_settings(part_of(document, (key,)))


class _Named(Record):
    """What a method's settings must at least have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    """The method's name."""


def part_of(document: Document, key: tuple[str, ...]) -> Document:
    """The part of a document under a key path, whose places still name the file and the line."""
    data = document.data
    for step in key:
        data = data[step]
    depth = len(key)
    places = {place[depth:]: line for place, line in document.places.items() if place[:depth] == key}
    return Document(document.name, data, places, (*document.above, *key))


def method_from(settings: str | Mapping[str, Any]) -> FusionMethod:
    """A method from settings that were checked."""
    return methods.create(settings)


def method_schema() -> list[dict[str, Any]]:
    """JSON schemas of every method's settings, for editors."""
    return [_schema_of(name) for name in methods.names()]


def _schema_of(name: str) -> dict[str, Any]:
    schema = record_of(methods.kind(name), name=(str, ...)).model_json_schema()
    schema["properties"]["name"] = {"const": name}
    return schema
