"""Plain data from YAML: every value with its line, nothing that runs, refers or grows.

Only mappings, lists and the scalars of YAML 1.2 are read. Tags, anchors, aliases and duplicate keys are
refused, so that a file can neither run code nor become larger than it looks.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from stsfusion.errors import RecipeError, StsfusionError

__all__ = ["Document", "Key", "dotted", "override", "read_text", "read_yaml", "shown"]

Key = tuple[str | int, ...]
"""The way to a value: names of keys and positions in lists."""

_LARGEST = 2**20
_DEEPEST = 32
_LONGEST = 100
"""Bytes of a file, levels of its data, digits of a whole number."""

_WHOLE = re.compile(r"[-+]?[0-9]+")

_DOT = re.compile(r"""(?:(?<!\d)\.|\.(?!\d))(?=(?:[^"']|"[^"]*"|'[^']*')*$)""")
"""What parts keys in 'a.b=c': dots, but not those within quotes, nor within numbers, as of 'E116.7_N37.5'."""

_SCALARS = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (_WHOLE, int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


@dataclass(frozen=True)
class Document:
    """What a file holds, and where each of its values stands."""

    name: str
    """The file's path, or another name for the source, for messages."""

    data: Any
    """Plain data: dict, list, str, int, float, bool, None."""

    places: Mapping[Key, str] = field(default_factory=dict)
    """'line 12' or '--set a.b=c' for each key path."""

    above: Key = ()
    """Of a part of a document: the keys that lead to it, for messages."""

    def where(self, key: Key = ()) -> str:
        """'file, line 12: a.b' for a key path; an absent key is placed at its nearest known parent."""
        known = next((key[:n] for n in range(len(key), -1, -1) if key[:n] in self.places), None)
        place = self.name if known is None else f"{self.name}, {self.places[known]}"
        return f"{place}: {dotted((*self.above, *key))}" if key else place

    def override(self, assignments: Iterable[str]) -> Document:
        """Set some values anew, each as 'a.b=c'."""
        assignments = list(assignments)
        if not assignments:
            return self
        if self.data is not None and not isinstance(self.data, Mapping):
            raise RecipeError(self.where(), expected="keys and values", got=shown(self.data))
        places = dict(self.places)
        for text in assignments:
            key = _split(text)[0]
            places = {k: v for k, v in places.items() if k[: len(key)] != key} | {key: f"--set {text}"}
        return replace(self, data=override(self.data or {}, assignments), places=places)


def dotted(key: Key) -> str:
    """A key path as people write it: 'fuse.method.window'."""
    return ".".join(str(part) for part in key)


def read_yaml(path: str | Path, *, error: type[StsfusionError] = RecipeError) -> Document:
    """Read one YAML file.

    Raises
    ------
    RecipeError
        (or `error`) When the file is absent, too large, not UTF-8, or more than plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise error(str(path), expected="a YAML file", got="no such file", mend="Check the path.")
    if path.stat().st_size > _LARGEST:
        raise error(str(path), expected=f"at most {_LARGEST} bytes", got=f"{path.stat().st_size} bytes")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(
            str(path), expected="text in UTF-8", got=f"byte {fault.start} is not", mend="Save it as UTF-8."
        ) from None
    return read_text(text, str(path), error=error)


def read_text(text: str, name: str = "text", *, error: type[StsfusionError] = RecipeError) -> Document:
    """Read YAML from a string; see `read_yaml`."""
    reader = _Reader(name, error)
    try:
        data = reader.read(text)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise error(where, expected="YAML", got=fault.problem or "something else") from None
    except yaml.YAMLError as fault:
        raise error(name, expected="YAML", got=str(fault).splitlines()[0]) from None
    return Document(name, data, reader.places)


class _Reader:
    """Builds plain data from the parser's events, one node after the other."""

    def __init__(self, name: str, error: type[StsfusionError]) -> None:
        self.name, self.error = name, error
        self.places: dict[Key, str] = {}
        self.events: Iterator[yaml.Event] = iter(())

    def read(self, text: str) -> Any:
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        data = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.refuse(event, "one document", "a second one after '---'", "Use one file each.")
                data = self.node(next(self.events), ())
        return data

    def refuse(self, event: yaml.Event, expected: str, got: str, mend: str) -> StsfusionError:
        return self.error(f"{self.name}, {_line(event)}", expected=expected, got=got, mend=mend)

    def node(self, event: yaml.Event, key: Key) -> Any:
        self.places[key] = _line(event)
        if anchor := getattr(event, "anchor", None):
            raise self.refuse(event, "plain data", f"the anchor or alias '{anchor}'", "Write the value out.")
        if tag := getattr(event, "tag", None):
            raise self.refuse(event, "plain data", f"the tag '{tag}'", "Leave the tag away.")
        if len(key) > _DEEPEST:
            raise self.refuse(event, f"at most {_DEEPEST} levels", "a deeper one", "Flatten the data.")
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(key)
        assert isinstance(event, yaml.ScalarEvent)
        if not event.implicit[0]:
            return event.value
        if len(event.value) > _LONGEST and _WHOLE.fullmatch(event.value):
            digits = f"{len(event.value)}"
            raise self.refuse(event, f"at most {_LONGEST} digits", digits, "Quote it if it is a text.")
        return _scalar(event.value)

    def sequence(self, key: Key) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*key, len(items))))
        return items

    def mapping(self, key: Key) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag or event.anchor:
                raise self.refuse(event, "a plain word as key", "something else", "Write 'key: value'.")
            name = event.value
            if name in data:
                first = self.places[(*key, name)]
                raise self.refuse(event, "each key once", f"'{name}' again ({first})", "Remove one of them.")
            data[name] = self.node(next(self.events), (*key, name))
            self.places[(*key, name)] = _line(event)
        return data


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "line ?"


def _scalar(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema: 'no' is a word, '12:30' too, and 1e-3 is a number."""
    return next((make(text) for pattern, make in _SCALARS if pattern.fullmatch(text)), text)


def _split(assignment: str) -> tuple[tuple[str, ...], str]:
    path, equals, value = assignment.partition("=")
    parts = tuple(_plain(part.strip()) for part in _DOT.split(path))
    if not equals or not all(parts):
        raise RecipeError(
            f"--set {assignment}",
            expected="a.b=c",
            got=f"'{assignment}'",
            mend="Name the key, then '=value'.",
        )
    return parts, value


def _plain(part: str) -> str:
    """A key without the quotes around it."""
    return part[1:-1] if len(part) > 2 and part[0] == part[-1] and part[0] in "\"'" else part


def override(data: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of the mapping with some values set anew.

    Parameters
    ----------
    data
        Plain data; it is not changed.
    assignments
        'a.b=c' each; the value is read as YAML ('3', 'true', '[1, 2]', '{name: gsa}'). A key that holds dots
        stands in quotes: 'a."b.c"=d'; those between digits need none.

    Raises
    ------
    RecipeError
        For an assignment without '=', with a bad value, or through something that is no mapping.
    """
    result: dict[str, Any] = copy.deepcopy(dict(data or {}))
    for text in assignments:
        parts, value = _split(text)
        inner: Any = result
        for depth, part in enumerate(parts[:-1], 1):
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise RecipeError(
                    f"--set {text}",
                    expected=f"a mapping at '{'.'.join(parts[:depth])}'",
                    got=shown(inner),
                    mend="Set the whole value, as in a={b: c}.",
                )
        inner[parts[-1]] = read_text(value, f"--set {_cut(text)}").data
    return result


def shown(value: Any) -> str:
    """A value for a message, cut short."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
