"""Fingerprint: a sha256 of what a result depends on, numbers and code alike."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stsfusion.fusion.method import FusionMethod

__all__ = ["fingerprint", "fingerprint_of_code", "fingerprint_of_parts"]

_PARTS = ("operators", "fusion", "learning", "quality")
"""Packages on which every method's numbers may depend."""


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
    """One sha256 over the code a method's answer depends on; comments, layout and docstrings do not count."""
    root = Path(str(files("stsfusion")))
    shared = sorted(path for part in _PARTS for path in (root / part).rglob("*.py"))
    own = sorted({Path(inspect.getfile(type(each))) for each in _held(method)})
    return fingerprint([_code(path) for path in (*shared, *own)])


def fingerprint_of_parts(*parts: str) -> str:
    """One sha256 over the code of some parts of the package, such as 'forward'."""
    root = Path(str(files("stsfusion")))
    return fingerprint([_code(path) for part in parts for path in sorted((root / part).rglob("*.py"))])


def _held(method: FusionMethod) -> Iterator[FusionMethod]:
    """The method and those it holds."""
    yield method
    for value in vars(method).values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, FusionMethod):
                yield from _held(item)


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = list(_without_texts(body))  # type: ignore[attr-defined]
    return ast.dump(tree)


def _without_texts(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that are more than a string."""
    for node in body:
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node
