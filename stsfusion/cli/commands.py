"""Commands: all of them, and what they share: their options, and how they end when nobody expected it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stsfusion import __version__
from stsfusion.cli.bench import bench
from stsfusion.cli.catalog import catalog
from stsfusion.cli.ending import asks_for_json
from stsfusion.cli.export import export
from stsfusion.cli.lists import doctor, methods, schema, sensors
from stsfusion.cli.plan import plan
from stsfusion.cli.run import gc, run, status, update
from stsfusion.cli.stores import info, verify
from stsfusion.cli.terminal import to_the_end

__all__ = ["app"]


class Commands(TyperGroup):
    """All commands; one that is asked for JSON says its line whatever happens, and however it was called."""

    asked = False

    def make_context(self, info_name: str | None, args: Sequence[str], *rest: Any, **more: Any) -> Any:
        """Parse."""
        self.asked = asks_for_json(args)
        with to_the_end(self.asked):
            return super().make_context(info_name, list(args), *rest, **more)

    def invoke(self, ctx: Any) -> Any:
        """Call."""
        with to_the_end(self.asked):
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Spatio-temporal-spectral fusion: 10 m hyperspectral series at the dates of a multispectral sensor.",
    epilog="Start with: stsfusion run demo, then open demo-out/report.html. A run is described by a recipe, "
    "a YAML file; its results lie in the folder that it names under 'output:'. Each command says more with "
    "--help. Exit codes: 0 done or nothing to do, 1 doctor found something amiss, or an error that nobody "
    "foresaw, 2 wrong settings or input, 3 some tiles, methods, deliveries or files failed, 75 try again "
    "later: locked, or interrupted by Ctrl-C or SIGTERM, however often; while Python starts, about the first "
    "tenth of a second, these end it as they end any program, without a word or with Python's own.",
)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Take the options that all commands share."""


_PANELS = {
    "Recipes": (run, plan, status, update, gc),
    "Series and cubes": (info, verify, export),
    "What there is": (methods, sensors, schema, doctor),
}
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(catalog, name="catalog", rich_help_panel="Scenes and comparisons")
app.add_typer(bench, name="bench", rich_help_panel="Scenes and comparisons")
