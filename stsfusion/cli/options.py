"""Options: those that several commands share, and records of options that a command takes as one argument."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

__all__ = ["AsJson", "Quiet", "Recipe", "Set", "Store", "grouped"]

Result = TypeVar("Result")

Recipe = Annotated[
    str, typer.Argument(help="A recipe's file, or the name of one that came along, as 'demo'.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Say a key of the recipe anew; may be given repeatedly."),
]
Store = Annotated[Path, typer.Argument(help="A store: fused.zarr, cubes.zarr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON, on errors too, and no table.")]


def grouped(command: Callable[..., Result]) -> Callable[..., Result]:
    """Let a command take frozen dataclasses: each of their fields becomes an option of its own.

    ::

        @dataclass(frozen=True)
        class Outcome:
            json_file: Annotated[Path | None, typer.Option("--json")] = None

        @app.command()
        @grouped
        def bench(scene: Path, outcome: Outcome) -> None: ...      # bench SCENE --json FILE
    """
    hints = get_type_hints(command, include_extras=True)
    records = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    taken: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        own = _parameters(records[name]) if name in records else [parameter.replace(annotation=hints[name])]
        taken += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

    @functools.wraps(command)
    def spread(**said: Any) -> Result:
        made = {
            name: record(**{each.name: said.pop(each.name) for each in fields(record)})
            for name, record in records.items()
        }
        return command(**said, **made)

    spread.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    spread.__annotations__ = {each.name: each.annotation for each in taken}
    del spread.__wrapped__
    return spread


def _parameters(record: type) -> list[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
        )
        for each in fields(record)
    ]
