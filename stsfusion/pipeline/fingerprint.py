"""Fingerprint: a sha256 of what a result depends on, numbers and code alike."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stsfusion.fusion.method import FusionMethod
from stsfusion.pipeline.source import code_in

__all__ = ["fingerprint", "fingerprint_of_code", "fingerprint_of_parts"]

_NUMBERS = ("operators", "fusion", "learning", "methods", "window")
"""Parts of the package on which a method's answer may depend, where it imports them."""


def fingerprint(*things: Any) -> str:
    """One sha256 over numbers, texts, arrays, tensors, mappings, sequences and dataclasses of these."""
    digest = hashlib.sha256()
    for thing in things:
        for piece in _pieces(thing):
            digest.update(len(piece).to_bytes(8, "little"))
            digest.update(piece)
    return digest.hexdigest()


def _pieces(thing: Any) -> Iterator[bytes]:
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu().numpy()
    if isinstance(thing, np.ndarray):
        yield f"{thing.dtype} {thing.shape}".encode()
        yield np.ascontiguousarray(thing).tobytes()
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield type(thing).__name__.encode()
        yield from _pieces({info.name: getattr(thing, info.name) for info in fields(thing)})
    elif isinstance(thing, Mapping):
        yield f"mapping {len(thing)}".encode()
        for key in sorted(thing, key=str):
            yield str(key).encode()
            yield from _pieces(thing[key])
    elif isinstance(thing, (list, tuple)):
        yield f"sequence {len(thing)}".encode()
        for item in thing:
            yield from _pieces(item)
    elif thing is None or isinstance(thing, (str, bytes, bool, int, float)):
        yield repr(thing).encode()
    else:
        raise TypeError(f"no fingerprint for {type(thing)}")


def fingerprint_of_code(method: FusionMethod) -> str:
    """One sha256 over a method's code, all that it imports to make numbers, and the metrics.

    Comments, layout and docstrings do not count.
    """
    root = Path(str(files("stsfusion")))
    own = _reached({Path(inspect.getfile(type(each))) for each in _held(method)}, root)
    return fingerprint([code_in(path) for path in (*sorted((root / "quality").rglob("*.py")), *sorted(own))])


def fingerprint_of_parts(*parts: str) -> str:
    """One sha256 over the code of some parts of the package, such as 'forward'."""
    root = Path(str(files("stsfusion")))
    return fingerprint([code_in(path) for part in parts for path in sorted((root / part).rglob("*.py"))])


def _held(method: FusionMethod) -> Iterator[FusionMethod]:
    """The method and those it holds."""
    yield method
    for value in vars(method).values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, FusionMethod):
                yield from _held(item)


def _reached(start: set[Path], root: Path) -> set[Path]:
    """These files and all that they import of the parts that make numbers, however long the way."""
    found, fresh = set(start), set(start)
    while fresh:
        fresh = {path for source in fresh for path in _imported(source, root)} - found
        found |= fresh
    return found


def _imported(source: Path, root: Path) -> Iterator[Path]:
    """Files of the package that one file names in its imports."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        for name in names:
            package, *parts = name.split(".")
            if package == root.name and parts and parts[0] in _NUMBERS:
                place = root.joinpath(*parts)
                yield from (
                    path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()
                )
