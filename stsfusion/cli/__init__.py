"""The command line: parse, call, print. Everything it can do, Python can do too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stsfusion.cli.ending import heeded

if TYPE_CHECKING:
    from stsfusion.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """What `stsfusion` does on a terminal and in a scheduler's job: heed signals, then all else."""
    with heeded():
        from stsfusion.cli.commands import app
        from stsfusion.cli.unheard import outlast_listeners

        outlast_listeners()
        app()


def __getattr__(name: str) -> Any:
    """Read the commands only when they are asked for."""
    if name == "app":
        from stsfusion.cli.commands import app

        return app
    raise AttributeError(f"module 'stsfusion.cli' has no attribute '{name}'")
