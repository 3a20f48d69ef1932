"""Source: what a file of code does; comments, layout and docstrings do not count."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

__all__ = ["code_in"]


def code_in(path: Path) -> str:
    """What a file does, texts aside."""
    found = path.stat()
    return _parsed(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=2048)
def _parsed(path: Path, stamp: int, size: int) -> str:
    """Kept while the file's time and size stay."""
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
