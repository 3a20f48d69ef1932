"""Terminal: what all commands share: errors in words, exit codes, tables, and lists that were typed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Column, Table

from stsfusion.cli.ending import LATER, STOPPED, is_decided, tell_in_json
from stsfusion.errors import LaterError, StsfusionError

__all__ = [
    "FAILED",
    "LATER",
    "WRONG",
    "aside",
    "indices",
    "listed",
    "plainly",
    "show",
    "tell_in_json",
    "to_the_end",
    "wide",
]

UNFORESEEN, WRONG, FAILED = 1, 2, 3
"""Exit codes: nobody foresaw it, wrong settings or input, some tiles or methods failed."""

_WrongUsage: Any = typer.BadParameter.__base__
"""What the parser says of words that it does not understand."""


@contextmanager
def plainly(as_json: bool = False, about: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Errors made on purpose are told in words, with the exit code that schedulers understand.

    Parameters
    ----------
    as_json
        Whether they are also told as one line of JSON on standard output.
    about
        What that line says besides; an error of a run says itself which run it was.
    """
    try:
        yield
    except LaterError as error:
        code, style, said, which = LATER, "yellow", str(error), vars(error)
    except StsfusionError as error:
        code, style, said, which = WRONG, "red", f"error: {error}", vars(error)
    except KeyboardInterrupt:
        code, style, said, which = LATER, "yellow", STOPPED, {}
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        said = f"error: {place}{error.strerror or error}. Check that the path can be read and written."
        code, style, which = WRONG, "red", vars(error)
    except Exception as error:
        vars(error).setdefault("run", dict(about or {}))
        raise
    else:
        return
    is_decided()
    Console(stderr=True).print(said, style=style, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        run = {**(about or {}), **which.get("run", {})}
        tell_in_json(code, **run, words=said.removeprefix("error: "))
    raise typer.Exit(code)


@contextmanager
def to_the_end(as_json: bool) -> Iterator[None]:
    """Around all that a command does: what nobody foresaw, and words that nobody understands, in JSON too.

    Errors then go their way, so that their traceback is seen; a signal has ended the command.

    Parameters
    ----------
    as_json
        Whether the line is asked for.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        is_decided()
        print(STOPPED, file=sys.stderr)
        if as_json:
            tell_in_json(LATER, words=STOPPED)
        raise typer.Exit(LATER) from None
    except _WrongUsage as error:
        if as_json:
            tell_in_json(WRONG, words=error.format_message())
        raise
    except Exception as error:
        if as_json:
            words = f"{type(error).__name__}: {error}".removesuffix(": ")
            tell_in_json(UNFORESEEN, **vars(error).get("run", {}), words=words)
        raise


def aside(json_asked: bool) -> Console:
    """Where progress is drawn: not on a standard output that someone else reads."""
    return Console(stderr=not json_asked and not sys.stdout.isatty())


def listed(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def wide() -> Console:
    """As wide as the terminal, or wide enough for a table where there is none."""
    return Console(width=None if sys.stdout.isatty() else 160)


def indices(text: str | None) -> tuple[int, ...] | None:
    """Whole numbers between commas; None for nothing."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no list of whole numbers such as 0,2,4,6") from None


def show(title: str, columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    """A plain table; what is too long goes on in the next line, so that nothing is cut."""
    table = Table(
        *(Column(name, overflow="fold") for name in columns),
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    wide().print(table, highlight=False, markup=False)
