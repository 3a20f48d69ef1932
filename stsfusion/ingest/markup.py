"""XML from strangers: no document types, no entities, no references, bounded in every direction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from stsfusion.ingest.files import read_bytes
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["Markup", "read_markup"]

_DECLARED = re.compile(rb"""^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,20})["']""")
_ENCODINGS = {
    "utf-8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}

_INCLUDED = "http://www.w3.org/2001/XInclude "
"""Before the name of an element in whose stead another file is to be read."""


@dataclass(frozen=True)
class Markup:
    """The texts of an XML file's elements."""

    path: Path
    """The file."""

    root: str
    """Name of the outermost element."""

    texts: dict[str, tuple[str, ...]] = field(repr=False)
    """Each element's texts by its path below the root, as 'Level' or 'Bands/Gain', in the file's order."""

    def get(self, *names: str) -> str | None:
        """The text of the first of these elements that is there and not empty.

        Raises
        ------
        DeliveryError
            When it stands there twice with different texts.
        """
        for name in names:
            found = {text for text in self.texts.get(name, ()) if text}
            if len(found) > 1:
                raise DeliveryError(
                    f"file {self.path}: {name}", expected="one value", got=", ".join(sorted(found))[:80]
                )
            if found:
                return found.pop()
        return None

    def number(self, *names: str) -> float | None:
        """The same as a number; None where it is absent.

        Raises
        ------
        DeliveryError
            When there is something else than a finite number.
        """
        text = self.get(*names)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < 1e300 or "_" in text:
            raise DeliveryError(f"file {self.path}: {names[0]}", expected="a number", got=repr(text[:60]))
        return value


def read_markup(path: str | Path, limits: Limits | None = None) -> Markup:
    """Read an XML file of plain elements.

    Raises
    ------
    DeliveryError
        For a document type, an entity, a broken or too large file, an encoding other than the file says.
    """
    limits = limits or Limits()
    text = _decoded(Path(path), read_bytes(path, limits.markup))
    reader = _Reader(Path(path), limits)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.add
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse_type
    parser.ExternalEntityRefHandler = reader.refuse_reference
    try:
        parser.Parse(text, True)
    except expat.ExpatError as fault:
        raise DeliveryError(
            f"file {path}, line {fault.lineno}",
            expected="XML",
            got=expat.ErrorString(fault.code) or "something else",
        ) from None
    return Markup(Path(path), reader.root, {name: tuple(texts) for name, texts in reader.texts.items()})


def _decoded(path: Path, data: bytes) -> str:
    body = data.removeprefix(b"\xef\xbb\xbf")
    said = _DECLARED.match(body)
    name = said.group(1).decode().lower() if said else "utf-8"
    if name not in _ENCODINGS:
        raise DeliveryError(f"file {path}", expected="XML in UTF-8 or GBK", got=f"encoding '{name}'")
    try:
        return body.decode(_ENCODINGS[name])
    except UnicodeDecodeError as fault:
        raise DeliveryError(
            f"file {path}",
            expected=f"XML in {name}, as it says",
            got=f"byte {fault.start} is not",
            mend="Save it in UTF-8.",
        ) from None


class _Reader:
    """Collects texts, and stops where something is not plain."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.root = ""
        self.open: list[str] = []
        self.pieces: list[list[str]] = []
        self.count = 0
        self.texts: dict[str, list[str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name.startswith(_INCLUDED):
            raise self._refusal("a reference to another file")
        self.count += 1
        if self.count > self.limits.elements or len(self.open) >= self.limits.depth:
            raise DeliveryError(
                f"file {self.path}",
                expected=f"at most {self.limits.elements} elements in {self.limits.depth} levels",
                got="more",
            )
        self.open.append(name.rsplit(" ", 1)[-1])
        self.pieces.append([])

    def add(self, text: str) -> None:
        if self.pieces:
            self.pieces[-1].append(text)

    def end(self, name: str) -> None:
        path, text = self.open[1:], "".join(self.pieces.pop()).strip()
        if path:
            self.texts.setdefault("/".join(path), []).append(text)
        else:
            self.root = self.open[0]
        self.open.pop()

    def refuse_type(self, *what: object) -> None:
        raise self._refusal("a document type or an entity")

    def refuse_reference(self, *what: object) -> int:
        raise self._refusal("a reference to another file")

    def _refusal(self, got: str) -> DeliveryError:
        return DeliveryError(
            f"file {self.path}",
            expected="plain XML",
            got=got,
            mend="Metadata of a product needs none; do not open this file.",
        )
