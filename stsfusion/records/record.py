"""Plain data to frozen records, strictly, through pydantic; faults are named by place and nearest key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stsfusion.errors import RecipeError, StsfusionError, nearest
from stsfusion.records.document import Document, Key, dotted, read_yaml, shown

__all__ = ["Record", "load", "parse"]


class Record(BaseModel):
    """The base of every record: frozen, and nothing but its own keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def load(
    path: str | Path,
    model: type[AnyModel],
    *,
    assignments: Iterable[str] = (),
    error: type[StsfusionError] = RecipeError,
) -> AnyModel:
    """Read one YAML file as a record; `assignments` ('a.b=c') win over what it says."""
    document = read_yaml(path, error=error).override(assignments)
    return parse(document.data, model, where=document, error=error)


def parse(
    data: Any,
    model: type[AnyModel],
    *,
    where: str | Document = "settings",
    error: type[StsfusionError] = RecipeError,
) -> AnyModel:
    """Check plain data against a model, strictly: no text for a number, no number for a truth value.

    Parameters
    ----------
    data
        A mapping of plain data.
    where
        For messages: a name, or the document that the data come from.

    Raises
    ------
    RecipeError
        (or `error`) For the first fault: an unknown key (with the nearest known one), a missing key, or a
        wrong value; where the others are is said.
    """
    document = where if isinstance(where, Document) else Document(where, data)
    if not isinstance(data, Mapping):
        raise error(document.where(), expected="keys and values", got=shown(data))
    try:
        # JSON mode is strict on types, yet takes lists for tuples and text for paths and dates.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as fault:
        found = sorted(fault.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise _explain(found[0], found[1:], data, model, document, error) from None


def _explain(
    fault: Mapping[str, Any],
    others: Sequence[Mapping[str, Any]],
    data: Any,
    model: type[BaseModel],
    document: Document,
    error: type[StsfusionError],
) -> StsfusionError:
    loc: Key = tuple(fault["loc"])
    key, more = _place(fault, data), _more([_place(other, data) for other in others], document)
    if fault["type"] == "extra_forbidden":
        known = nearest(str(key[-1]), _known(model.model_json_schema(), loc[:-1]))
        mend, expected, got = known, "a known key", f"'{key[-1]}'"
    elif fault["type"] == "missing":
        mend, expected, got = f"Add '{dotted((*document.above, *key))}'.", f"the key '{key[-1]}'", "nothing"
    else:
        message = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
        mend, expected, got = _mend(fault), message, shown(fault["input"])
    return error(document.where(key), expected=expected, got=got, mend=f"{mend} {more}".strip())


def _place(fault: Mapping[str, Any], data: Any) -> Key:
    return _real(tuple(fault["loc"]), data, keep_last=fault["type"] in ("missing", "extra_forbidden"))


def _more(keys: Sequence[Key], document: Document) -> str:
    """Where the other faults are; a value that several readings refuse counts once."""
    places = list(dict.fromkeys(f"'{dotted((*document.above, *key))}'" for key in keys))
    if not places:
        return ""
    shown_places = ", ".join(places[:4]) + (" …" if len(places) > 4 else "")
    count = f"are {len(places)} more faults" if len(places) > 1 else "is one more fault"
    return f"There {count}: {shown_places}."


_MENDS = {
    "int": "Write a whole number, without quotes.",
    "float": "Write a number, without quotes.",
    "bool": "Write true or false, without quotes.",
    "string": "Write a text; one that looks like a number stands in quotes.",
}
"""By the first word of the kind of a fault."""


def _mend(fault: Mapping[str, Any]) -> str:
    """What to write in place of a wrong value, where that can be said."""
    if fault["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", str(fault["msg"]))
        return nearest(str(fault["input"]), known) if known else ""
    kind, _, what = str(fault["type"]).partition("_")
    return _MENDS.get(kind, "") if what in ("type", "parsing", "from_float") else ""


def _real(loc: Key, data: Any, *, keep_last: bool) -> Key:
    """The part of a fault's location that stands in the data: pydantic adds names of union branches."""
    key: Key = ()
    for position, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        elif not (keep_last and position == len(loc) - 1):
            continue
        key = (*key, part)
    return key


def _known(schema: Mapping[str, Any], loc: Key) -> set[str]:
    """The keys that a model's JSON schema knows at a location; branches of a union are all looked into."""
    nodes = [schema]
    for part in loc:
        inner = [step for node in nodes for step in _steps(_flat(node, schema), part)]
        nodes = inner or nodes
    return {name for node in nodes for flat in _flat(node, schema) for name in flat.get("properties", {})}


def _flat(node: Any, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schema node with its references followed and its alternatives side by side."""
    if not isinstance(node, Mapping):
        return []
    if "$ref" in node:
        return _flat(root["$defs"][node["$ref"].rsplit("/", 1)[-1]], root)
    branches = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [node, *(flat for branch in branches for flat in _flat(branch, root))]


def _steps(nodes: Iterable[Mapping[str, Any]], part: str | int) -> list[Any]:
    """Where one more key or position leads."""
    if isinstance(part, int):
        return [node["items"] for node in nodes if "items" in node]
    named = [node["properties"][part] for node in nodes if part in node.get("properties", {})]
    return named or [node["additionalProperties"] for node in nodes if node.get("additionalProperties")]
